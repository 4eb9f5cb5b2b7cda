"""Examples as a person starts them: each by its one command, in a folder of its own and on ports that are free."""

from __future__ import annotations

import importlib.util
import re
import shutil
import socket
import sys
from pathlib import Path
from types import ModuleType

from tests.ports import free_ports
from tests.process.support import Foreground, Place, until

__all__ = ["EXAMPLES", "ROOT", "Example", "import_file"]

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
REGISTER, INNER = 1236, 2900
"""Ports that examples need not write: the defaults."""
TEXTS = {".py", ".html", ".js", ".toml", ".md", ".css"}


class Example:
    """A copy of an example that differs in nothing but its ports.

    Args:
        place: whose folder gets the copy, as ``examples/NAME`` beside the repository's ``js``.
        name: of its folder.
        ports: each port that its files name, and how many in a row from there are used. Register's 1236 and the
            inner ports from 2900 hold also where the files leave them to the defaults.
    """

    def __init__(self, place: Place, name: str, ports: dict[int, int]) -> None:
        root, self.place = place.folder, place
        self.folder = root / "examples" / name
        shutil.copytree(EXAMPLES / name, self.folder, ignore=shutil.ignore_patterns("__pycache__", "*.sqlite3"))
        (root / "js").symlink_to(ROOT / "js")
        self.ports = {port: free_ports(count) for port, count in ports.items()}
        if REGISTER in ports:
            place.environment["TIDEGATE_CLUSTER"] = f"127.0.0.1:{self.ports[REGISTER]}"
        if INNER in ports:
            place.environment["TIDEGATE_START_PORT"] = str(self.ports[INNER])
        for path in self.folder.rglob("*"):
            if path.suffix in TEXTS:
                path.write_text(self.moved(path.read_text()))

    def moved(self, text: str) -> str:
        """A text with the copy's ports."""
        return re.sub(r"\b\d{4,5}\b", lambda found: str(self.ports.get(int(found[0]), found[0])), text)

    def set(self, **constants: float) -> None:
        """Give other values to constants of its files; each has to be there."""
        for name, value in constants.items():
            found = 0
            for path in self.folder.glob("*.py"):
                code, count = re.subn(rf"^{name} = [^#\n]*\b", f"{name} = {value}", path.read_text(), flags=re.M)
                found += count
                path.write_text(code)
            assert found, f"there is no {name}"

    def url(self, port: int, scheme: str = "http") -> str:
        """Where something listens, by the port that the example's files name."""
        return f"{scheme}://127.0.0.1:{self.ports[port]}"

    def start(self, *command: str) -> Foreground:
        """Start it from the root, as its README says; gives what runs, once it says so.

        Args:
            command: for Python: ``examples/NAME/app.py`` is started by ``tidegate`` where nothing else is said.
        """
        command = command or ("-m", "tidegate", "start", f"examples/{self.folder.name}/app.py")
        return self.place.launch(sys.executable, *command)

    def open_ports(self, *ports: int) -> None:
        """Wait until something listens on each of these, by the ports that the example's files name."""
        for port in ports:
            until(lambda port=port: is_open(self.ports[port]))  # type: ignore[misc]


def is_open(port: int) -> bool:
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0


def import_file(path: str) -> ModuleType:
    """Import a file of an example, as ``NAME/file.py``, anew each time; what it imports from beside it is not found."""
    spec = importlib.util.spec_from_file_location(path.removesuffix(".py").replace("/", "_"), EXAMPLES / path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
