"""Connections of both clients: kept, checked, opened again, given up."""

from __future__ import annotations

import contextlib
import functools
import itertools
import threading
import time
from collections.abc import Callable

import pytest

from tests.client.support import HANG_UP, RESET, Client, ScriptedGateway, ScriptedRegister, framed, until
from tests.ports import free_port
from tidegate.errors import ClusterError, ClusterTimeoutError
from tidegate.wire import commands

Make = Callable[..., Client]


def test_one_connection_serves_many_calls(make: Make) -> None:
    with ScriptedGateway(lambda _: framed(1)) as gateway:
        client = make()
        for number in range(20):
            client.send_to_client(gateway.client_id(), str(number))
            assert client.is_online(gateway.client_id())
        assert gateway.bodies() == [str(number) for number in range(20)]
        assert gateway.accepted == 1


def has_read(gateway: ScriptedGateway, packets: int) -> bool:
    return len(gateway.packets) == packets


def test_what_a_gateway_has_closed_is_opened_again_before_anything_is_sent(make: Make) -> None:
    with ScriptedGateway() as gateway:
        client = make()
        for number in range(5):
            client.send_to_client(gateway.client_id(), str(number))
            until(functools.partial(has_read, gateway, number + 1))
            gateway.hang_up()
            until(lambda: not gateway.open)
        assert gateway.bodies() == ["0", "1", "2", "3", "4"]
        assert gateway.accepted == 5


def test_what_a_gateway_has_reset_is_opened_again_before_anything_is_sent(make: Make) -> None:
    with ScriptedGateway(lambda _: RESET) as gateway:
        client = make()
        for number in range(5):
            with pytest.raises(ClusterError, match=gateway.address):
                client.is_online(gateway.client_id())
            client.send_to_client(gateway.client_id(), str(number))
        until(lambda: gateway.bodies() == ["0", "1", "2", "3", "4"])


def test_a_connection_on_which_something_came_unasked_is_not_trusted(make: Make) -> None:
    with ScriptedGateway() as gateway:
        client = make()
        client.is_online(gateway.client_id())
        gateway.say(framed(1))
        client.send_to_client(gateway.client_id(), "hello")
        assert client.is_online(gateway.client_id()) is False
        until(lambda: gateway.bodies() == ["hello"])
        assert gateway.accepted == 2


def test_a_query_that_has_left_is_not_repeated(make: Make) -> None:
    with ScriptedGateway(lambda _: HANG_UP) as gateway:
        client = make()
        with pytest.raises(ClusterError, match=f"gateway {gateway.address} closed the connection without an answer"):
            client.is_online(gateway.client_id())
        until(lambda: not gateway.open)
        assert len(gateway.packets) == 1


def test_a_command_of_which_a_part_has_left_is_not_repeated(make: Make) -> None:
    with ScriptedGateway() as gateway:
        gateway.reads.clear()
        client = make(timeout=20)
        breaking = threading.Timer(0.2, gateway.reset)
        breaking.start()
        with pytest.raises(ClusterError, match=gateway.address):
            flood(client, gateway.client_id())
        breaking.join()
        gateway.reads.set()
        client.send_to_client(gateway.client_id(), "after it")
        until(lambda: gateway.bodies() == ["after it"])
        assert gateway.accepted == 2


def test_a_gateway_that_is_not_there_is_a_connection_error_with_its_address(make: Make) -> None:
    with ScriptedGateway() as gone:
        client = make()
    with pytest.raises(ConnectionError, match=f"gateway {gone.address} can't be reached: Connection refused"):
        client.send_to_client(gone.client_id(), "hello")


def test_a_gateway_that_does_not_answer_is_named_and_its_connection_closed(make: Make) -> None:
    with ScriptedGateway(lambda _: None) as gateway:
        client = make(timeout=0.2)
        with pytest.raises(ClusterTimeoutError, match=f"gateway {gateway.address} did not answer within 0.2 s"):
            client.is_online(gateway.client_id())
        until(lambda: not gateway.open)
        gateway.answer = lambda _: framed(1)
        assert until_answered(client, gateway) == gateway.accepted - 1


def until_answered(client: Client, gateway: ScriptedGateway) -> int:
    """Ask until the answer is there in time, which on a busy machine may not be at once; gives how often it took."""
    for tries in itertools.count(1):
        with contextlib.suppress(ClusterTimeoutError):
            assert client.is_online(gateway.client_id())
            return tries
    raise AssertionError


def test_a_gateway_that_does_not_read_is_named(make: Make) -> None:
    with ScriptedGateway() as gateway:
        gateway.reads.clear()
        client = make(timeout=0.5)
        with pytest.raises(ClusterTimeoutError, match=f"gateway {gateway.address} did not take what was sent"):
            flood(client, gateway.client_id())


def flood(client: Client, client_id: str) -> None:
    for _ in range(10):
        client.send_to_client(client_id, "x" * 8_000_000)


def test_gateways_that_do_not_answer_cost_one_timeout_together(make: Make) -> None:
    mute = [ScriptedGateway(lambda _: None) for _ in range(4)]
    with (
        mute[0],
        mute[1],
        mute[2],
        mute[3],
        ScriptedGateway(lambda _: framed(1)) as good,
        ScriptedRegister(*(gateway.address for gateway in (*mute, good))) as register,
    ):
        client = make(register.address, timeout=0.75)
        started = time.monotonic()
        with pytest.raises(ClusterTimeoutError) as caught:
            client.get_all_client_count()
        assert time.monotonic() - started < 3 * 0.75  # and not four, one after the other
        assert all(gateway.address in str(caught.value) for gateway in mute)
        assert good.address not in str(caught.value)
        assert len(good.packets) == 1


