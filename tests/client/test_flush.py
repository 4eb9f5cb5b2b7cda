"""What `flush` of both clients waits for, and what it tells."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from tests.client.support import HANG_UP, Client, ScriptedGateway, ScriptedRegister, framed, until
from tidegate.client.blocking import GatewayClient
from tidegate.errors import ClusterError, ClusterTimeoutError
from tidegate.wire import commands

Make = Callable[..., Client]


def test_it_asks_every_gateway_that_was_sent_something_and_no_other(make: Make) -> None:
    with ScriptedGateway() as one, ScriptedGateway() as two, ScriptedRegister(one.address, two.address) as register:
        client = make(register.address)
        client.flush()
        client.send_to_all("hello")
        client.flush()
        assert [packet[:2] for packet in one.packets] == [(commands.SEND_TO_ALL, 0), (commands.IS_ONLINE, 0)]
        assert len(two.packets) == 2
        client.send_to_client(one.client_id(), "again")
        client.flush()
        client.flush()
        assert (len(one.packets), len(two.packets)) == (4, 2)


def test_it_tells_of_a_link_that_broke_behind_a_command(make: Make) -> None:
    with ScriptedGateway() as gateway:
        client = make()
        client.send_to_client(gateway.client_id(), "lost, perhaps")
        until(lambda: gateway.packets)
        gateway.hang_up()
        until(lambda: not gateway.open)
        with pytest.raises(ClusterError, match=f"gateway {gateway.address} closed the connection"):
            client.flush()
        client.flush()
        client.send_to_client(gateway.client_id(), "again")
        client.flush()


def test_it_tells_of_a_break_that_another_call_has_repaired(make: Make) -> None:
    with ScriptedGateway() as gateway:
        client = make()
        client.send_to_client(gateway.client_id(), "lost, perhaps")
        until(lambda: gateway.packets)
        gateway.hang_up()
        until(lambda: not gateway.open)
        client.send_to_client(gateway.client_id(), "on a new connection")
        until(lambda: len(gateway.packets) == 2)
        with pytest.raises(ClusterError, match=f"gateway {gateway.address} closed the connection"):
            client.flush()
        client.flush()


def test_it_does_not_tell_of_a_break_behind_what_was_flushed(make: Make) -> None:
    with ScriptedGateway() as gateway:
        client = make()
        client.send_to_client(gateway.client_id(), "hello")
        client.flush()
        gateway.hang_up()
        until(lambda: not gateway.open)
        client.flush()
        client.send_to_client(gateway.client_id(), "again")
        client.flush()
        assert gateway.accepted == 2


def test_it_names_the_gateway_that_hangs_up_on_it_and_the_one_that_is_silent(make: Make) -> None:
    with (
        ScriptedGateway(lambda _: HANG_UP) as rude,
        ScriptedGateway(lambda _: None) as mute,
        ScriptedGateway() as good,
        ScriptedRegister(rude.address, mute.address, good.address) as register,
    ):
        client = make(register.address, timeout=0.3)
        client.send_to_all("hello")
        with pytest.raises(ClusterTimeoutError) as caught:
            client.flush()
        assert f"gateway {rude.address} closed the connection" in str(caught.value)
        assert f"gateway {mute.address} did not answer within 0.3 s" in str(caught.value)
        assert good.address not in str(caught.value)
        assert len(good.packets) == 2


def test_it_waits_until_the_gateway_has_processed_what_was_sent(make: Make) -> None:
    processed = threading.Event()
    with ScriptedGateway(lambda _: framed(0) if processed.wait(20) else None) as gateway:
        client = make()
        client.send_to_client(gateway.client_id(), "hello")
        threading.Timer(0.1, processed.set).start()
        client.flush()
        assert processed.is_set()


def test_it_covers_what_all_threads_sent() -> None:
    with ScriptedGateway() as gateway, GatewayClient() as client:
        threads = [
            threading.Thread(target=client.send_to_client, args=(gateway.client_id(), str(number)))
            for number in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        client.flush()
        assert sorted(gateway.bodies()) == [str(number) for number in range(8)]


def test_each_thread_that_flushes_is_told_of_the_same_break() -> None:
    told: list[str] = []
    begun, broken = threading.Barrier(3), threading.Event()

    def use(client: GatewayClient, client_id: str) -> None:
        client.send_to_client(client_id, "hello")
        begun.wait(20)
        broken.wait(20)
        try:
            client.flush()
        except ClusterError as error:
            told.append(str(error))

    with ScriptedGateway() as gateway, GatewayClient() as client:
        threads = [threading.Thread(target=use, args=(client, gateway.client_id())) for _ in range(2)]
        for thread in threads:
            thread.start()
        begun.wait(20)
        until(lambda: len(gateway.packets) == 2)
        gateway.hang_up()
        until(lambda: not gateway.open)
        broken.set()
        for thread in threads:
            thread.join()
    assert len(told) == 2
