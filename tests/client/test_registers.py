"""How both clients know where the gateways are."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack

import pytest

from tests.client.support import Client, ScriptedGateway, ScriptedRegister, until
from tests.ports import free_port
from tidegate.client import known
from tidegate.errors import ClusterError, ClusterTimeoutError, ConfigurationError
from tidegate.wire import commands

Make = Callable[..., Client]


@pytest.fixture
def long_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lists are kept for longer than any test lasts."""
    monkeypatch.setattr(known, "KEEP_SECONDS", 600)


def test_a_list_is_kept_for_a_second(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1_000.0]
    with ScriptedGateway() as gateway, ScriptedRegister(gateway.address) as register:
        client = make(register.address)
        monkeypatch.setattr(known.time, "monotonic", lambda: now[0])  # type: ignore[attr-defined]
        for seconds, lookups in ((0, 1), (0.5, 1), (0.99, 1), (1.01, 2), (1.5, 2), (2.02, 3)):
            now[0] = 1_000 + seconds
            client.send_to_all("hello")
            assert len(register.lines) == lookups


@pytest.mark.usefixtures("long_memory")
def test_a_gateway_that_died_and_is_named_no_more_is_passed_over(make: Make) -> None:
    with (
        ScriptedGateway() as old,
        ScriptedGateway() as kept,
        ScriptedGateway() as new,
        ScriptedRegister(old.address, kept.address) as register,
    ):
        client = make(register.address)
        client.send_to_all("first")
        until(lambda: old.bodies() == kept.bodies() == ["first"])
        old.stop()
        register.gateways = [kept.address, new.address]
        client.send_to_all("second")
        until(lambda: kept.bodies() == ["first", "second"] and new.bodies() == ["second"])
        assert client.get_all_client_count() == 0
        assert len(register.lines) == 2


@pytest.mark.usefixtures("long_memory")
def test_what_all_gateways_but_one_have_taken_is_not_sent_to_them_again(make: Make) -> None:
    with ExitStack() as stack:
        gateways = [stack.enter_context(ScriptedGateway()) for _ in range(4)]
        register = stack.enter_context(ScriptedRegister(*(gateway.address for gateway in gateways)))
        client = make(register.address)
        for message in ("first", "second"):
            client.send_to_uid("u", message)
        client.flush()
        gateways[1].stop()
        with pytest.raises(ClusterError, match=f"^gateway {gateways[1].address} can't be reached"):
            client.send_to_uid("u", "third")
        others = (gateways[0], *gateways[2:])
        until(lambda: all(gateway.bodies() == ["first", "second", "third"] for gateway in others))
        assert gateways[1].bodies() == ["first", "second"]


@pytest.mark.usefixtures("long_memory")
def test_a_gateway_that_died_and_is_still_named_is_an_error(make: Make) -> None:
    with (
        ScriptedGateway() as dead,
        ScriptedGateway() as good,
        ScriptedRegister(dead.address, good.address) as register,
    ):
        client = make(register.address)
        client.send_to_all("first")
        dead.stop()
        with pytest.raises(ClusterError, match=f"^gateway {dead.address} can't be reached: Connection refused$"):
            client.send_to_all("second")
        until(lambda: good.bodies() == ["first", "second"])
        assert len(register.lines) == 2


@pytest.mark.usefixtures("long_memory")
def test_where_register_is_gone_too_both_are_named(make: Make) -> None:
    with ScriptedGateway() as gateway, ScriptedRegister(gateway.address) as register:
        client = make(register.address)
        client.send_to_all("first")
        gateway.stop()
        register.stop()
        with pytest.raises(ClusterError, match=f"gateway {gateway.address} .*; Register {register.address} can't be"):
            client.send_to_all("second")


def test_without_register_the_calls_to_one_client_of_a_gateway_that_it_has_named_work(make: Make) -> None:
    with ScriptedGateway() as gateway, ScriptedGateway() as other:
        with ScriptedRegister(gateway.address) as register:
            client = make(register.address)
            client.send_to_client(gateway.client_id(), "hello")
        client.send_to_client(gateway.client_id(), "again")
        until(lambda: gateway.bodies() == ["hello", "again"])
        gateway.hang_up()
        until(lambda: not gateway.open)
        client.send_to_all("listed", [gateway.client_id()])
        error = f"Register {register.address} can't be reached: Connection refused"
        with pytest.raises(ClusterError, match=error):
            client.send_to_client(other.client_id(), "hello")
        with pytest.raises(ClusterError, match=error):
            make(register.address).get_all_client_count()
        until(lambda: gateway.bodies() == ["hello", "again", "listed"])
        assert other.accepted == 0


