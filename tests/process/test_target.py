from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tidegate import App, Worker
from tidegate.errors import ConfigurationError
from tidegate.process.target import SourceLoader, Target, load, parse_target

ONE = "from tidegate import App, Worker\napp = App(Worker(name='one'))\n"
TWO = ONE + "also = app\nother = App(Worker(name='two'))\n"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder to be in; what is imported there is forgotten."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    modules = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - modules:
        del sys.modules[name]


def names(target: Target) -> list[str]:
    return [member.name for member in load(target, App).members]


def test_a_file_is_meant_by_its_path(folder: Path) -> None:
    (folder / "app.py").write_text(ONE)
    target = parse_target("app.py")
    assert target == Target(path=str(folder / "app.py"))
    assert parse_target("./app.py:app") == Target(path=str(folder / "app.py"), name="app")
    assert str(parse_target("app.py:app")) == f"{folder / 'app.py'}:app"
    assert names(target) == ["one"]


def test_a_module_is_meant_by_its_dotted_name(folder: Path) -> None:
    (folder / "some_package").mkdir()
    (folder / "some_package" / "live.py").write_text(TWO)
    target = parse_target("some_package.live:other")
    assert target == Target(module="some_package.live", name="other")
    assert names(target) == ["two"]


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("missing.py", "there is no file missing.py"),
        ("folder/missing", "there is no file folder/missing"),
        ("folder.py", "there is no file folder.py"),
        ("./notes.txt", "./notes.txt is no Python file: its name has to end in .py"),
        ("no-module", "'no-module' is neither a file such as app.py nor a module such as package.module"),
        ("", "'' is neither a file such as app.py nor a module such as package.module"),
    ],
)
def test_what_can_not_be_an_app_is_refused(folder: Path, text: str, error: str) -> None:
    (folder / "folder.py").mkdir()
    (folder / "notes.txt").touch()
    with pytest.raises(ConfigurationError) as raised:
        parse_target(text)
    assert str(raised.value) == error


@pytest.mark.parametrize(
    ("text", "code", "error"),
    [
        ("app.py", "x = 1", "there is no App at the top level of the module: app = App(…)"),
        ("app.py", TWO, "there are several Apps, say which: app, other"),
        ("app.py:x", ONE, "there is no App of that name"),
        ("app.py:Worker", ONE, "there is no App of that name"),
        ("nothing_here", ONE, "there is no module nothing_here"),
        ("some.thing", ONE, "there is no module some"),
    ],
)
def test_a_module_without_that_app_is_refused(folder: Path, text: str, code: str, error: str) -> None:
    (folder / "app.py").write_text(code)
    with pytest.raises(ConfigurationError) as raised:
        load(parse_target(text), App)
    assert str(raised.value).endswith(error)


def test_what_the_module_itself_fails_to_import_is_no_missing_app(folder: Path) -> None:
    (folder / "broken_app.py").write_text("import missing_library")
    with pytest.raises(ModuleNotFoundError, match="missing_library"):
        load(parse_target("broken_app"), App)


def test_a_file_may_be_called_as_a_module_of_pythons(folder: Path) -> None:
    (folder / "json.py").write_text(ONE + "from json import *\n")
    assert names(parse_target("json.py")) == ["one"]
    assert hasattr(sys.modules["json"], "loads")


def test_a_main_guard_is_passed_over(folder: Path) -> None:
    (folder / "app.py").write_text(ONE + "if __name__ == '__main__': raise SystemExit\n")
    assert names(parse_target("app.py")) == ["one"]


def test_a_function_makes_the_app_where_arguments_are_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[__name__], "make", lambda name: App(Worker(name=name)), raising=False)
    assert names(Target(module=__name__, name="make", arguments={"name": "made"})) == ["made"]


def test_bytecode_is_cached_only_for_files_that_were_not_changed_just_now(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    monkeypatch.setattr(sys, "pycache_prefix", None)
    path = folder / "code.py"
    path.write_text("x = 1")
    loader = SourceLoader("code", str(path))
    assert loader.get_code("code")
    assert not (folder / "__pycache__").exists()
    os.utime(path, (1_000_000_000, 1_000_000_000))
    assert loader.get_code("code")
    assert list((folder / "__pycache__").iterdir())
