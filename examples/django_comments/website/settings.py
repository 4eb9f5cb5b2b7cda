"""Settings of the site; what differs between machines comes from the environment.

DJANGO_DATABASE (a path), DJANGO_DEBUG (1 or 0), DJANGO_SECRET_KEY, DJANGO_ALLOWED_HOSTS (with commas between), and
TIDEGATE_CLUSTER and TIDEGATE_SECRET_KEY, which the cluster itself reads as well.
"""

import os
from pathlib import Path

from .secret import secret_key

BASE = Path(__file__).resolve().parents[1]
DATABASE = Path(os.environ.get("DJANGO_DATABASE", BASE / "db.sqlite3")).absolute()

DEBUG = os.environ.get("DJANGO_DEBUG", "0") == "1"
SECRET_KEY = os.environ.get("DJANGO_SECRET_KEY") or secret_key(DATABASE.with_suffix(".key"))
ALLOWED_HOSTS = os.environ.get("DJANGO_ALLOWED_HOSTS", "127.0.0.1,localhost").split(",")

TIDEGATE = {"CLUSTER": os.environ.get("TIDEGATE_CLUSTER", "127.0.0.1:1236")}

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "comments",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
ROOT_URLCONF = "website.urls"
WSGI_APPLICATION = "website.wsgi.application"

# Several processes write to the file: one waits so many seconds for another.
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": DATABASE, "OPTIONS": {"timeout": 20}}}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

STATIC_URL = "static/"
STATICFILES_DIRS = [BASE.parents[1] / "js" / "browser"]  # tidegate-client.js
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = LOGOUT_REDIRECT_URL = "index"
USE_TZ = True
TIME_ZONE = "UTC"

# Also where DEBUG is off: what could not be pushed is logged as an error.
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"stderr": {"class": "logging.StreamHandler"}},
    "root": {"handlers": ["stderr"]},
    "loggers": {"django": {"handlers": ["stderr"], "level": "INFO", "propagate": False}},
}
