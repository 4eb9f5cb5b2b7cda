"""The cluster behind the PHP pages: `tidegate start cluster.py`. From browsers it takes nothing but signs of life."""

import hmac
import json
import os

from tidegate import App, BusinessWorker, Client, Gateway, Register

SECRET = os.environ[
    "TIDEGATE_SECRET_KEY"
]  # of the whole cluster, as PHP's Gateway::$secretKey; Tidegate reads it itself
LISTEN = os.environ.get("LISTEN", "127.0.0.1")
LAN_IP = os.environ.get("LAN_IP", "127.0.0.1")  # where PHP reaches the gateway: an address, or a name

business = BusinessWorker()
app = App(
    Register(f"{LISTEN}:1236"),
    Gateway(f"websocket://{LISTEN}:7272", lan_ip=LAN_IP, max_message_size=1024),
    business,
)


@business.on_connect
def greet(client: Client) -> None:
    # A client id says which gateway to connect to. The ticket shows the site that this one was made here, and that who
    # posts it has the connection: see bind.php.
    ticket = hmac.digest(SECRET.encode(), f"ticket {client.id}".encode(), "sha256").hex()
    client.send(json.dumps({"type": "init", "client_id": client.id, "ticket": ticket}))


@business.on_message
def answer(client: Client, message: str | bytes) -> None:
    if message == '{"type":"ping"}':
        client.send('{"type":"pong"}')
