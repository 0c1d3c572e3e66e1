"""A shop whose staff import customers from a file and see how far that has got."""

from shop.celery import app as celery_app

__all__ = ["celery_app"]
