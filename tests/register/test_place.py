"""Members of an app with a Register of its own find that, unless they are told of others."""

from __future__ import annotations

import pytest

from tidegate import App, BusinessWorker, Gateway, Register

ADDRESS = "websocket://127.0.0.1:0"


@pytest.mark.parametrize(
    ("addresses", "cluster"),
    [
        (["127.0.0.1:5001"], ("127.0.0.1:5001",)),
        (["0.0.0.0:5001"], ("127.0.0.1:5001",)),
        (["[::]:5001", "[::1]:5002"], ("[::1]:5001", "[::1]:5002")),
        (["127.0.0.1:0"], ("127.0.0.1:1236",)),  # which port that is is not known before it listens
        ([], ("127.0.0.1:1236",)),
    ],
)
def test_a_cluster_that_nobody_names_is_that_of_the_apps_registers(
    addresses: list[str], cluster: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TIDEGATE_CLUSTER", raising=False)
    members = Gateway(ADDRESS), BusinessWorker()
    App(*(Register(address, name=address) for address in addresses), *members)
    for member in members:
        assert tuple(member.settings({}).cluster) == cluster


def test_what_is_said_of_it_counts_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TIDEGATE_CLUSTER", raising=False)
    told, silent = BusinessWorker(cluster="10.0.0.1:1", name="told"), BusinessWorker(name="silent")
    App(Register("127.0.0.1:5001"), told, silent)
    assert tuple(told.settings({}).cluster) == ("10.0.0.1:1",)
    assert tuple(silent.settings({"cluster": "10.0.0.2:1"}).cluster) == ("10.0.0.2:1",)
    monkeypatch.setenv("TIDEGATE_CLUSTER", "10.0.0.3:1")
    assert tuple(silent.settings({}).cluster) == ("10.0.0.3:1",)
