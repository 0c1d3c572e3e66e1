"""What the admin needs to know of jobs; they are kept in headway's store, and no table is made."""

from __future__ import annotations

from django.db import models


class _Jobs(models.Manager["Job"]):
    """Empty, so that ``dumpdata`` and its like find nothing where there is no table."""

    def get_queryset(self) -> models.QuerySet[Job]:
        return super().get_queryset().none()


class Job(models.Model):
    """Stands for jobs in permissions: ``headway.view_job`` and ``headway.cancel_job``."""

    id: models.CharField[str, str] = models.CharField(primary_key=True, max_length=200)

    objects = _Jobs()

    class Meta:
        """No table; the permissions that the admin asks for."""

        managed = False
        base_manager_name = "objects"
        default_permissions = ("view",)
        permissions = (("cancel_job", "Can cancel a job"),)

    def __str__(self) -> str:
        return self.id
