"""Addresses of the comments."""

from django.urls import path

from . import views

urlpatterns = [
    path("", views.index, name="index"),
    path("bind/", views.bind, name="bind"),
    path("comments/", views.received, name="received"),
    path("seen/", views.seen, name="seen"),
]
