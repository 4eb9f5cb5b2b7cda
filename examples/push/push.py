"""Push from a backend: `python push.py uid1 88%`."""

import json
import socket
import sys

uid, percent = sys.argv[1:3] if len(sys.argv) > 2 else ("uid1", "88%")
with socket.create_connection(("127.0.0.1", 5678), timeout=5) as client:
    client.sendall(json.dumps({"uid": uid, "percent": percent}).encode() + b"\n")
    print(client.recv(8192).decode(), end="")
