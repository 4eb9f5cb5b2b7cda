"""The client on asyncio, with a real server."""

from __future__ import annotations

import asyncio

import pytest

from tests.cluster.nats.server import NatsServer
from tests.cluster.nats.support import Noting, ScriptedNats, noting
from tests.net.support import Runner, until
from tests.ports import free_port
from tidegate.cluster.nats.inbox import NobodyListensError
from tidegate.cluster.nats.protocol import Message
from tidegate.errors import ClusterError, ClusterTimeoutError


def test_what_is_published_comes_to_who_subscribes(run: Runner, nats: NatsServer) -> None:
    async def main() -> None:
        async with noting(nats) as client:
            client.subscribe(client.subjects.uid("a b"))
            client.publish(client.subjects.uid("a b"), b"for it", "reply.to", {"Name": "value"})
            client.publish(client.subjects.uid("ab"), b"for another")
            client.publish(client.subjects.uid("a b"), b"")
            await client.flush()
            first, second = client.messages
            assert first[:2] == (client.subjects.uid("a b"), "reply.to")
            assert first.headers is not None
            assert first.headers.fields == {"Name": "value"}
            assert (first.payload, second.payload, second.headers) == (b"for it", b"", None)

    run(main())


def test_order_holds_across_subjects(run: Runner, nats: NatsServer) -> None:
    async def main() -> None:
        async with noting(nats) as client:
            subjects = [client.subjects.uid("1"), client.subjects.group("1"), client.subjects.all]
            for subject in subjects:
                client.subscribe(subject)
            for number in range(3000):
                client.publish(subjects[number % 3], b"%d" % number)
            assert await client.has(3000) == [b"%d" % number for number in range(3000)]
            assert len(client.batches) < 300

    run(main())


def test_what_was_given_up_comes_no_more(run: Runner, nats: NatsServer) -> None:
    async def main() -> None:
        async with noting(nats) as client:
            sid = client.subscribe(client.subjects.all)
            client.publish(client.subjects.all, b"one")
            await client.flush()
            client.publish(client.subjects.all, b"on its way")
            client.unsubscribe(sid)
            client.unsubscribe(sid)
            client.publish(client.subjects.all, b"later")
            await client.flush()
            assert client.payloads == [b"one"]
            assert client.counters.late == 1

    run(main())


def test_what_is_longer_than_the_server_takes_arrives_whole_and_in_order(run: Runner, nats: NatsServer) -> None:
    async def main() -> None:
        async with noting(nats) as client:
            subject = client.subjects.all
            client.subscribe(subject)
            long = bytes(range(256)) * 10_000
            with pytest.raises(ValueError, match="payload of 2560000 bytes"):
                client.publish(subject, long)
            client.publish(subject, b"before")
            client.publish_parts(subject, long)
            client.publish_parts(subject, b"behind")
            assert await client.has(3) == [b"before", long, b"behind"]
            assert client.messages[1].headers is None

    run(main())


def test_questions_are_answered(run: Runner, nats: NatsServer) -> None:
    async def main() -> None:
        async with noting(nats) as client:
            long = b"x" * 1_500_000

            def answer(message: Message) -> None:
                client.publish_parts(message.reply, message.payload + b"!")

            client.subscribe("upper", answer)
            client.subscribe("silent", lambda message: None)
            assert (await client.request("upper", b"hi")).payload == b"hi!"
            assert (await client.request("upper", long)).payload == long + b"!"
            one, two, three = await client.gather([("upper", b"a"), ("nobody", b"b"), ("silent", b"c")], 0.2)
            assert isinstance(one, Message)
            assert one.payload == b"a!"
            assert str(two) == "nobody listens to nobody on NATS"
            assert isinstance(three, ClusterTimeoutError)
            assert "silent: no answer over NATS within 0.2 s" in str(three)
            client.unsubscribe(client._inbox_sid)

    run(main())


def test_a_question_may_have_several_answers(run: Runner, nats: NatsServer) -> None:
    async def main() -> None:
        async with noting(nats) as client:

            def answer(message: Message) -> None:
                for number in range(5):
                    client.publish(message.reply, b"%d" % number)

            client.subscribe("count", answer)
            found: list[bytes] = []

            def take(message: Message) -> bool:
                found.append(message.payload)
                return message.payload == b"3"

            assert await client.collect([("count", b"", take)]) == [None]
            assert found == [b"0", b"1", b"2", b"3"]
            late, nobody = await client.collect([("count", b"", lambda _: False), ("nobody", b"", take)], 0.1)
            assert isinstance(late, ClusterTimeoutError)
            assert isinstance(nobody, NobodyListensError)

    run(main())


def test_everything_is_back_when_the_server_is(run: Runner, own_nats: NatsServer) -> None:
    async def main() -> None:
        async with noting(own_nats) as client:
            kept = client.subscribe("kept")
            dropped = client.subscribe("dropped")
            client.subscribe("silent", lambda message: None)
            question = asyncio.create_task(client.request("silent", b"?"))
            await client.flush()
            own_nats.stop()
            with pytest.raises(ClusterError, match="an answer over NATS won't come"):
                await question
            await until(lambda: not client.is_connected)
            with pytest.raises(ClusterError, match=r"nothing can be published over NATS: .*127\.0\.0\.1"):
                client.publish("kept", b"lost")
            with pytest.raises(ClusterError):
                await client.flush()
            client.unsubscribe(dropped)
            client.subscribe("new")
            own_nats.start()
            await client.connected(10)
            for subject in ("kept", "dropped", "new"):
                client.publish(subject, subject.encode())
            await client.flush()
            assert client.payloads == [b"kept", b"new"]
            assert client.messages[0].sid == kept
            assert client.states == [True, False, True]
            assert client.counters.refused == 1
            assert client.counters.connections == 2

    run(main())


