"""What a blocking client on NATS is about to send, where a signal's handler pushes in the middle of that."""

from __future__ import annotations

from tidegate.client.nats.blocking import Kept
from tidegate.client.nats.outbound import Outbound, Parcel
from tidegate.client.nats.routing import Copies
from tidegate.cluster.nats.subjects import Subjects
from tidegate.wire.commands import SEND_TO_ALL
from tidegate.wire.packet import pack

SUBJECTS = Subjects("b")


def push(text: bytes) -> Copies:
    return ((SUBJECTS.all, pack(SEND_TO_ALL, body=text)),)


class Interrupted(Outbound):
    """Calls what a signal's handler does, once."""

    kept: Kept
    interrupted: list[Parcel] | None = None

    def _seal(self) -> None:
        if self.interrupted is None:
            self.interrupted = []
            self.interrupted += self.kept.add([push(b"of the handler")])
        super()._seal()


def test_what_a_signals_handler_pushes_leaves_once_behind_what_it_interrupted() -> None:
    outbound = Interrupted(SUBJECTS, Outbound.new_sender())
    kept = outbound.kept = Kept(outbound)
    parcels = kept.add([push(b"first"), push(b"second")])
    assert outbound.interrupted == []
    sent = b"".join(payload for parcel in parcels for _, payload in parcel.messages)
    places = [sent.index(text) for text in (b"first", b"second", b"of the handler")]
    assert places == sorted(places)
    assert sum(parcel.packets for parcel in parcels) == 3
    assert kept.add([]) == []
