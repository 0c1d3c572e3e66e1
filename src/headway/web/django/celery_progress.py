"""The URLs of celery-progress, answered from headway's records: templates that name them stay as they are.

path("celery-progress/", include("headway.web.django.celery_progress"))
"""

from __future__ import annotations

from headway.web.django.urls import pattern

app_name = "celery_progress"
urlpatterns = [
    pattern("<str:task_id>/", "task_status", "celery-progress/"),
    pattern("g/<str:group_id>/", "group_status", "celery-progress/"),
]
