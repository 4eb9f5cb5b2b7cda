"""A Django site made of the code on docs/django.md, and servers for it."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from tests.ports import free_port

PAGE = Path(__file__).parents[2] / "docs" / "django.md"
DEADLINE = 30

SETTINGS = """
SECRET_KEY = "for tests"
DEBUG = True
ALLOWED_HOSTS = ["127.0.0.1", "testserver"]
ROOT_URLCONF = "urls"
MIDDLEWARE = ["middleware.Login"]
INSTALLED_APPS = []
DATABASES = {}
USE_TZ = True
WSGI_APPLICATION = "wsgi.application"
"""

FILES = {
    "middleware.py": """
from types import SimpleNamespace

class Login:
    async_capable = False

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        request.user = SimpleNamespace(is_authenticated=True, pk=request.headers.get("User", "42"))
        return self.get_response(request)
""",
    "urls.py": """
import os

import views
from django.http import HttpResponse
from django.urls import path


def whoami(request):
    return HttpResponse(str(os.getpid()))


def said(request):  # like the page's, and says which process it was
    views.comment(request)
    return whoami(request)


urlpatterns = [
    path("bind", views.bind),
    path("comment", views.comment),
    path("said", said),
    path("online", views.online),
    path("whoami", whoami),
]
""",
    "wsgi.py": """
import os

from django.core.wsgi import get_wsgi_application

os.environ["DJANGO_SETTINGS_MODULE"] = "settings"
application = get_wsgi_application()
""",
    "eager.py": """
import os

from wsgi import application

from tidegate.contrib.django import push

push.send_to_all(f"loaded by {os.getpid()}")  # with preload, before the fork
push.flush()
""",
    "manage.py": """
import os
import sys

from django.core.management import execute_from_command_line
from django.utils.autoreload import StatReloader

os.environ["DJANGO_SETTINGS_MODULE"] = "settings"
StatReloader.SLEEP_TIME = 0.1
execute_from_command_line(sys.argv)
""",
}


def make_site(folder: Path) -> None:
    """Write it."""
    files = dict(re.findall(r"^```py\n# (\w+\.py)\n(.*?)^```$", PAGE.read_text(), re.M | re.S))
    del files["signals.py"]  # whose site has a database
    files["settings.py"] += SETTINGS
    for name, code in (FILES | files).items():
        (folder / name).write_text(code)


def environment(cluster: str, secret_key: str) -> dict[str, str]:
    return {**os.environ, "TIDEGATE_CLUSTER": cluster, "TIDEGATE_SECRET_KEY": secret_key, "PYTHONUNBUFFERED": "1"}


class Site:
    """A site that is served."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, log: Path) -> None:
        self.process = process
        self.port = port
        self.log = log

    def ask(self, path: str, **form: str) -> str:
        """GET, or POST where there is a form; gives the body."""
        data = urllib.parse.urlencode(form).encode() if form else None
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"http://127.0.0.1:{self.port}{path}", data, timeout=DEADLINE) as answer:
            return str(answer.read().decode())

    def reload(self, file: Path) -> None:
        """Have runserver notice a change: touched before it watches a file, it would not."""
        first = self.wait()
        deadline = time.monotonic() + DEADLINE
        touched = 0.0
        while self.wait() == first:
            assert time.monotonic() < deadline, self.log.read_text()
            if time.monotonic() > touched + 0.5:
                file.touch()
                touched = time.monotonic()
            time.sleep(0.05)

    def wait(self) -> str:
        """Until it serves; gives the process's id that does."""
        deadline = time.monotonic() + DEADLINE
        while True:
            try:
                return self.ask("/whoami")
            except OSError:
                assert self.process.poll() is None, self.log.read_text()
                assert time.monotonic() < deadline
                time.sleep(0.05)


@contextlib.contextmanager
def served(folder: Path, env: dict[str, str], *command: str) -> Iterator[Site]:
    """Run a server for a site; ``PORT`` in its command is the port."""
    port = free_port()
    arguments = [sys.executable, *(part.replace("PORT", str(port)) for part in command)]
    log = folder / "server.log"
    with log.open("w") as file:
        process = subprocess.Popen(
            arguments, cwd=folder, env=env, stdout=file, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        site = Site(process, port, log)
        site.wait()
        yield site
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(10)
