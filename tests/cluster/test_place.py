"""How users write where the Registers are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tidegate.cluster.nats.url import NatsPlace
from tidegate.cluster.place import check_place, parse_cluster, read_cluster, split_place
from tidegate.errors import ConfigurationError


@pytest.mark.parametrize(
    ("cluster", "places"),
    [
        ("127.0.0.1:1236", ["127.0.0.1:1236"]),
        ("register.example:1", ["register.example:1"]),
        ("[::1]:1236", ["[::1]:1236"]),
        ("a:1, b:2 ,[::1]:3", ["a:1", "b:2", "[::1]:3"]),
        (["a:1", "b:2", "a:1"], ["a:1", "b:2"]),
        (("a:1,b:2", "c:3"), ["a:1", "b:2", "c:3"]),
    ],
)
def test_one_register_or_several(cluster: str | Sequence[str], places: list[str]) -> None:
    assert parse_cluster(cluster) == tuple(places)


def test_an_address_is_a_host_and_a_port() -> None:
    assert split_place("127.0.0.1:1236") == ("127.0.0.1", 1236)
    assert split_place("[fe80::1]:99") == ("fe80::1", 99)


@pytest.mark.parametrize(
    ("cluster", "complaint"),
    [
        (":1236", "needs a host and a port: write host:port, such as '127.0.0.1:1236'"),
        ("127.0.0.1", "needs a host and a port"),
        ("1236", "needs a host and a port"),
        ("::1:1236", "needs a host and a port"),
        ("a:b", "needs a host and a port"),
        ("a:1,", "needs a host and a port"),
        ("a b:1", "needs a host and a port"),
        ("a:0", "ports go from 1 to 65535"),
        ("a:65536", "ports go from 1 to 65535"),
        ("[localhost]:1", "no IPv6 address in its brackets"),
        (f"{'x' * 64}.example:1", "what can't be a host's name"),
        ("text://127.0.0.1:1236", "write '127.0.0.1:1236'"),
        ("nats://127.0.0.1:4222", "a Register is needed here"),
        ("", "has no Register"),
        ([], "has no Register"),
        ([1236], "1236, which is no address"),
    ],
)
def test_what_is_no_address_is_an_error_that_says_what_is_right(cluster: Any, complaint: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_cluster(cluster)
    assert complaint in str(caught.value)


def test_a_cluster_is_its_registers_or_nats() -> None:
    assert read_cluster(["10.0.0.1:1236"]) == ("10.0.0.1:1236",)
    for cluster in ("nats://a:1,nats://b:2/chat", ["nats://a:1", "nats://b:2/chat"]):
        place = read_cluster(cluster)
        assert isinstance(place, NatsPlace)
        assert str(place) == "nats://a:1,b:2/chat"


@pytest.mark.parametrize("cluster", ["nats://u:secret@a:1,b:2", ["b:2", "nats://a:1"], ["nats://a:1", "b:2"]])
def test_a_cluster_is_not_both(cluster: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"names NATS servers, and 'b:2' besides") as caught:
        read_cluster(cluster)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("place", ["nat://kim:s3cret@host:4222", "http://kim:s3cret@host:4222", "kim:s3cret@host"])
def test_what_was_meant_for_nats_is_told_how_it_is_written_and_shows_no_password(place: str) -> None:
    with pytest.raises(ConfigurationError, match="nats://") as raised:
        read_cluster(place)
    assert "s3cret" not in str(raised.value)


def test_files_that_a_url_names_are_looked_at_before_a_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"/nowhere\.creds can't be read"):
        check_place("nats://host?creds=/nowhere.creds")
    with pytest.raises(ConfigurationError, match=r"there is no file /nowhere\.pem"):
        check_place("tls://host?tls_ca=/nowhere.pem")
    (tmp_path / "empty").touch()
    with pytest.raises(ConfigurationError, match="is no creds file of NATS"):
        check_place(f"nats://host?creds={tmp_path}/empty")
    assert str(check_place("nats://host")) == "nats://host:4222/tidegate"