def test_a_silent_server_is_noticed(run: Runner, impatient: None) -> None:
    async def main() -> None:
        async with ScriptedNats() as server, Noting(server.url) as client:
            server.pong = False
            await until(lambda: not client.is_connected)
            assert "it was silent for 0.2 s" in client.problem
            server.pong = True
            await client.connected(10)

    run(main())


def test_another_server_is_learned_and_taken(run: Runner) -> None:
    async def main() -> None:
        async with ScriptedNats() as second:
            urls = f'"x", "{second.url.removeprefix("nats://")}"'.encode()
            async with ScriptedNats(b'INFO {"max_payload":9,"connect_urls":[%b]}\r\n' % urls) as first:
                client = Noting(first.url)
                await client.__aenter__()
                client.subscribe("a")
                assert client.server in first.url
            await until(lambda: client.is_connected and client.server in second.url)
            await until(lambda: b"SUB a 1" in second.lines)
            await client.stop()

    run(main())


def test_what_is_published_meanwhile_can_be_held(run: Runner, own_nats: NatsServer) -> None:
    async def main() -> None:
        async with noting(own_nats, hold_seconds=20, limit=1000) as client:
            client.subscribe("a")
            own_nats.stop()
            await until(lambda: not client.is_connected)
            client.publish("a", b"one")
            client.publish("a", b"x" * 900)
            with pytest.raises(ClusterError):
                client.publish("a", b"y" * 900)
            own_nats.start()
            assert await client.has(2) == [b"one", b"x" * 900]
            assert (client.counters.held, client.counters.refused) == (2, 1)

    run(main())


def test_what_was_held_for_too_long_is_dropped_and_counted(run: Runner, impatient: None) -> None:
    async def main() -> None:
        client = Noting(f"nats://127.0.0.1:{free_port()}", hold_seconds=0.1)
        client.start()
        client.publish("a", b"held")
        await until(lambda: client.counters.expired)
        with pytest.raises(ClusterError):
            client.publish("a", b"refused")
        assert client._outgoing.size == 0
        await client.stop()

    run(main())


def test_nothing_more_is_taken_for_a_server_that_does_not_read(run: Runner, own_nats: NatsServer) -> None:
    async def main() -> None:
        async with noting(own_nats, limit=1_000_000) as client:
            own_nats.pause()
            for _ in range(1000):
                if client.is_full:
                    break
                client.publish("a", b"x" * 100_000)
                await asyncio.sleep(0)
            assert client.is_full
            assert 1_000_000 < client._outgoing.size < 1_200_000
            with pytest.raises(ClusterError, match="has not taken"):
                client.publish("a", b"x")
            own_nats.resume()
            await client.drained()
            client.publish("a", b"")
            await client.flush()
            assert client.counters.refused == 1

    run(main())


def test_a_break_is_told_by_the_next_flush(run: Runner, own_nats: NatsServer) -> None:
    async def main() -> None:
        async with noting(own_nats) as client:
            own_nats.pause()
            client.publish("a", b"perhaps lost")
            await asyncio.sleep(0)
            own_nats.stop()
            await until(lambda: not client.is_connected)
            own_nats.start()
            await client.connected(10)
            with pytest.raises(ClusterError, match="broke since the last flush"):
                await client.flush()
            await client.flush()
            assert client.counters.unconfirmed == 1

    run(main())


def test_what_the_server_says_is_wrong_is_counted(run: Runner, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async with ScriptedNats() as server, Noting(server.url) as client:
            server.say(b"-ERR 'Slow Consumer'\r\n-ERR 'Stale Connection'\r\n-ERR 'Invalid Subject'\r\n")
            await until(lambda: client.counters.server_errors)
            assert (client.counters.slow_consumer, client.counters.stale_connection) == (1, 1)
            server.say(b"MSG a 1 100000000000\r\n")
            await until(lambda: client.counters.connections == 2)

    run(main())
    assert "says: Slow Consumer" in caplog.text


def test_a_handler_that_fails_harms_nothing(run: Runner, nats: NatsServer, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async with noting(nats) as client:
            client.subscribe("fails", lambda message: 1 / 0)  # type: ignore[arg-type]
            client.subscribe(client.subjects.all)
            client.publish("fails", b"")
            client.publish(client.subjects.all, b"fine")
            assert await client.has(1) == [b"fine"]

    run(main())
    assert "ZeroDivisionError" in caplog.text


@pytest.mark.parametrize(
    ("greeting", "reason"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n", "sent a line that begins with"),
        (b"-ERR 'maximum connections exceeded'\r\n", "maximum connections exceeded"),
        (b"PING\r\n", "spoke out of turn"),
    ],
)
def test_what_is_no_server_is_told_of(run: Runner, greeting: bytes, reason: str) -> None:
    async def main() -> None:
        async with ScriptedNats(greeting) as server:
            client = Noting(server.url)
            client.start()
            with pytest.raises(ClusterTimeoutError, match=reason):
                await client.connected(0.3)
            await client.stop()

    run(main())
