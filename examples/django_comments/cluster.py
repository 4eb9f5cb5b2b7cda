"""The cluster: it tells each page its client id, and takes nothing from it. Whatever is pushed, the site pushes."""

import json

from tidegate import App, BusinessWorker, Client, Gateway, Register

business = BusinessWorker()
app = App(Register("127.0.0.1:1236"), Gateway("websocket://127.0.0.1:7272", max_message_size=1024), business)


@business.on_connect
def greet(client: Client) -> None:
    client.send(json.dumps({"type": "init", "client_id": client.id}))  # the page gives it to the site's bind view


@business.on_message
def answer(client: Client, message: str | bytes) -> None:
    if message == '{"type":"ping"}':  # a page that has heard nothing for long asks whether we are still here
        client.send('{"type":"pong"}')
