"""All targets, by name."""

from __future__ import annotations

from tests.fuzz.target import Target
from tests.fuzz.targets import (
    calls,
    cluster,
    commands,
    handshakes,
    nats,
    origins,
    packets,
    php_values,
    speedups,
    streams,
    websockets,
)

__all__ = ["TARGETS"]

TARGETS: dict[str, Target] = {
    target.name: target
    for module in (
        websockets,
        handshakes,
        origins,
        streams,
        packets,
        php_values,
        cluster,
        nats,
        calls,
        commands,
        speedups,
    )
    for target in module.TARGETS
}
