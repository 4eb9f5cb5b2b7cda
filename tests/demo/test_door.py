"""The door for telnet, with nothing but sockets."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.demo.support import SECONDS, Demo


class Terminal:
    """Someone who came by telnet."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), SECONDS)
        self._file = self._socket.makefile("rb")
        greeting = self.read()
        found = re.search(r"[0-9a-f]{20}", greeting)
        assert found is not None
        assert greeting.startswith("Hello")
        self.id = found[0]

    def type(self, data: bytes) -> None:
        self._socket.sendall(data)

    def read(self) -> str:
        line = self._file.readline()
        assert line.endswith(b"\r\n"), line
        return line.decode().removesuffix("\r\n")

    def hears(self, line: str) -> None:
        """Read a line, and whatever strangers who come and go made the door say before it."""
        while (heard := self.read()) != line:
            assert heard.endswith((" came", " left")), heard

    def close(self) -> None:
        self._file.close()
        self._socket.close()


@pytest.fixture
def terminals(demo: Demo) -> Iterator[list[Terminal]]:
    """Three, of which each knows of those who came later."""
    with ExitStack() as stack:
        made: list[Terminal] = []
        for _ in range(3):
            terminal = Terminal(demo.tcp)
            stack.callback(terminal.close)
            for earlier in made:
                earlier.hears(f"{terminal.id} came")
            made.append(terminal)
        yield made


def test_everyone_who_came_by_the_door_hears_what_one_types(terminals: list[Terminal]) -> None:
    for speaker in terminals:
        speaker.type("hello, café\r\n".encode())
        for terminal in terminals:
            terminal.hears(f"{speaker.id} says: hello, café")


def test_who_leaves_is_said_to_the_others(terminals: list[Terminal]) -> None:
    gone = terminals.pop()
    gone.close()
    for terminal in terminals:
        terminal.hears(f"{gone.id} left")


def test_bytes_that_are_no_text_and_escape_sequences_do_no_harm(terminals: list[Terminal]) -> None:
    speaker = terminals[0]
    speaker.type(b"\xc3(\x80\xfe \x1b]0;title\x07\r\n")
    speaker.type(b"\r\n")  # says nothing
    for terminal in terminals:
        terminal.hears(f"{speaker.id} says: \ufffd(\ufffd\ufffd ]0;title")
