"""The site of examples/django_comments as tests use it: its processes, and its visitors without a browser."""

from __future__ import annotations

import contextlib
import http.cookiejar
import re
import subprocess
import sys
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError

from tests.examples.support import Example
from tests.process.support import SECONDS, Foreground, Place, is_alive

__all__ = ["MANAGE", "Visitor", "comments_site", "live", "password_of", "processes", "run"]

MANAGE = "examples/django_comments/manage.py"
PASSWORD = r"The users kim and lee are new, the password of both is (\S+)\n"


QUICKLY = """
from django.utils.autoreload import StatReloader

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
StatReloader.SLEEP_TIME = 0.1
"""


def comments_site(place: Place) -> Example:
    """The site, which is in no doubt for long whether a password is right, or whether a file has changed."""
    site = Example(place, "django_comments", {8000: 1, 7272: 1, 1236: 1, 2900: 1})
    with (site.folder / "website" / "settings.py").open("a") as settings:
        settings.write(QUICKLY)
    return site


def live(example: Example) -> Foreground:
    """Start it by its command; gives what runs, once both the cluster and the site do."""
    running = example.start(MANAGE, "live")
    running.ready()
    example.open_ports(8000)
    return running


def password_of(said: str) -> str:
    """The one that the first start prints."""
    found = re.search(PASSWORD, said)
    assert found, said
    return found[1]


def run(example: Example, code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Carry out code in a process of the site."""
    return subprocess.run(
        [sys.executable, MANAGE, "shell", "-c", code],
        cwd=example.place.folder,
        env={**example.place.environment, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )


def processes(place: Place) -> dict[int, str]:
    """Those that were started in this place and live, by their ids, as the system names them."""
    found = {}
    for pid in place._left():
        with contextlib.suppress(OSError):
            found[pid] = Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    return {pid: command for pid, command in found.items() if is_alive(pid)}


class NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        return None


class Forgetful(http.cookiejar.DefaultCookiePolicy):
    """Does not keep what the next page would show and take out: this visitor looks at none."""

    def set_ok(self, cookie: http.cookiejar.Cookie, request: urllib.request.Request) -> bool:
        return cookie.name != "messages" and super().set_ok(cookie, request)


class Visitor:
    """Somebody with cookies."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.cookies = http.cookiejar.CookieJar(Forgetful())
        self._opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPCookieProcessor(self.cookies), NoRedirects()
        )

    def __iter__(self) -> Iterator[tuple[str, str]]:
        """Names and values of the cookies."""
        return ((cookie.name, str(cookie.value)) for cookie in self.cookies)

    def get(self, path: str) -> tuple[int, str]:
        """Ask for a page; gives the status and the body."""
        return self._open(urllib.request.Request(self.url + path))

    def post(self, path: str, **fields: object) -> tuple[int, str]:
        """Send a form."""
        return self._send(path, fields, {"X-CSRFToken": dict(self).get("csrftoken", "")})

    def forge(self, path: str, **fields: object) -> tuple[int, str]:
        """Send a form as another site's page would: with the cookies, without the token."""
        return self._send(path, fields, {})

    def log_in(self, name: str, password: str) -> Visitor:
        self.get("/login/")
        status, body = self.post("/login/", username=name, password=password)
        assert status == 302, body
        return self

    def _send(self, path: str, fields: dict[str, object], headers: dict[str, str]) -> tuple[int, str]:
        return self._open(urllib.request.Request(self.url + path, urllib.parse.urlencode(fields).encode(), headers))

    def _open(self, request: urllib.request.Request) -> tuple[int, str]:
        try:
            with self._opener.open(request, timeout=SECONDS) as answer:
                return answer.status, answer.read().decode()
        except HTTPError as error:
            with error:
                return error.code, error.read().decode()
