"""docs/php.md: what its code calls, made by a client that behaves as the original does."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any
from urllib.parse import urlsplit

from tests.docs.support import DOCS, ROOT, files, run
from tests.http.support import ask
from tests.php.client import PhpClient
from tidegate import BusinessWorker
from tidegate.push_server import push_server
from tidegate.testing import cluster

PAGE = DOCS / "php.md"
CALL = re.compile(r"Gateway::(\w+)\((.*)\)(?:;|\) {)$", re.M)


def code(name: str) -> str:
    return files(PAGE, "php")[name]


def value(text: str, variables: dict[str, Any]) -> Any:
    """What an expression of PHP is, of the few kinds on the page."""
    for name, content in variables.items():
        text = text.replace(name, repr(content))
    text = re.sub(r"\[([^][]*=>[^][]*)\]", lambda array: "{" + array[1].replace("=>", ":") + "}", text)
    return eval(text.replace("' . '", ""), {"json_encode": json.dumps})


async def call_all(name: str, php: PhpClient, variables: dict[str, Any]) -> list[Any]:
    """Make a file's calls in order; gives what they return."""
    results = []
    for method, arguments in CALL.findall(code(name)):
        given = value(f"({arguments},)", variables)
        if method == "isUidOnline":  # which asks in the original, too
            results.append(bool(await php.getClientIdByUid(str(*given))))
        else:
            results.append(await getattr(php, method)(*given))
    return results


def test_its_calls_bind_a_page_and_reach_it() -> None:
    posted = {
        "$_POST['client_id']": "",
        "$_SESSION['user']": "42",
        "$_SESSION['team']": "7",
        "$_SESSION['name']": "Kim",
    }

    async def test() -> None:
        async with cluster(secret_key="s3cret") as c, await c.connect() as page:
            php = PhpClient(int(c.address.rpartition(":")[2]), "s3cret")
            assert await call_all("comment.php", php, {}) == [None, False]
            posted["$_POST['client_id']"] = page.client_id
            assert len(await call_all("bind.php", php, posted)) == 3
            await call_all("push.php", php, {})
            assert await page.receive_json() == {"type": "mail", "unread": 3}
            assert await page.receive() == "we close in five minutes"
            assert await call_all("comment.php", php, {}) == [None, True]
            await call_all("careful.php", php, {})
            assert [await page.receive() for _ in range(2)] == ["a new comment"] * 2
            assert await c.push.get_session(page.client_id) == {"name": "Kim"}

    run(test)


def test_every_name_in_it_has_its_counterpart() -> None:
    names = (DOCS / "moving-from-php.md").read_text()
    recorded = json.loads((ROOT / "tests" / "vectors" / "gateway_client.json").read_text())["steps"]
    methods = {method for file in files(PAGE, "php").values() for method, _ in CALL.findall(file)}
    assert methods <= {step["call"] for step in recorded}
    properties = re.findall(r"Gateway::(\$\w+)", code("push.php"))
    for name in (*methods, *properties):
        assert re.search(rf"[`:]{re.escape(name)}[`(]", names), name


def json_in(name: str) -> Any:
    (array,) = re.findall(r"json_encode\((\[.*?\])\)", code(name))
    return value(array, {})


def test_its_line_pushes_through_the_push_server() -> None:
    async def test() -> None:
        async with cluster(push_server(heartbeat=0, count=2)) as c, await c.connect() as page:
            await page.send("uid1")
            await c.settle()
            reader, writer = await asyncio.open_connection("127.0.0.1", urlsplit(c.addresses["inner"]).port)
            line = json.dumps(json_in("line.php"))
            writer.write(line.encode() + b"\n")
            assert await reader.readline() == b"ok\n"
            assert await page.receive() == line
            writer.close()

    run(test)


def test_its_request_pushes_through_the_door() -> None:
    business = BusinessWorker()
    business.serve_http("http://127.0.0.1:8585")
    (target,) = re.findall(r"http://127.0.0.1:8585(/\S+)'", code("request.php"))

    async def test() -> None:
        async with cluster(business) as c, await c.connect() as page:
            await c.push.bind_uid(page.client_id, 42)
            await c.push.flush()
            port = urlsplit(c.addresses["http-8585"]).port
            assert port is not None
            answer = await ask(port, target, "POST", json.dumps(json_in("request.php")).encode())
            assert answer.text == '{"result": null}'
            assert await page.receive() == "a new comment"

    run(test)
