from __future__ import annotations

import pytest

from tidegate.cluster.nats.url import Credentials, Files, is_nats, parse_nats
from tidegate.errors import ConfigurationError


def test_one_server_is_enough() -> None:
    place = parse_nats("nats://example.org", {})
    assert str(place) == "nats://example.org:4222/tidegate"
    assert place.credentials == Credentials()
    assert not place.needs_tls


@pytest.mark.parametrize(
    "cluster",
    [
        "nats://a:1,nats://b:2,nats://[::1]:3/name",
        "nats://a:1/name,b:2,[::1]:3",
        ["nats://a:1", "nats://b:2/name", "nats://[::1]:3"],
        "nats://a:1,nats://a:1,b:2,[::1]:3/name",
    ],
)
def test_several_servers_are_one_cluster(cluster: str | list[str]) -> None:
    assert str(parse_nats(cluster, {})) == "nats://a:1,b:2,[::1]:3/name"


def test_who_comes_in_stands_before_the_host() -> None:
    assert parse_nats("nats://us%40er:p%2Cw@h", {}).credentials == Credentials(user="us@er", password="p,w")
    assert parse_nats("nats://s3cret@h", {}).credentials == Credentials(token="s3cret")


def test_files_stand_behind() -> None:
    place = parse_nats("nats://h/n?creds=/c&tls_ca=/a&tls_cert=/b&tls_key=/k", {})
    assert place.files == Files("/c", "/a", "/b", "/k")
    assert place.needs_tls
    assert parse_nats("tls://h", {}).needs_tls


def test_the_domain_of_jetstream_stands_behind_or_in_the_environment() -> None:
    assert parse_nats("nats://h", {}).js_domain == ""
    environ = {"TIDEGATE_NATS_JS_DOMAIN": "hub"}
    assert parse_nats("nats://h", environ).js_domain == "hub"
    assert parse_nats("nats://u:p@h?js_domain=other", environ).js_domain == "other"


def test_what_is_left_out_may_be_in_the_environment() -> None:
    environ = {"TIDEGATE_NATS_TOKEN": "t", "TIDEGATE_NATS_TLS_CA": "/a"}
    place = parse_nats("nats://h", environ)
    assert place.credentials == Credentials(token="t")
    assert place.files.tls_ca == "/a"
    assert parse_nats("nats://u:p@h", environ).credentials == Credentials(user="u", password="p")
    assert parse_nats("nats://u:p@h", {"TIDEGATE_NATS_CREDS": "/c"}).files.creds == ""
    assert parse_nats("nats://h?creds=/c", environ).credentials == Credentials()


@pytest.mark.parametrize(
    "cluster",
    [
        "nats://",
        "nats://:4222",
        "nats://h:0",
        "nats://h:99999",
        "nats://h:port",
        "http://h",
        "nats://a,http://b",
        "nats://h/name/more",
        "nats://h/a.b",
        f"nats://h/{'x' * 65}",
        "nats://a/one,nats://b/two",
        "nats://one@a,nats://two@b",
        "nats://h?colour=red",
        "nats://h?creds=",
        "nats://h?js_domain=a.b",
        "nats://h?tls_cert=/c",
        "nats://h#x",
        "nats://[::1",
        "",
    ],
)
def test_what_is_wrong_is_told(cluster: str) -> None:
    with pytest.raises(ConfigurationError, match=r"the cluster .* has .*: write nats://"):
        parse_nats(cluster, {})


@pytest.mark.parametrize(
    "cluster",
    ["nats://u:s3cret@h:0", "nats://u:s3,cret@h", "nats://u:s3/cret@h", "nats://s3cret@h:port", "nats://u:s3?cret@h"],
)
def test_no_secret_is_told(cluster: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_nats(cluster, {})
    for part in ("s3", "cret"):
        assert part not in str(caught.value)


def test_no_secret_is_shown() -> None:
    place = parse_nats("nats://u:s3cret@h,u:s3cret@i", {})
    assert "s3cret" not in f"{place!r} {place}"


def test_a_cluster_on_nats_is_known_by_its_url() -> None:
    assert is_nats("nats://h")
    assert is_nats(["tls://h", "nats://i"])
    assert not is_nats("127.0.0.1:1236")
    assert not is_nats(["127.0.0.1:1236"])
    assert not is_nats(None)
