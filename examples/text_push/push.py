"""Push to every open page, with nothing but a socket: `python push.py "hello all"`."""

import json
import os
import socket
import sys
from pathlib import Path


def push(content: str) -> str:
    password = os.environ.get("PUSH_PASSWORD") or Path(__file__).with_name(".password").read_text()
    message = {"type": "send", "content": content, "user": "admin", "pass": password}
    with socket.create_connection(("127.0.0.1", 7273), timeout=10) as connection:
        connection.sendall(json.dumps(message).encode() + b"\n")
        return connection.makefile().readline().strip()


if __name__ == "__main__":
    try:
        answer = push(" ".join(sys.argv[1:]))
    except OSError as error:
        sys.exit(f"nothing was pushed: {error}")
    print(answer)
    sys.exit('"type": "sent"' not in answer)