def test_a_gateway_that_is_gone_does_not_keep_the_others_from_being_sent_to(make: Make) -> None:
    dead = f"127.0.0.1:{free_port()}"
    with (
        ScriptedGateway() as one,
        ScriptedGateway() as two,
        ScriptedRegister(one.address, dead, two.address) as register,
    ):
        client = make(register.address)
        with pytest.raises(ClusterError, match=f"^gateway {dead} can't be reached") as caught:
            client.send_to_all("hello")
        assert not isinstance(caught.value, TimeoutError)
        assert one.address not in str(caught.value)
        until(lambda: one.bodies() == two.bodies() == ["hello"])


@pytest.mark.parametrize(
    "answer",
    [b"\0\0\0\x04i:", b"\xff\xff\xff\xff", framed(1) + b"x", framed(1) + framed(1)],
    ids=["half", "huge", "a byte more", "one more"],
)
def test_an_answer_out_of_step_is_an_error_that_names_the_gateway(make: Make, answer: bytes) -> None:
    with ScriptedGateway(lambda _: answer) as gateway:
        client = make(timeout=0.3)
        with pytest.raises(ClusterError, match=gateway.address):
            client.is_online(gateway.client_id())
        gateway.answer = lambda _: framed(1)
        until_answered(client, gateway)


def test_an_answer_that_is_no_value_is_an_error_that_names_the_gateway(make: Make) -> None:
    with (
        ScriptedGateway(lambda _: b"\0\0\0\x04junk") as gateway,
        pytest.raises(ClusterError, match=f"gateway {gateway.address} answered is_online"),
    ):
        make().is_online(gateway.client_id())


def test_an_answer_may_come_byte_by_byte_and_be_large(make: Make) -> None:
    with ScriptedGateway() as gateway, ScriptedRegister(gateway.address) as register:
        client = make(register.address)
        gateway.cuts = True
        gateway.answer = lambda _: framed([f"group {number}" for number in range(5)])
        assert len(client.get_all_group_id_list()) == 5
        gateway.cuts = False
        gateway.answer = lambda _: framed([f"group {number}" * 100 for number in range(5_000)])
        assert len(client.get_all_group_id_list()) == 5_000


def test_a_message_of_ten_megabytes_passes_and_a_longer_one_is_refused(make: Make) -> None:
    limit = 10_485_760 - 28
    with ScriptedGateway() as gateway:
        client = make()
        client.send_to_client(gateway.client_id(), b"\x81" * limit, raw=True)
        client.flush()
        with pytest.raises(ValueError, match="a packet of 10485761 bytes, over the limit of 10485760"):
            client.send_to_client(gateway.client_id(), "x" * (limit + 1))
        assert [len(packet[4]) for packet in gateway.packets] == [limit, 0]
        assert gateway.accepted == 1


def test_a_list_over_the_limit_is_asked_in_parts(make: Make) -> None:
    uids = [f"{number:05}" + "x" * 50_000 for number in range(250)]
    with (
        ScriptedGateway(lambda packet: framed({uid: [1] for uid in asked(packet)})) as gateway,
        ScriptedRegister(gateway.address) as register,
    ):
        client = make(register.address, timeout=20)
        assert client.is_uids_online(uids) == dict.fromkeys(uids, True)
        assert [packet[0] for packet in gateway.packets] == 2 * [commands.BATCH_GET_CLIENT_ID_BY_UID]


def asked(packet: tuple[object, ...]) -> list[str]:
    ext = packet[3]
    assert isinstance(ext, bytes)
    return ext[2:-2].decode().split('","')


def test_close_uid_closes_its_clients_wherever_they_are(make: Make) -> None:
    with (
        ScriptedGateway(lambda _: framed([1, 2])) as one,
        ScriptedGateway(lambda _: framed([7])) as two,
        ScriptedRegister(one.address, two.address) as register,
    ):
        client = make(register.address)
        client.close_uid("u", "bye")
        until(lambda: one.bodies() == ["bye", "bye"] and two.bodies() == ["bye"])
        assert [packet[:2] for packet in two.packets] == [
            (commands.GET_CLIENT_ID_BY_UID, 0),
            (commands.KICK, 7),
        ]


def test_a_closed_client_says_so(make: Make) -> None:
    with ScriptedGateway() as gateway:
        client = make()
        client.send_to_client(gateway.client_id(), "hello")
        client.close()
        until(lambda: gateway.bodies() == ["hello"] and not gateway.open)


def test_options_come_from_the_environment_where_the_code_says_nothing(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ScriptedGateway() as gateway, ScriptedRegister(gateway.address) as register:
        monkeypatch.setenv("TIDEGATE_CLUSTER", f"127.0.0.1:{free_port()},{register.address}")
        monkeypatch.setenv("TIDEGATE_SECRET_KEY", "s3cret")
        make().send_to_all("hello")
        until(lambda: gateway.bodies() == ['{"secret_key":"s3cret"}', "hello"])
        assert register.lines == [b'{"event":"worker_connect","secret_key":"s3cret"}\n']
        make(register.address, secret_key="").send_to_all("again")
        until(lambda: gateway.bodies()[2:] == ["again"])
