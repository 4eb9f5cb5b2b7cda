"""Who is given which listening socket."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from tests.ports import free_port
from tidegate.errors import AddressError
from tidegate.process.ports import Ports
from tidegate.process.slots import Process, Slot


class Ended:
    def __init__(self) -> None:
        self.is_done = False

    def done(self) -> bool:
        return self.is_done


class Fake:
    """As much of a process as matters here."""

    def __init__(self, slot: Slot) -> None:
        self.title = slot.title
        self.exited = Ended()


def process(slot: Slot) -> Process:
    return cast("Process", Fake(slot))


def end(process: Process) -> None:
    cast("Any", process.exited).is_done = True


def worker(name: str, listen: str | None, reuse_port: bool = False) -> dict[str, Any]:
    return {"name": name, "listen": listen, "reuse_port": reuse_port}


def topology(*workers: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {worker["name"]: worker for worker in workers}


def is_listening(port: int) -> bool:
    with socket.socket() as sock:
        sock.settimeout(10)
        return sock.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def ports() -> Iterator[Ports]:
    ports = Ports()
    yield ports
    ports.close()


@pytest.fixture
def address() -> str:
    return f"text://127.0.0.1:{free_port()}"


def number(address: str) -> int:
    return int(address.rpartition(":")[2])


A, B = Slot("a", 0), Slot("a", 1)


def test_all_processes_of_a_worker_are_given_its_main_socket(ports: Ports, address: str) -> None:
    assert ports.open_mains(topology(worker("a", address), worker("timers", None))) == [("a", address)]
    assert ports.give(A, process(A), address, False) == ports.give(B, process(B), address, False)
    assert ports.open_mains(topology(worker("a", address))) == []


def test_main_addresses_are_opened_all_or_not_at_all(ports: Ports, address: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        other = f"text://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(AddressError, match=f"can't listen on {other}: it is in use"):
            ports.open_mains(topology(worker("a", address), worker("b", other)))
    assert not is_listening(number(address))


def test_a_main_port_passes_on_to_another_name_or_protocol_and_back(ports: Ports, address: str) -> None:
    before, after = topology(worker("a", address)), topology(worker("b", address.replace("text", "websocket")))
    ports.open_mains(before)
    opened = ports.open_mains(after)
    for name, where in opened:  # it failed
        ports.close_main(name, where)
    assert is_listening(number(address))
    ports.open_mains(after)
    ports.keep_mains(after)
    assert is_listening(number(address))
    ports.keep_mains({})
    assert not is_listening(number(address))


def test_a_port_passes_on_to_one_worker_only(ports: Ports, address: str) -> None:
    ports.open_mains(topology(worker("a", address)))
    with pytest.raises(AddressError, match="it is in use"):
        ports.open_mains(topology(worker("b", address), worker("c", address)))


def test_a_unix_socket_passes_on_with_its_file(ports: Ports, tmp_path: Path) -> None:
    path = Path("/tmp") / f"tidegate-{tmp_path.name[-20:]}-{free_port()}"
    ports.open_mains(topology(worker("a", f"unix://{path}")))
    after = topology(worker("b", f"unix://{path}"))
    ports.open_mains(after)
    ports.keep_mains(after)
    assert path.exists()
    ports.keep_mains({})
    assert not path.exists()


def test_another_port_0_is_another_port(ports: Ports) -> None:
    address = "text://127.0.0.1:0"
    ports.open_mains(topology(worker("a", address)))
    first = process(A)
    given = [ports.give(A, first, address, False)[0] for _ in range(3)]
    assert len({sock.getsockname() for sock in given}) == 3
    successor = process(A)
    assert [ports.give(A, successor, address, False)[0] for _ in range(3)] == given


def test_a_process_listens_once_on_an_address(ports: Ports, address: str) -> None:
    beside = f"text://127.0.0.1:{free_port()}"
    ports.open_mains(topology(worker("a", address)))
    first = process(A)
    ports.give(A, first, address, False)
    ports.give(A, first, beside, False)
    for where in (address, beside):
        with pytest.raises(AddressError, match="this process does already"):
            ports.give(A, first, where, False)


def test_a_port_that_a_process_opened_belongs_to_its_place(ports: Ports, address: str) -> None:
    first = process(A)
    given = ports.give(A, first, address, False)
    with pytest.raises(AddressError, match=r"a#0 does already\. With reuse_port=True"):
        ports.give(B, process(B), address, False)
    end(first)
    assert ports.give(A, process(A), address, False) == given


def test_with_reuse_port_all_processes_share_it(ports: Ports, address: str) -> None:
    given = ports.give(A, process(A), address, True)
    assert ports.give(B, process(B), address, True) == given
    with pytest.raises(AddressError, match="a#0, a#1 does already"):
        ports.give(Slot("a", 2), process(Slot("a", 2)), address, False)


def test_new_code_begins_and_ends_sharing(ports: Ports, address: str) -> None:
    given = ports.give(A, process(A), address, False)
    assert ports.give(A, process(A), address, True) == given
    other = process(B)
    assert ports.give(B, other, address, True) == given
    end(other)
    assert ports.give(A, process(A), address, False) == given


def test_a_port_that_its_last_user_left_is_closed_and_one_of_a_dead_process_is_not(ports: Ports, address: str) -> None:
    first, second = process(A), process(B)
    ports.give(A, first, address, True)
    ports.give(B, second, address, True)
    ports.left(first, address, {first, second})
    assert is_listening(number(address))
    ports.left(second, address, {first, second})
    assert not is_listening(number(address))
    third = process(A)
    ports.give(A, third, address, False)
    end(third)
    assert is_listening(number(address))
    ports.prune(set())
    assert not is_listening(number(address))


def test_a_main_address_stays_when_its_worker_stops_listening_and_may_be_had_again(ports: Ports, address: str) -> None:
    ports.open_mains(topology(worker("a", address)))
    first = process(A)
    given = ports.give(A, first, address, False)
    ports.left(first, address, {first})
    assert is_listening(number(address))
    assert ports.give(A, first, address, False) == given


def test_what_a_successor_that_failed_had_alone_is_closed(ports: Ports, address: str) -> None:
    beside = f"text://127.0.0.1:{free_port()}"
    dead = process(A)
    ports.give(A, dead, address, False)
    end(dead)
    successor = process(A)
    ports.give(A, successor, address, False)
    ports.give(A, successor, beside, False)
    ports.withdraw(successor)
    assert is_listening(number(address))  # it was there before, and its place is filled again
    assert not is_listening(number(beside))


def test_crashes_do_not_add_up(ports: Ports, address: str) -> None:
    for _ in range(10):
        crashed = process(A)
        ports.give(A, crashed, address, False)
        end(crashed)
    (port,) = ports._other
    assert len(port.users) <= 2
