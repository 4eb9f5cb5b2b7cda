"""Which app is meant, and importing it: ``app.py``, ``app.py:name``, ``package.module:name``."""

from __future__ import annotations

import importlib
import importlib.machinery
import importlib.util
import os
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, Protocol

from tidegate.errors import ConfigurationError
from tidegate.process.member import Member

__all__ = ["LoadedApp", "Target", "load", "parse_target", "read_new_code"]


NEW_SECONDS = 2
"""A file that was changed within them may be changed again without a difference in its time."""


class LoadedApp(Protocol):
    """What the supervised processes need of an app."""

    @property
    def members(self) -> tuple[Member, ...]: ...

    def describe(self, config: Mapping[str, Any]) -> dict[str, Any]: ...


@dataclass(frozen=True, slots=True)
class Target:
    """An app to import.

    Attributes:
        module: a dotted name; empty with a file.
        path: of a file, absolute.
        name: of the app in the module; empty for the only one there.
        arguments: where the name is a function that makes the app, what it is called with.
    """

    module: str = ""
    path: str = ""
    name: str = ""
    arguments: dict[str, Any] | None = field(default=None)

    def __str__(self) -> str:
        return (self.path or self.module) + (f":{self.name}" if self.name else "")


def parse_target(text: str) -> Target:
    """Read what stands on the command line.

    Raises:
        ConfigurationError: where there is no such file.
    """
    where, _, name = text.partition(":")
    if where.endswith(".py") or os.sep in where:
        if not os.path.isfile(where):
            raise ConfigurationError(f"there is no file {where}")
        if not where.endswith(".py"):
            raise ConfigurationError(f"{where} is no Python file: its name has to end in .py")
        return Target(path=os.path.abspath(where), name=name)
    if not all(part.isidentifier() for part in where.split(".")):
        raise ConfigurationError(f"{where!r} is neither a file such as app.py nor a module such as package.module")
    return Target(module=where, name=name)


def load(target: Target, app_type: type[Any]) -> LoadedApp:
    """Import the app.

    Raises:
        ConfigurationError: where the module has no such app. What importing raises passes through.
    """
    module = _import_file(target.path) if target.path else _import_module(target.module)
    if target.arguments is not None:
        app = getattr(module, target.name)(**target.arguments)
    elif target.name:
        app = getattr(module, target.name, None)
        if not isinstance(app, app_type):
            raise ConfigurationError(f"{target}: there is no App of that name")
    else:
        app = _the_only(module, target, app_type)
    loaded: LoadedApp = app
    return loaded


class SourceLoader(importlib.machinery.SourceFileLoader):
    """Does not cache the bytecode of a file that was changed just now.

    Python takes cached bytecode for current where the file has the same size and its time the same second, so that of
    two edits in a second the later would not be seen.
    """

    def set_data(self, path: str, data: Any, *, _mode: int = 0o666) -> None:
        """Write the cache."""
        if time.time() - os.stat(self.path).st_mtime > NEW_SECONDS:
            super().set_data(path, data, _mode=_mode)


def read_new_code() -> None:
    """Have every later import use the `SourceLoader`."""
    machinery = importlib.machinery
    hook = machinery.FileFinder.path_hook(
        (machinery.ExtensionFileLoader, machinery.EXTENSION_SUFFIXES),
        (SourceLoader, machinery.SOURCE_SUFFIXES),
        (machinery.SourcelessFileLoader, machinery.BYTECODE_SUFFIXES),
    )
    sys.path_hooks.insert(0, hook)
    sys.path_importer_cache.clear()


def _the_only(module: ModuleType, target: Target, app_type: type[Any]) -> Any:
    found: dict[int, tuple[str, Any]] = {}
    for name, value in vars(module).items():
        if isinstance(value, app_type):
            found.setdefault(id(value), (name, value))
    if not found:
        raise ConfigurationError(f"{target}: there is no App at the top level of the module: app = App(…)")
    if len(found) > 1:
        names = ", ".join(name for name, _ in found.values())
        raise ConfigurationError(f"{target}: there are several Apps, say which: {names}")
    return next(iter(found.values()))[1]


def _import_module(name: str) -> ModuleType:
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(error.name + ".")):
            raise ConfigurationError(f"there is no module {error.name}") from None
        raise


def _import_file(path: str) -> ModuleType:
    """Import as ``python path`` would, except for the module's name, so that ``if __name__ == …`` is passed over."""
    folder, file = os.path.split(path)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    name = file.removesuffix(".py")
    if name in sys.modules or name in sys.stdlib_module_names or not name.isidentifier():
        name = f"tidegate_app_{name}"
    spec = importlib.util.spec_from_file_location(name, path, loader=SourceLoader(name, path))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module
