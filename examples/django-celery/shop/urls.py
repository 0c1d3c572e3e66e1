"""The shop's pages, and headway's."""

from django.urls import include, path

from shop import views

urlpatterns = [
    path("", views.imports, name="imports"),
    path("imports/<str:id>", views.show, name="import"),
    path("progress/", include("headway.web.django.urls")),
]
