from __future__ import annotations

import os
import socket
import threading
from pathlib import Path

import pytest

from tidegate.errors import ConfigurationError
from tidegate.process import instance as module
from tidegate.process.control import ask
from tidegate.process.instance import Instance, run_folder, running
from tidegate.process.target import Target


@pytest.fixture(autouse=True)
def folder(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path_factory.mktemp("run")
    monkeypatch.setenv("TIDEGATE_RUN_DIR", str(folder))
    monkeypatch.setattr(module, "MAX_SOCKET_PATH", 1000)  # nothing listens here
    monkeypatch.setattr(module, "LOCK_SECONDS", 0.05)
    return folder


def test_an_app_runs_once(folder: Path) -> None:
    app = Instance.of(Target(module="app"), "app")
    assert not app.is_running()
    lock = app.lock()
    try:
        assert app.is_running()
        assert app.pid() == os.getpid()
        assert running() == [app]
        with pytest.raises(ConfigurationError, match=f"it is running already \\(pid {os.getpid()}\\)"):
            app.lock()
    finally:
        os.close(lock)
    assert not app.is_running()
    assert running() == []


def test_the_files_of_one_that_was_killed_are_in_nobodys_way() -> None:
    app = Instance("app-1")
    os.close(app.lock())
    assert app.pid_file.exists()
    lock = app.lock()
    app.clean()
    os.close(lock)
    assert not app.pid_file.exists()
    app.clean()


def test_who_looks_whether_it_runs_does_not_keep_it_from_starting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOCK_SECONDS", 30)
    app = Instance("app-1")
    looking = app.lock()
    timer = threading.Timer(0.1, os.close, [looking])
    timer.start()
    os.close(app.lock())
    timer.join()


def test_a_lock_on_a_file_that_was_taken_away_is_no_lock(monkeypatch: pytest.MonkeyPatch) -> None:
    app = Instance("app-1")
    attempts: list[int] = []
    try_lock = module._try_lock

    def unlink_first(fd: int) -> bool:
        attempts.append(fd)
        if len(attempts) == 1:
            app.clean()  # the predecessor leaves between our opening and locking
        return try_lock(fd)

    monkeypatch.setattr(module, "_try_lock", unlink_first)
    lock = app.lock()
    assert len(attempts) == 2
    assert app.pid() == os.getpid()
    assert app.is_running()
    os.close(lock)


def test_apps_are_told_apart_by_all_that_makes_them() -> None:
    targets = [
        Target(path="/a/app.py"),
        Target(path="/b/app.py"),
        Target(path="/a/app.py", name="x"),
        Target(module="m", name="make", arguments={"a": 1}),
        Target(module="m", name="make", arguments={"a": 2}),
    ]
    keys = {Instance.of(target, "live chat/é").key for target in targets}
    assert len(keys) == len(targets)
    assert all(key.startswith("live_chat__-") for key in keys)


def test_a_secret_does_not_show_in_the_files_names() -> None:
    apps = (Target(module="m", name="make", arguments={"listen": "a", "token_secret": secret}) for secret in "xy")
    assert len({Instance.of(app, "m") for app in apps}) == 1


def test_the_folder_is_made_for_the_user_alone(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEGATE_RUN_DIR", str(folder / "a" / "b"))
    assert run_folder() == folder / "a" / "b"
    assert (folder / "a" / "b").stat().st_mode & 0o777 == 0o700


def test_without_being_told_it_is_in_the_users_state_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TIDEGATE_RUN_DIR")
    monkeypatch.setenv("XDG_STATE_HOME", str(folder))
    assert run_folder() == folder / "tidegate"


def test_a_folder_that_others_may_write_to_is_refused(folder: Path) -> None:
    folder.chmod(0o777)
    with pytest.raises(ConfigurationError, match=r"not writable by others\. Set TIDEGATE_RUN_DIR"):
        run_folder()


def test_a_folder_with_too_long_a_path_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.setenv("TIDEGATE_RUN_DIR", "/tmp/" + "x" * 80)
    with pytest.raises(ConfigurationError, match="must be a short path"):
        run_folder()


def test_an_app_that_is_not_there_or_silent_is_an_error(folder: Path) -> None:
    with pytest.raises(ConfigurationError, match="the app can't be reached: No such file"):
        ask(folder / "a.sock", "status")


def test_an_app_that_does_not_answer_in_time_or_ends_is_an_error(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    os.chdir(folder)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("a.sock")
        server.listen()
        with pytest.raises(ConfigurationError, match="did not answer within 0 seconds"):
            ask(Path("a.sock"), "status", seconds=0.05)

        def hang_up() -> None:
            for _ in range(2):
                server.accept()[0].close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        with pytest.raises(ConfigurationError, match=r"the app (ended before it answered|can't be reached)"):
            ask(Path("a.sock"), "status")
        thread.join()
