"""Devices of two protocols, and pages that show and switch them, in one cluster: `tidegate start app.py`.

What happens to what they say is in handlers.py, which does not know by which protocol it comes.
"""

import asyncio
from pathlib import Path
from typing import Any

from device import FRAME_PORT, PACKET_PORT, live
from handlers import PAGE_PORT, business
from packets import Packets
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

from tidegate import App, Gateway, Register, Worker

HERE = Path(__file__).parent
HEARTBEAT = 6  # seconds; devices say something every 3, and after some 10 of silence the gateway closes the connection


class Files(StaticFiles):
    """The page's files, which no other site may put into a frame to have its buttons pressed."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        response = super().file_response(*args, **kwargs)
        response.headers["Content-Security-Policy"] = (
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src ws: wss:; "
            "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        )
        return response


site = Starlette(
    routes=[
        Mount("/js", Files(directory=HERE.parents[1] / "js" / "browser")),
        Mount("/", Files(directory=HERE / "page", html=True)),
    ]
)
simulated = Worker(None, name="simulated")
app = App(
    Register("127.0.0.1:1236"),
    Gateway(f"websocket://127.0.0.1:{PAGE_PORT}", name="pages", max_message_size=1024),
    Gateway(
        f"frame://127.0.0.1:{FRAME_PORT}",
        name="frames",
        encoding="utf-8",
        max_message_size=1024,
        start_port=2901,
        ping_interval=HEARTBEAT,
        ping_not_response_limit=1,
        ping_data="",  # ask nothing: devices speak by themselves
    ),
    Gateway(
        f"tcp://127.0.0.1:{PACKET_PORT}",
        name="packets",
        protocol=Packets,
        start_port=2902,
        ping_interval=HEARTBEAT,
        ping_not_response_limit=1,
        ping_data="",
    ),
    business,
    Worker("http://127.0.0.1:8000", name="site", app=site),
    simulated,
)


# Two devices made of software, so that there is something to see: without them leave `simulated` out of the app


@simulated.on_worker_start
def plug_in(worker: Worker) -> None:
    worker.devices = [
        asyncio.create_task(live("lamp", packets=False)),
        asyncio.create_task(live("heater", packets=True)),
    ]


@simulated.on_worker_stop
def unplug(worker: Worker) -> None:
    for device in worker.devices:
        device.cancel()
