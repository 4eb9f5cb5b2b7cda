"""What a web page can do to a door on its visitor's machine that needs no token: nothing."""

from __future__ import annotations

import asyncio

from playwright.async_api import Browser, async_playwright
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse
from starlette.routing import Route

from tests.browsers import CHROMIUM, QUIET, needs_chromium
from tests.http.support import Recorder, ask, door
from tests.net.support import serving
from tidegate import Worker

FLAGS = [*QUIET, "--host-resolver-rules=MAP rebound.example 127.0.0.1"]

pytestmark = needs_chromium

GET = "/?method=sendToAll&args[]=hello"
ATTACKS = """
async url => {
    const get = `${url}/?method=sendToAll&args[]=hello`, post = `${url}/api/send_to_all`;
    const body = '{"message": "hello"}';
    const outcome = async (call) => { try { return (await call()).type } catch { return "failed" } };
    const outcomes = [
        await outcome(() => fetch(get, {mode: "no-cors"})),
        await outcome(() => fetch(get)),
        await outcome(() => fetch(get, {mode: "no-cors", referrerPolicy: "no-referrer", credentials: "omit"})),
        await outcome(() => fetch(post, {method: "POST", mode: "no-cors", body})),
        await outcome(() => fetch(post, {method: "POST", body, headers: {"Content-Type": "application/json"}})),
        await outcome(() => fetch(`${url}/openapi.json`)),
    ];
    navigator.sendBeacon(post, new Blob([body], {type: "text/plain"}));
    const loads = (tag, set) => new Promise((resolve) => {
        const element = document.createElement(tag);
        element.onload = element.onerror = resolve;
        set(element);
        document.body.append(element);
    });
    await loads("img", (image) => image.src = get);
    await loads("script", (script) => script.src = get);
    await loads("iframe", (frame) => frame.src = get);
    await loads("iframe", (frame) => { frame.sandbox = "allow-scripts"; frame.src = get; });
    await loads("img", (image) => image.src = `/redirect?to=${encodeURIComponent(get)}`);
    await loads("iframe", (frame) => {
        frame.name = "target";
        frame.srcdoc = "";
    });
    const form = document.createElement("form");
    Object.assign(form, {method: "POST", action: post, target: "target", enctype: "text/plain"});
    form.innerHTML = `<input name='{"message": "hello", "' value='": 1}'>`;
    document.body.append(form);
    const frame = document.querySelector("iframe[name=target]");
    await new Promise((resolve) => { frame.onload = resolve; form.submit(); });
    return outcomes;
}
"""


async def page_of(request: Request) -> HTMLResponse:
    return HTMLResponse("<!doctype html><title>Kittens</title><body>")


async def redirect(request: Request) -> RedirectResponse:
    return RedirectResponse(request.query_params["to"])


SITE = Starlette(routes=[Route("/", page_of), Route("/redirect", redirect)])


async def attack(browser: Browser) -> None:
    recorder = Recorder()
    async with door(recorder) as port, serving(Worker("http://127.0.0.1:0", app=SITE)) as other:
        page = await browser.new_page()
        page.set_default_timeout(10_000)
        await page.goto(f"http://127.0.0.1:{other}/")
        for host in ("127.0.0.1", "localhost"):
            outcomes = await page.evaluate(ATTACKS, f"http://{host}:{port}")
            assert set(outcomes) <= {"opaque", "failed"}, outcomes
        await page.evaluate("url => { location = url }", f"http://127.0.0.1:{port}{GET}")
        await page.wait_for_url("**/?method=**")
        assert "Sec-Fetch-Site" in await page.inner_text("body")

        await page.goto(f"http://rebound.example:{port}{GET}")  # a name of the page's own that leads here
        assert "Host" in await page.inner_text("body")
        assert recorder.calls == []

        await page.goto(f"http://127.0.0.1:{port}{GET}")  # as typed by whoever sits there
        assert await page.inner_text("body") == "ok"
        assert await page.evaluate("async () => (await fetch('/openapi.json')).status") == 403  # even its own pages
        assert len(recorder.calls) == 1
        assert (await ask(port, GET)).text == "ok"


def test_no_page_gets_through_and_a_person_and_a_program_do() -> None:
    async def main() -> None:
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
            try:
                async with asyncio.timeout(50):
                    await attack(browser)
            finally:
                await browser.close()

    asyncio.run(main())
