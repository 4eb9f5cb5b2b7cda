"""The client's own tests, which Node runs: with sockets and time that are the tests'."""

from __future__ import annotations

import subprocess

import pytest

from tests.js.support import NODE, PACKAGE, WHERE_NODE_IS


@pytest.mark.skipif(NODE is None, reason=WHERE_NODE_IS)
def test_the_clients_own_tests_pass() -> None:
    assert NODE is not None
    files = sorted(path.relative_to(PACKAGE) for path in (PACKAGE / "test").glob("*.test.js"))
    done = subprocess.run([NODE, "--test", *files], cwd=PACKAGE, capture_output=True, text=True, timeout=50)
    assert done.returncode == 0, done.stdout + done.stderr
