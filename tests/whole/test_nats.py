"""Pushes over NATS: who gets them, how often, in which order, and what the next one sees."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.cluster.nats.server import NatsServer
from tests.net.support import until
from tests.whole.members import END, heard, in_loop, on_nats
from tidegate import BusinessWorker, GatewayClient

JOINS = 200
NAMES = [
    "a b",
    "a.b",
    "*",
    ">",
    "a.>",
    "nul\0",
    "=41",
    "==",
    "直播间 💥",
    "ü",
    "x" * 10_000,
    "x" * 9_999 + "y",
    " ",
    "\r\n",
]


def test_a_push_reaches_only_the_gateways_that_have_a_member(nats: NatsServer) -> None:
    async def test() -> None:
        async with on_nats(nats) as cluster:
            members = [await cluster.gateway() for _ in range(4)]
            push = cluster.client()
            (ann, a), (ben, b) = [await members[0].connect() for _ in range(2)]
            await push.join_group(ann, "room")
            await push.bind_uid(ben, "ben")
            await push.flush()
            before = [member.count("nats_packets") for member in members]
            for number in range(50):
                await push.send_to_group("room", f"{number}")
                await push.send_to_uid("ben", f"{number}")
                await push.send_to_uid("nobody", "?")
                await push.send_to_group("nobody's", "?")
            await push.send_to_client(ann, END)
            await push.send_to_client(ben, END)
            assert await heard(a) == await heard(b) == [str(number) for number in range(50)]
            came = [member.count("nats_packets") - was for member, was in zip(members, before, strict=True)]
            assert came == [102, 0, 0, 0]
            await push.leave_group(ann, "room")
            await push.unbind_uid(ben, "ben")
            await push.flush()
            before = [member.count("nats_packets") for member in members]
            await push.send_to_group("room", "nobody's now")
            await push.send_to_uid("ben", "nobody's now")
            await push.flush()
            assert [member.count("nats_packets") - was for member, was in zip(members, before, strict=True)] == [1] * 4

    in_loop(test())


def test_what_a_worker_joins_its_next_push_reaches(nats: NatsServer) -> None:
    def joins_and_pushes(worker: BusinessWorker) -> None:
        @worker.on_message
        def on_message(client: Any, message: str) -> None:
            for number in range(JOINS):
                client.join_group(f"{message}{number}")
                worker.send_to_group(f"{message}{number}", f"group {number}")
                client.bind_uid(f"{message}{number}")
                worker.send_to_uid(f"{message}{number}", f"uid {number}")
            client.send(END)

    async def test() -> None:
        async with on_nats(nats) as cluster:
            members = [await cluster.gateway() for _ in range(2)]
            await cluster.worker(set_up=joins_and_pushes)
            clients = [(await member.connect())[1] for member in members]
            for name, client in zip("ab", clients, strict=True):
                await client.send_text(name)
            expected = [f"{what} {number}" for number in range(JOINS) for what in ("group", "uid")]
            assert [await heard(client) for client in clients] == [expected] * 2

    in_loop(test())


def test_a_gateway_that_was_just_linked_is_sent_to_before_it_is_known(nats: NatsServer) -> None:
    def echoes(worker: BusinessWorker) -> None:
        @worker.on_message
        def on_message(client: Any, message: str) -> None:
            client.send(message)

    async def test() -> None:
        async with on_nats(nats) as cluster:
            member = await cluster.gateway()
            worker = await cluster.worker(set_up=echoes)
            _, client = await member.connect()
            await client.send_text("known")
            assert await client.read_text() == "known"
            nats_push = worker._here.nats
            assert nats_push is not None
            nats_push.carrier.members.gateways = {}
            await client.send_text("not known yet")
            assert await client.read_text() == "not known yet"
            (gateway,) = worker._here.gateways.all
            assert gateway.link is not None
            gateway.link._began -= 60
            await client.send_text("not known any more")
            await until(lambda: worker.snapshot()["extra"]["sends_failed"] == 1)

    in_loop(test())


@pytest.mark.parametrize("kind", ["async", "blocking"])
def test_what_a_push_client_joins_its_next_push_reaches(nats: NatsServer, kind: str) -> None:
    async def test() -> None:
        async with on_nats(nats) as cluster:
            member, _ = [await cluster.gateway() for _ in range(2)]
            id, client = await member.connect()
            if kind == "async":
                push = cluster.client()
                for number in range(JOINS):
                    await push.join_group(id, f"{number}")
                    await push.send_to_group(f"{number}", f"{number}")
                await push.send_to_client(id, END)
            else:
                blocking = cluster.blocking()

                def work() -> None:
                    for number in range(JOINS):
                        blocking.join_group(id, f"{number}")
                        blocking.send_to_group(f"{number}", f"{number}")
                    blocking.send_to_client(id, END)

                await asyncio.to_thread(work)
            assert await heard(client) == [str(number) for number in range(JOINS)]

    in_loop(test())


def test_another_process_reaches_who_was_joined_before_a_flush(nats: NatsServer) -> None:
    async def test() -> None:
        async with on_nats(nats) as cluster:
            member = await cluster.gateway()
            id, client = await member.connect()
            joins, pushes = cluster.client(), cluster.client()
            for number in range(JOINS):
                await joins.join_group(id, f"{number}")
                await joins.flush()
                await pushes.send_to_group(f"{number}", f"{number}")
            await pushes.send_to_client(id, END)
            assert await heard(client) == [str(number) for number in range(JOINS)]

    in_loop(test())


def _say(push: Any, id: str) -> list[Any]:
    """A push of each kind, several times: what awaits them all is given."""
    calls = []
    for number in range(0, 200, 4):
        calls.append(push.send_to_all(f"{number}"))
        calls.append(push.send_to_uid("u", f"{number + 1}"))
        calls.append(push.send_to_group(["g", "h"], f"{number + 2}"))
        calls.append(push.send_to_client(id, f"{number + 3}"))
    return calls


@pytest.mark.parametrize("kind", ["worker", "async", "blocking"])
def test_pushes_of_all_kinds_arrive_in_their_order_and_once(nats: NatsServer, kind: str) -> None:
    expected = [str(number) for number in range(200)]

    def pushes(worker: BusinessWorker) -> None:
        @worker.on_message
        def on_message(client: Any, _: str) -> None:
            _say(worker, client.id)
            client.send(END)

    async def test() -> None:
        async with on_nats(nats) as cluster:
            member, _ = [await cluster.gateway() for _ in range(2)]
            id, client = await member.connect()
            push = cluster.client()
            await push.bind_uid(id, "u")
            await push.join_group(id, "g")
            await push.join_group(id, "h")
            await push.flush()
            if kind == "worker":
                await cluster.worker(set_up=pushes)
                await client.send_text("go")
            elif kind == "async":
                for call in _say(push, id):
                    await call
                await push.send_to_client(id, END)
            else:
                blocking = cluster.blocking()
                await asyncio.to_thread(_say, blocking, id)
                await asyncio.to_thread(blocking.send_to_client, id, END)
            assert await heard(client) == expected
            if kind != "worker":
                assert member.count("nats_copies") == 50

    in_loop(test())


def test_names_of_any_text_are_kept_apart(nats: NatsServer) -> None:
    async def test() -> None:
        async with on_nats(nats) as cluster:
            member, _ = [await cluster.gateway() for _ in range(2)]
            clients = [await member.connect() for _ in NAMES]
            push = cluster.client()
            for (id, _), name in zip(clients, NAMES, strict=True):
                await push.bind_uid(id, name)
                await push.join_group(id, name)
            await push.flush()
            for number, name in enumerate(NAMES):
                await push.send_to_uid(name, f"uid {number}")
                await push.send_to_group(name, f"group {number}")
            await push.send_to_all(END)
            for number, (_, client) in enumerate(clients):
                assert await heard(client) == [f"uid {number}", f"group {number}"]
            assert await push.get_all_uid_list() == NAMES
            assert await push.get_all_group_client_id_count() == dict.fromkeys(NAMES, 1)

    in_loop(test())


def test_a_push_over_the_servers_limit_is_split_and_joined(nats: NatsServer) -> None:
    big = "é" * (1 << 20)  # two MiB

    async def test() -> None:
        async with on_nats(nats) as cluster:
            member, other = [await cluster.gateway() for _ in range(2)]
            (ann, a), (ben, b) = await member.connect(), await other.connect()
            push = cluster.client()
            for id in (ann, ben):
                await push.join_group(id, "g")
                await push.join_group(id, "h")
            await push.send_to_group(["g", "h"], big)
            await push.send_to_group("g", END)
            assert await heard(a) == await heard(b) == [big]
            session = {"much": big[:300_000]}
            cid, _ = await member.connect()
            for id in (ann, cid):
                await push.set_session(id, session)
            assert await push.get_all_client_sessions() == {ann: session, ben: {}, cid: session}

    in_loop(test())


def test_a_thousand_names_given_and_taken_are_a_matter_of_a_second(nats: NatsServer) -> None:
    async def test() -> None:
        async with on_nats(nats) as cluster:
            member = await cluster.gateway()
            id, client = await member.connect()
            push = cluster.client()
            began = asyncio.get_running_loop().time()
            for number in range(1000):
                await push.bind_uid(id, f"user {number}")
            await push.flush()
            took = asyncio.get_running_loop().time() - began
            assert member.count("nats_subscriptions") == 1
            await push.send_to_uid("user 999", "here")
            await push.send_to_uid("user 998", "not here")
            await push.send_to_client(id, END)
            assert await heard(client) == ["here"]
            assert took < 5  # on a machine that does other things as well

    in_loop(test())


def test_only_workers_of_its_zone_serve_a_gateway_and_pushes_go_to_all(nats: NatsServer) -> None:
    def tells(worker: BusinessWorker) -> None:
        @worker.on_message
        def on_message(client: Any, message: str) -> None:
            worker.send_to_all(f"{worker.name}: {message}")

    async def test() -> None:
        async with on_nats(nats) as cluster:
            zones = ["east", "west"]
            members = {zone: await cluster.gateway(zone=zone) for zone in zones}
            for zone in zones:
                await cluster.worker(set_up=tells, zone=zone, name=zone)
            await until(lambda: all(member.count("workers") == 1 for member in members.values()))
            clients = {zone: (await members[zone].connect())[1] for zone in zones}
            for zone, client in clients.items():
                await client.send_text("hello")
                assert [await each.read_text() for each in clients.values()] == [f"{zone}: hello"] * 2
            assert [member.count("workers") for member in members.values()] == [1, 1]

    in_loop(test())


def test_workers_replaced_under_load_lose_nothing_and_keep_the_order(nats: NatsServer) -> None:
    def answers(worker: BusinessWorker) -> None:
        @worker.on_message
        async def on_message(client: Any, message: str) -> None:
            await asyncio.sleep(0.001)
            client.send(f"{message} to it")
            worker.send_to_group("room", f"{message} to its group")

    async def test() -> None:
        async with on_nats(nats) as cluster:
            members = [await cluster.gateway() for _ in range(2)]
            workers = [await cluster.worker(set_up=answers)]
            clients = [await member.connect() for member in members]
            push = cluster.client()
            for id, _ in clients:
                await push.join_group(id, "room")
            await push.flush()
            for number in range(300):
                for name, (_, client) in zip("ab", clients, strict=True):
                    await client.send_text(f"{name} {number}")
                if number % 100 == 50:
                    workers.append(await cluster.worker(set_up=answers))
                    await workers[-2].stop(reload=True, seconds=10)
            for name, (_, client) in zip("ab", clients, strict=True):
                said = [await client.read_text() for _ in range(900)]
                for sender in "ab":
                    ways = ["to it", "to its group"] if sender == name else ["to its group"]
                    expected = [f"{sender} {number} {way}" for number in range(300) for way in ways]
                    assert [text for text in said if text.startswith(sender)] == expected

    in_loop(test())


def test_php_finds_a_gateway_on_nats_through_register(nats: NatsServer) -> None:
    async def test() -> None:
        async with on_nats(nats) as cluster:
            register = await cluster.register()
            member = await cluster.gateway(register=register)
            id, client = await member.connect()
            push = cluster.client()
            await push.bind_uid(id, "kim")
            await push.flush()
            with GatewayClient(register) as beside:

                def work() -> None:
                    beside.send_to_uid("kim", "by the inner port")
                    beside.join_group(id, "room")
                    beside.flush()

                await asyncio.to_thread(work)
            await push.flush()
            await push.send_to_group("room", "by NATS")
            assert [await client.read_text() for _ in range(2)] == ["by the inner port", "by NATS"]

    in_loop(test())
