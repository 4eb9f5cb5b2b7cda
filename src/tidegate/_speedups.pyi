from typing import Any

def apply_mask(data: Any, mask: Any, /) -> bytes: ...
def scan_frames(data: Any, position: int, limit: int, messages: list[Any], /) -> int: ...
def scan_packets(data: Any, limit: int, packets: list[Any], /) -> int: ...
def scan_runs(data: Any, limit: int, runs: list[Any], /) -> int: ...
def pack_packet(
    command: int,
    ip: int,
    port: int,
    client_ip: int,
    client_port: int,
    number: int,
    flags: int,
    gateway_port: int,
    ext: bytes,
    body: str | bytes,
    /,
) -> bytes: ...
def pack_packets(
    command: int,
    ip: int,
    port: int,
    client_ip: int,
    client_port: int,
    number: int,
    text_flags: int,
    binary_flags: int,
    gateway_port: int,
    ext: bytes,
    bodies: list[str | bytes],
    limit: int,
    /,
) -> bytes | None: ...
def make_frame(first: int, payload: str | bytes, /) -> bytes: ...
def body_frame(body: bytes, /) -> bytes: ...
def body_frames(bodies: list[bytes], /) -> list[bytes]: ...
def send_many(sockets: list[Any], data: bytes, /) -> list[int]: ...
