"""The comments of a Django site under four gunicorn workers, with requests that its page does not make."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest
from websockets.sync.client import ClientConnection, connect

from tests.examples.django_comments import MANAGE, Visitor, comments_site, password_of, run
from tests.examples.support import Example
from tests.process.support import SECONDS, Place, until
from tidegate import GatewayClient

KIM, LEE = 1, 2
"""Primary keys."""
FOLDER = "examples/django_comments"
ROLLED_BACK = """
import django.db.transaction as transaction
from comments.models import Comment
try:
    with transaction.atomic():
        Comment.objects.create(author_id=2, receiver_id=1, text="rolled back")
        raise ValueError
except ValueError:
    pass
with transaction.atomic():
    comment = Comment.objects.create(author_id=2, receiver_id=1, text="committed")
comment.text = "changed"
comment.save()
"""
WITHOUT_CLUSTER = """
from django.test import Client
from django.contrib.auth.models import User
from comments.models import Comment
client = Client(SERVER_NAME="127.0.0.1")
client.force_login(User.objects.get(username="lee"))
print([
    client.post("/", {"receiver": 1, "text": "nobody is told"}).status_code,
    Comment.objects.filter(text="nobody is told").count(),
    client.post("/bind/", {"client_id": "7f0000010b5400000001"}).status_code,
    client.post("/seen/", {"last": 1}).status_code,
    client.post("/logout/").status_code,
])
"""


@pytest.fixture(scope="module")
def site(place: Place) -> Example:
    """Gunicorn and the cluster, as the README says."""
    site = comments_site(place)
    cluster = place.start(f"{FOLDER}/cluster.py")
    made = run(site, "from comments.management.commands.live import Command; Command().prepare()")
    (place.folder / "password").write_text(password_of(made.stdout))
    bind = f"127.0.0.1:{site.ports[8000]}"
    site.start("-m", "gunicorn", "--chdir", FOLDER, "--workers", "4", "--bind", bind, "website.wsgi")
    site.open_ports(8000)
    cluster.ready()
    return site


@pytest.fixture(scope="module")
def kim(site: Example) -> Visitor:
    return Visitor(site.url(8000)).log_in("kim", (site.place.folder / "password").read_text())


@pytest.fixture(scope="module")
def lee(site: Example) -> Visitor:
    return Visitor(site.url(8000)).log_in("lee", (site.place.folder / "password").read_text())


@pytest.fixture(scope="module")
def gateway(site: Example) -> Iterator[GatewayClient]:
    with GatewayClient(site.place.environment["TIDEGATE_CLUSTER"]) as client:
        yield client


class Page:
    """A connection to the gateway, whose id is known."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.client_id: str = json.loads(connection.recv(20))["client_id"]

    def receive(self) -> str:
        """The text of the next comment."""
        message = json.loads(self.connection.recv(20))
        assert message["type"] == "comment"
        return str(message["comment"]["text"])

    def is_quiet(self) -> bool:
        """Whether nothing came that was sent before this."""
        self.connection.send('{"type":"ping"}')
        return self.connection.recv(20) == '{"type":"pong"}'


@pytest.fixture
def open_page(site: Example) -> Iterator[Callable[[], Page]]:
    with ExitStack() as stack:
        yield lambda: Page(stack.enter_context(connect(site.url(7272, "ws"), proxy=None)))


OpenPage = Callable[[], Page]


def test_each_of_40_pages_gets_each_of_100_comments_once(
    open_page: OpenPage, kim: Visitor, lee: Visitor, gateway: GatewayClient
) -> None:
    pages = [open_page() for _ in range(40)]
    others = [open_page() for _ in range(2)]
    texts = [f"number {number}" for number in range(100)]
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(lambda page: kim.post("/bind/", client_id=page.client_id)[0], pages)) == {204}
        assert lee.post("/bind/", client_id=others[0].client_id)[0] == 204
        sent = set(pool.map(lambda text: lee.post("/", receiver=KIM, text=text)[0], texts))
    assert sent == {302}
    for page in pages:
        assert Counter(page.receive() for _ in texts) == Counter(texts)
    gateway.flush()
    assert all(page.is_quiet() for page in [*pages, *others])
    assert json.loads(kim.get("/comments/")[1])["unseen"] == 100
    assert kim.post("/seen/", last=10**9)[0] == 204


def test_bind_binds_nobody_without_a_login_or_a_token(
    site: Example, open_page: OpenPage, kim: Visitor, lee: Visitor, gateway: GatewayClient
) -> None:
    page, guest = open_page(), Visitor(site.url(8000))
    guest.get("/")
    assert guest.post("/bind/", client_id=page.client_id) == (204, "")
    assert guest.forge("/bind/", client_id=page.client_id)[0] == 403
    assert kim.forge("/bind/", client_id=page.client_id)[0] == 403
    assert kim.get(f"/bind/?client_id={page.client_id}")[0] == 405
    assert gateway.get_uid_by_client_id(page.client_id) is None


def test_bind_takes_no_nonsense_and_no_page_of_somebody_else(
    open_page: OpenPage, kim: Visitor, lee: Visitor, gateway: GatewayClient
) -> None:
    for client_id in ("", "x", "7f", "g" * 20, "7" * 21, "\0", "é" * 20):
        assert kim.post("/bind/", client_id=client_id)[0] == 400
    assert kim.post("/bind/")[0] == 400
    page = open_page()
    assert kim.post("/bind/", client_id=page.client_id)[0] == 204
    assert lee.post("/bind/", client_id=page.client_id)[0] == 409
    assert kim.post("/bind/", client_id=page.client_id)[0] == 204
    assert gateway.get_uid_by_client_id(page.client_id) == str(KIM)


