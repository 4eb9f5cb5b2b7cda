# A chat for telnet; with websocket:// in place of tcp:// it is one for browsers, and nothing else changes.
from tidegate import App, BusinessWorker, Client, Gateway, Register

app = App(Register(), Gateway("tcp://0.0.0.0:8282"), business := BusinessWorker())


@business.on_connect
def greet(client: Client) -> None:
    client.send(f"Hello {client.id}\r\n")


@business.on_message
def say(client: Client, message: str | bytes) -> None:
    text = message if isinstance(message, str) else message.decode(errors="replace")
    business.send_to_all(f"{client.id} said {text.strip()}\r\n")


@business.on_close
def leave(client: Client) -> None:
    business.send_to_all(f"{client.id} left\r\n")
