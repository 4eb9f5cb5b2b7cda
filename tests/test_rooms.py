"""The rooms of the source tree: who may know whom, and what importing may need."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import tidegate

SOURCE = Path(__file__).parent.parent / "src" / "tidegate"

# A room, and the rooms that it may import; `errors` and `speedups` belong to all.
UNDER_A_PROCESS = {"wire", "protocols", "net", "cluster", "client", "process"}
ROOMS = {
    "wire": set[str](),
    "protocols": set[str](),
    "net": {"protocols"},
    "cluster": {"wire", "net"},
    "client": {"wire", "cluster"},
    "process": {"net"},
    "register": UNDER_A_PROCESS,
    "gateway": UNDER_A_PROCESS,
    "business": UNDER_A_PROCESS,
    "http": UNDER_A_PROCESS,
}

# What a system without unix sockets, process groups and fork lacks.
WITHOUT_UNIX = """
import os, signal, socket, sys
for name in ("fcntl", "resource", "pwd", "grp", "termios", "uvloop"):
    sys.modules[name] = None
for module, names in ((os, ["fork", "getuid"]), (socket, ["AF_UNIX", "SO_REUSEPORT"]),
                      (signal, ["SIGCHLD", "SIGHUP", "SIGKILL", "SIGQUIT", "SIGUSR1"])):
    for name in names:
        delattr(module, name)
import tidegate, tidegate.cli, tidegate.push_server
print("imported")
"""


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


@pytest.mark.parametrize("room", ROOMS)
def test_no_room_knows_a_higher_one(room: str) -> None:
    allowed = {room, "errors", "speedups", *ROOMS[room]}
    for path in (SOURCE / room).rglob("*.py"):
        for module in imports(path):
            if module.split(".")[0] == "tidegate":
                assert module.split(".")[1] in allowed, f"{path.name} imports {module}"


def test_no_file_is_too_long_to_read() -> None:
    for path in SOURCE.rglob("*.py"):
        assert len(path.read_text().splitlines()) <= 400, path


def test_importing_needs_nothing_that_windows_lacks() -> None:
    done = subprocess.run([sys.executable, "-c", WITHOUT_UNIX], capture_output=True, text=True, timeout=30)
    assert done.stdout == "imported\n", done.stderr


def test_a_website_that_pushes_imports_no_gateway_and_no_worker() -> None:
    code = (
        "import sys; from tidegate import GatewayClient; print(*(name for name in sys.modules if 'tidegate.' in name))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)
    rooms = {name.split(".")[1] for name in done.stdout.split()}
    assert rooms >= {"client", "wire"}, done.stderr
    assert not rooms & {"gateway", "register", "process", "http", "worker"}


def test_every_name_of_the_front_door_is_there() -> None:
    assert set(tidegate.PLACES) == set(tidegate.__all__)
    assert all(getattr(tidegate, name).__name__ == name for name in tidegate.__all__)
    assert set(tidegate.__all__) <= set(dir(tidegate))
    with pytest.raises(AttributeError, match="has no attribute 'Gatway'"):
        tidegate.__getattr__("Gatway")
