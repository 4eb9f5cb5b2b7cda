"""The code on the pages of docs/, run in a test's own cluster."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import re
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

from tidegate.net import loops

__all__ = ["DOCS", "ROOT", "blocks", "files", "importable", "load", "run"]

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


def blocks(path: Path, language: str) -> list[str]:
    """What a page has between fences of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", path.read_text(), re.M | re.S)


def files(path: Path, language: str = "py") -> dict[str, str]:
    """The blocks that are whole files, whose first line is a comment with the name: ``{name: code}``."""
    found = {}
    for code in blocks(path, language):
        if named := re.match(r"(?:#|//|<!--|<\?php //) ([\w-]+\.\w+)", code):
            assert named[1] not in found, f"{path.name} has two {named[1]}"
            found[named[1]] = code
    return found


def load(path: Path, name: str, namespace: dict[str, Any] | None = None) -> dict[str, Any]:
    """Run a page's file as a module that is imported; gives its names.

    Args:
        path: of the page.
        name: of the file on it.
        namespace: names that the code has besides, which are added to.
    """
    names = {} if namespace is None else namespace
    names["__name__"] = Path(name).stem
    exec(compile(files(path)[name], f"{path.name}: {name}", "exec"), names)
    return names


@contextlib.contextmanager
def importable(path: Path, folder: Path, ports: dict[str, str] | None = None) -> Iterator[Callable[[str], Any]]:
    """Write a page's files, so that they can import each other; gives what imports one of them.

    Args:
        path: of the page.
        folder: for the files.
        ports: and other text that is replaced in them.
    """
    code = files(path)
    for name, text in code.items():
        for old, new in (ports or {}).items():
            text = text.replace(old, new)
        (folder / name).write_text(text)
        sys.modules.pop(Path(name).stem, None)
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    try:
        yield importlib.import_module
    finally:
        sys.path.remove(str(folder))
        for name in code:
            sys.modules.pop(Path(name).stem, None)


def run(test: Callable[[], Awaitable[None]]) -> None:
    """Run a test in a loop, for half a minute at most."""

    async def limited() -> None:
        async with asyncio.timeout(30):
            await test()

    loops.run(limited())
