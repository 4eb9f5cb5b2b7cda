"""What devices log in with. Each has a token of its own, so that one that was stolen or copied can only be itself.

python keys.py NAME         the token to put into a new device
"""

import contextlib
import functools
import hmac
import os
import secrets
import sys
import tempfile
from pathlib import Path

__all__ = ["is_token_of", "token_of"]

KEY_FILE = Path(__file__).with_name(".device_key")
MIN_KEY = 16  # characters: whoever has one device's token could try out all short ones


def token_of(device: str) -> str:
    """A device's token, 64 hex digits. It follows from the key and the name: nothing has to be stored for a device."""
    return hmac.digest(key(), device.encode(), "sha256").hex()


def is_token_of(device: str, token: str) -> bool:
    """Compare in constant time: how long it takes tells nobody how much of a guess was right."""
    return hmac.compare_digest(token.encode(errors="replace"), token_of(device).encode())


@functools.cache
def key() -> bytes:
    """DEVICE_KEY; else one made at the first start, in a file that only its owner can read."""
    given = os.environ.get("DEVICE_KEY")
    if given is None and not KEY_FILE.exists():
        # It gets its name when it is complete, and only the first process to come gives it: all of them have one key.
        with tempfile.NamedTemporaryFile("w", dir=KEY_FILE.parent) as made:
            made.write(secrets.token_urlsafe())
            made.flush()
            with contextlib.suppress(FileExistsError):
                os.link(made.name, KEY_FILE)
    found = KEY_FILE.read_text() if given is None else given
    if len(found) < MIN_KEY:
        raise ValueError(f"DEVICE_KEY, or what {KEY_FILE} holds, has to have {MIN_KEY} characters or more")
    return found.encode()


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python keys.py NAME")
    print(token_of(sys.argv[1]))
