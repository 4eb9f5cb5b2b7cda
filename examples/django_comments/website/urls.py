"""Addresses of the site."""

from django.contrib.auth.views import LoginView, LogoutView
from django.contrib.staticfiles.views import serve
from django.urls import include, path

urlpatterns = [
    path("", include("comments.urls")),
    path("login/", LoginView.as_view(redirect_authenticated_user=True), name="login"),
    path("logout/", LogoutView.as_view(), name="logout"),
    path("static/<path:path>", serve, {"insecure": True}),  # under any server; on the internet a proxy does it
]
