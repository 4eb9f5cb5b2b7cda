"""The code of docs/testing.md, run by the runners of tests that it names."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "testing.md"


def write_files(folder: Path) -> list[str]:
    """The page's code in files, by the names in its first lines."""
    files = dict(re.findall(r"^```py\n# (\w+\.py)\n(.*?)^```$", PAGE.read_text(), re.M | re.S))
    for name, code in files.items():
        (folder / name).write_text(code)
    return sorted(name for name in files if name.startswith("test_"))


def run_pytest(folder: Path, plugin: str, *names: str) -> str:
    # Without a cache and with warnings as errors, alone in its folder; other plugins take a second to load.
    alone = ["-W", "error", "-p", "no:cacheprovider", "-p", plugin, "--rootdir", "."]
    command = [sys.executable, "-m", "pytest", *alone, *names]
    environment = os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=50)
    return done.stdout + done.stderr


def test_the_tests_on_the_page_pass_with_pytest_asyncio(tmp_path: Path) -> None:
    (tmp_path / "pytest.ini").write_text("[pytest]\nasyncio_default_fixture_loop_scope = function\n")
    names = write_files(tmp_path)
    assert names == ["test_chat.py", "test_fixture.py"]
    assert "3 passed" in run_pytest(tmp_path, "pytest_asyncio.plugin", *names)


def test_they_pass_with_anyio_too_in_both_loops(tmp_path: Path) -> None:
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "conftest.py").write_text(
        "import pytest\n\n"
        "@pytest.fixture(params=[{}, {'use_uvloop': True}])\n"
        "def anyio_backend(request):\n    return 'asyncio', request.param\n"
    )
    names = write_files(tmp_path)
    for name in names:
        path = tmp_path / name
        code = path.read_text().replace("import pytest_asyncio\n", "").replace("pytest_asyncio.", "pytest.")
        path.write_text(code.replace("mark.asyncio", "mark.anyio"))
    assert "6 passed" in run_pytest(tmp_path, "anyio.pytest_plugin", *names)
