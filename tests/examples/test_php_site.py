"""The PHP pages and what they run in: files that can be read by those they are for."""

from __future__ import annotations

import asyncio
import hmac
import importlib.util
import json
import re
import shutil
import subprocess
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from tests.examples.support import EXAMPLES, ROOT
from tidegate.testing import cluster

SITE = EXAMPLES / "php_site"
PHP = shutil.which("php")
SECRET = "a secret of some length"


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((SITE / "compose.yaml").read_text())["services"]
    return found


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.setenv("TIDEGATE_SECRET_KEY", SECRET)
    spec = importlib.util.spec_from_file_location("php_site_cluster", SITE / "cluster.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.skipif(PHP is None, reason="needs PHP: apt install php-cli")
@pytest.mark.parametrize("path", sorted(SITE.rglob("*.php")), ids=lambda path: path.name)
def test_a_page_is_php(path: Path) -> None:
    assert PHP is not None
    done = subprocess.run([PHP, "-n", "-l", str(path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.skipif(PHP is None, reason="needs PHP: apt install php-cli")
def test_php_knows_the_ticket_that_the_cluster_gave() -> None:
    assert PHP is not None
    client_id = "7f0000010b5400000001"
    # Word for word as in bind.php, which makes it of these two.
    expression = "hash_hmac('sha256', \"ticket $client_id\", $secret)"
    assert expression in (SITE / "public" / "bind.php").read_text()
    program = f"$client_id = '{client_id}'; $secret = '{SECRET}'; echo {expression};"
    done = subprocess.run([PHP, "-n", "-r", program], capture_output=True, text=True)
    assert done.stdout == ticket_of(client_id)


def test_no_client_id_is_used_before_its_ticket_was_checked() -> None:
    checked, used = (SITE / "public" / "bind.php").read_text().split("answer(400", 1)
    assert "hash_equals" in checked
    assert "Gateway::" not in checked
    assert "Gateway::bindUid" in used


def ticket_of(client_id: str) -> str:
    return hmac.digest(SECRET.encode(), f"ticket {client_id}".encode(), "sha256").hex()


def test_the_cluster_gives_a_ticket_with_the_client_id(module: ModuleType) -> None:
    async def main() -> None:
        async with cluster(module.app, secret_key=SECRET) as c, await c.connect() as page:
            assert await page.receive_json() == {
                "type": "init",
                "client_id": page.client_id,
                "ticket": ticket_of(page.client_id),
            }
            await page.send("anything")
            await page.send('{"type":"ping"}')
            assert await page.receive() == '{"type":"pong"}'

    asyncio.run(main())


def test_only_the_page_and_the_websocket_are_published_and_to_this_machine_alone(services: dict[str, Any]) -> None:
    assert {name: service["ports"] for name, service in services.items()} == {
        "cluster": ["127.0.0.1:7272:7272"],
        "site": ["127.0.0.1:8000:80"],
    }


def test_both_services_get_the_secret_from_outside_and_do_not_start_without(services: dict[str, Any]) -> None:
    for service in services.values():
        assert service["environment"]["TIDEGATE_SECRET_KEY"].startswith("${TIDEGATE_SECRET_KEY:?")
    files = [path for path in SITE.rglob("*") if path.is_file() and path.parent.name != "__pycache__"]
    written = [path.read_text() for path in files]
    assert not any(re.search("[0-9a-f]{32}", text) for text in written)


def test_the_site_waits_for_a_cluster_that_answers(services: dict[str, Any]) -> None:
    assert services["site"]["depends_on"] == {"cluster": {"condition": "service_healthy"}}
    assert services["site"]["environment"]["TIDEGATE_CLUSTER"] == "cluster:1236"
    command, *arguments = services["cluster"]["healthcheck"]["test"][1:]
    assert command == "python"
    compile(arguments[1], "healthcheck", "exec")


@pytest.mark.parametrize("name", ["cluster", "site"])
def test_an_image_is_made_of_files_that_are_there(name: str, services: dict[str, Any]) -> None:
    build = services[name]["build"]
    root = (SITE / build["context"]).resolve()
    assert root == ROOT
    dockerfile = root / build["dockerfile"]
    kept = dockerfile.with_name(dockerfile.name + ".dockerignore").read_text().splitlines()
    for arguments in re.findall(r"^COPY (?!--from)(.*)$", dockerfile.read_text(), re.M):
        for source in arguments.split()[:-1]:
            assert (root / source).exists(), source
            assert any(source == line[1:] or source.startswith(line[1:] + "/") for line in kept if line[0] == "!"), (
                source
            )


def test_composer_fetches_the_original_client() -> None:
    assert "workerman/gatewayclient" in json.loads((SITE / "composer.json").read_text())["require"]
    assert not (SITE / "vendor").exists()