def test_a_register_that_does_not_answer_is_named(make: Make) -> None:
    with ScriptedRegister() as register:
        register.answer = None
        with pytest.raises(ClusterTimeoutError, match=f"Register {register.address} did not answer within 0.2 s"):
            make(register.address, timeout=0.2).send_to_all("hello")


def test_bytes_for_one_client_are_marked_where_its_gateway_is_known_to_be_tidegate(make: Make) -> None:
    with ScriptedGateway() as ours, ScriptedGateway() as php, ScriptedRegister(ours.address, php.address) as register:
        register.tidegate = [ours.address]
        client = make(register.address)
        for gateway in (ours, php):
            client.send_to_client(gateway.client_id(), b"bytes")
            client.send_to_client(gateway.client_id(), "text")
        until(lambda: len(ours.packets) == len(php.packets) == 2)
        assert [packet[2] for packet in ours.packets] == [commands.SCALAR | commands.BINARY, commands.SCALAR]
        assert [packet[2] for packet in php.packets] == [commands.SCALAR, commands.SCALAR]


def test_the_secret_goes_first_on_each_connection_in_the_same_write(make: Make) -> None:
    with ScriptedGateway() as gateway, ScriptedRegister(gateway.address) as register:
        client = make(register.address, secret_key="geheim/ü")
        for _ in range(2):
            client.send_to_client(gateway.client_id(), "hello")
            client.flush()
            gateway.hang_up()
            until(lambda: not gateway.open)
        hello = (commands.GATEWAY_CLIENT_CONNECT, b'{"secret_key":"geheim\\/\\u00fc"}')
        assert [(packet[0], packet[4]) for packet in gateway.packets] == 2 * [
            hello,
            (commands.SEND_TO_ONE, b"hello"),
            (commands.IS_ONLINE, b""),
        ]


@pytest.mark.parametrize("secret", ["", "s3cret"])
def test_a_made_up_client_id_is_not_connected_to(make: Make, secret: str) -> None:
    with ScriptedGateway() as stranger, ScriptedGateway() as gateway, ScriptedRegister(gateway.address) as register:
        client = make(register.address, secret_key=secret)
        error = f"Register knows of no gateway {stranger.address}"
        with pytest.raises(ClusterError, match=error):
            client.is_online(stranger.client_id())
        with pytest.raises(ClusterError, match=error):
            client.send_to_client(stranger.client_id(), b"bytes")
        with pytest.raises(ClusterError, match=error):
            client.send_to_all("hello", [stranger.client_id(), gateway.client_id()])
        until(lambda: gateway.bodies()[-1:] == ["hello"])
        assert stranger.accepted == 0
        register.gateways.append(stranger.address)  # it has only just begun
        client.bind_uid(stranger.client_id(), "u")
        until(lambda: len(stranger.packets) == (2 if secret else 1))


def test_client_ids_of_any_number_of_gateways_leave_nothing_behind(make: Make) -> None:
    client = make(connect_timeout=1)
    with ExitStack() as stack:
        gateways = [stack.enter_context(ScriptedGateway()) for _ in range(5)]
        for gateway in gateways:
            client.send_to_client(gateway.client_id(), "hello")
        until(lambda: all(gateway.bodies() for gateway in gateways))
    for number in range(50):
        with pytest.raises(ClusterError):
            client.is_online(f"7f0000010001{number + 1:08x}")
    with ScriptedGateway() as gateway, ScriptedRegister(gateway.address) as register:
        register_client = make(register.address)
        register_client.send_to_all("hello")
        assert kept(register_client) == 1
    assert kept(client) <= 5


def kept(client: Client) -> int:
    """Connections that a client has not forgotten."""
    driven = getattr(client, "client", None)
    if driven is not None:
        return len(driven._channels)
    (kept,) = client._kept.values()
    return len(kept.store._connections)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"cluster": "127.0.0.1"}, "needs a host and a port"),
        ({"cluster": []}, "has no Register"),
        ({"secret_key": 'a"b'}, "secret_key is not right"),
        ({"secret_key": 7}, "secret_key is not right"),
        ({"timeout": 0}, "timeout is 0: it takes seconds"),
        ({"connect_timeout": "3"}, "connect_timeout is '3': it takes seconds"),
    ],
)
def test_options_that_can_not_be_used_are_refused(make: Make, options: dict[str, object], error: str) -> None:
    with pytest.raises(ConfigurationError, match=error) as caught:
        make(**options)
    assert 'a"b' not in str(caught.value)


def test_several_registers_are_asked_one_after_the_other(make: Make) -> None:
    nobody = f"127.0.0.1:{free_port()}"
    with ScriptedGateway() as gateway, ScriptedRegister(gateway.address) as register:
        started = time.monotonic()
        make([nobody, register.address]).send_to_all("hello")
        until(lambda: gateway.bodies() == ["hello"])
        assert time.monotonic() - started < 10