def test_a_comment_that_is_wrong_reaches_nobody(open_page: OpenPage, kim: Visitor, lee: Visitor, site: Example) -> None:
    page = open_page()
    kim.post("/bind/", client_id=page.client_id)
    wrong: list[dict[str, object]] = [
        {"receiver": KIM},
        {"receiver": KIM, "text": " "},
        {"receiver": KIM, "text": "x" * 1001},
        {"receiver": KIM, "text": "\0"},
        {"receiver": LEE, "text": "to myself"},
        {"receiver": 99, "text": "to nobody"},
        {"receiver": "kim", "text": "by name"},
        {"text": "to whom?"},
    ]
    for fields in wrong:
        status, body = lee.post("/", **fields)
        assert status == 200
        assert "errorlist" in body
    assert lee.forge("/", receiver=KIM, text="forged")[0] == 403
    guest = Visitor(site.url(8000))
    guest.get("/")
    assert guest.post("/", receiver=KIM, text="a guest's")[0] == 302
    assert page.is_quiet()
    lee.post("/", receiver=KIM, text="right", author=KIM)
    assert page.receive() == "right"
    assert json.loads(kim.get("/comments/")[1])["comments"][0]["author"] == "lee"


def test_what_belongs_to_a_user_is_for_nobody_else(site: Example, kim: Visitor, lee: Visitor) -> None:
    lee.post("/", receiver=KIM, text="a secret")
    assert "a secret" in kim.get("/comments/")[1]
    assert "a secret" not in lee.get("/comments/")[1]
    guest = Visitor(site.url(8000))
    guest.get("/")
    assert guest.get("/comments/") == (401, "")
    assert guest.post("/seen/", last=1) == (401, "")
    assert lee.post("/seen/", last=10**9)[0] == 204
    assert json.loads(kim.get("/comments/")[1])["unseen"] > 0
    for last in ("", "-1", "x", "1.5", "9" * 30, "²"):
        assert kim.post("/seen/", last=last)[0] == 400
    assert kim.forge("/seen/", last=10**9)[0] == 403


def test_a_comment_that_is_rolled_back_or_changed_pushes_nothing(
    site: Example, open_page: OpenPage, kim: Visitor
) -> None:
    page = open_page()
    kim.post("/bind/", client_id=page.client_id)
    done = run(site, ROLLED_BACK)
    assert done.returncode == 0, done.stderr
    assert page.receive() == "committed"
    assert page.is_quiet()


def test_a_comment_is_saved_while_the_cluster_is_down(site: Example) -> None:
    done = run(site, WITHOUT_CLUSTER, TIDEGATE_CLUSTER="127.0.0.1:1")
    assert done.stdout.splitlines()[-1] == "[302, 1, 503, 204, 302]", done.stderr
    assert "127.0.0.1:1" in done.stderr  # each is logged


def test_a_client_says_nothing_to_others(open_page: OpenPage, kim: Visitor, lee: Visitor) -> None:
    page, other = open_page(), open_page()
    kim.post("/bind/", client_id=page.client_id)
    other.connection.send('{"type":"comment","comment":{"id":1}}')
    other.connection.send(b"\0\xff")
    assert other.is_quiet()
    assert page.is_quiet()


def test_processes_that_start_at_once_have_one_key_that_others_can_not_read(site: Example) -> None:
    key = site.folder / "fresh.key"
    code = f"from pathlib import Path; from website.secret import secret_key; print(secret_key(Path({str(key)!r})))"
    command = [sys.executable, "-c", code]
    starting = [subprocess.Popen(command, cwd=site.folder, stdout=subprocess.PIPE, text=True) for _ in range(6)]
    assert {process.communicate(timeout=SECONDS)[0] for process in starting} == {f"{key.read_text()}\n"}
    assert len(key.read_text()) > 60
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert (site.folder / "db.key").read_text() != key.read_text()


def test_a_page_that_there_is_not_tells_nothing(site: Example) -> None:
    status, body = Visitor(site.url(8000)).get("/nowhere")
    assert status == 404
    assert "DEBUG" not in body
    for path in ("/static/../manage.py", "/static/%2e%2e/manage.py", "/static//etc/passwd", "/db.key"):
        assert Visitor(site.url(8000)).get(path)[0] in (400, 404)


def test_the_migration_is_that_of_the_model(site: Example) -> None:
    command = [sys.executable, MANAGE, "makemigrations", "--check", "--dry-run"]
    done = subprocess.run(command, cwd=site.place.folder, env=site.place.environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_logging_out_closes_the_pages_of_the_session(
    site: Example, open_page: OpenPage, kim: Visitor, gateway: GatewayClient
) -> None:
    again = Visitor(site.url(8000)).log_in("kim", (site.place.folder / "password").read_text())
    page, other = open_page(), open_page()
    assert again.post("/bind/", client_id=page.client_id)[0] == 204
    assert kim.post("/bind/", client_id=other.client_id)[0] == 204
    assert again.post("/logout/")[0] == 302
    until(lambda: not gateway.is_online(page.client_id))
    assert gateway.is_online(other.client_id)
