"""The cluster, and the Flask site in it: `tidegate start app.py`. What the site does is in website.py."""

import json
import secrets

from asgiref.wsgi import WsgiToAsgi
from website import site

from tidegate import App, BusinessWorker, Client, Gateway, Register, Worker

business = BusinessWorker()
app = App(
    Register("127.0.0.1:1236"),
    Gateway("websocket://127.0.0.1:7272", max_message_size=1024),
    business,
    Worker("http://127.0.0.1:8000", name="site", app=WsgiToAsgi(site)),  # type: ignore[no-untyped-call]
)


@business.on_connect
def greet(client: Client) -> None:
    # A client id can be guessed. Who has the ticket as well has the connection: nobody binds somebody else's page.
    ticket = secrets.token_urlsafe()
    business.update_session(client.id, {"ticket": ticket})
    client.send(json.dumps({"type": "init", "client_id": client.id, "ticket": ticket}))


@business.on_message
def answer(client: Client, message: str | bytes) -> None:
    if message == '{"type":"ping"}':
        client.send('{"type":"pong"}')
