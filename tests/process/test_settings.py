"""Settings from code, environment and TOML."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tidegate import Worker
from tidegate.errors import ConfigurationError
from tidegate.process.settings import (
    BusinessSettings,
    GatewaySettings,
    RegisterSettings,
    WorkerSettings,
    load_config,
    resolve,
)


def limit(given: Mapping[str, Any], environ: Mapping[str, str], config: Mapping[str, Any], worker: str = "chat") -> int:
    return resolve(WorkerSettings, worker, given, config, environ).send_buffer_limit


def test_code_comes_before_environment_before_toml_before_the_default() -> None:
    code = {"send_buffer_limit": 1}
    own_variable = {"TIDEGATE_CHAT_SEND_BUFFER_LIMIT": "2"}
    variable = {"TIDEGATE_SEND_BUFFER_LIMIT": "3"}
    own_table = {"worker": {"chat": {"send_buffer_limit": 4}}}
    table = {"send_buffer_limit": 5}
    assert limit(code, own_variable | variable, own_table | table) == 1
    assert limit({}, own_variable | variable, own_table | table) == 2
    assert limit({}, variable, own_table | table) == 3
    assert limit({"send_buffer_limit": None}, {}, own_table | table) == 4
    assert limit({}, {}, table) == 5
    assert limit({}, {}, {}) == WorkerSettings().send_buffer_limit == 1024 * 1024


def test_what_belongs_to_another_worker_is_left_alone() -> None:
    assert (
        limit({}, {"TIDEGATE_OTHER_SEND_BUFFER_LIMIT": "2"}, {"worker": {"other": {"send_buffer_limit": 3}}}) == 2**20
    )


def test_a_name_is_found_in_the_environment_whatever_signs_it_has() -> None:
    assert limit({}, {"TIDEGATE_WEBSOCKET_7272_SEND_BUFFER_LIMIT": "7"}, {}, "websocket-7272") == 7


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("count", "4", 4),
        ("compression", "1", True),
        ("compression", "Yes", True),
        ("compression", "on", True),
        ("reloadable", "0", False),
        ("reuse_port", "false", False),
        ("subprotocols", "chat, json", ("chat", "json")),
        ("slow_consumer", "drop", "drop"),
        ("encoding", "latin-1", "latin-1"),
        ("ssl", "a.crt,a.key", ["a.crt", "a.key"]),
    ],
)
def test_a_variable_is_read_as_what_the_setting_is(name: str, text: str, value: object) -> None:
    assert getattr(resolve(WorkerSettings, "chat", {}, {}, {f"TIDEGATE_{name.upper()}": text}), name) == value


@pytest.mark.parametrize(
    ("name", "value", "advice"),
    [
        ("count", 0, "it takes a whole number above 0"),
        ("count", -1, "it takes a whole number above 0"),
        ("count", True, "it takes a whole number above 0"),
        ("count", 1.5, "it takes a whole number above 0"),
        ("max_message_size", "big", "it takes a whole number above 0"),
        ("compression", "maybe", "it takes true or false"),
        ("reuse_port", 1, "it takes true or false"),
        ("slow_consumer", "wait", "it takes 'close' or 'drop'"),
        ("encoding", "klingon", "Python has no such encoding"),
        ("encoding", 8, "Python has no such encoding"),
        ("encoding", "a\0b", "Python has no such encoding"),
        ("subprotocols", "chat", "it takes a list of names"),
        ("subprotocols", 5, "it takes a list of names"),
        ("subprotocols", [5], "it takes a list of names"),
    ],
)
def test_a_wrong_value_is_one_line_with_its_source(name: str, value: Any, advice: str) -> None:
    sources: list[tuple[dict[str, Any], dict[str, Any], str]] = [
        ({name: value}, {}, f"{name} of worker 'chat' is {value!r}: {advice}"),
        ({}, {"worker": {"chat": {name: value}}}, f"{name} in [worker.chat] is {value!r}: {advice}"),
        ({}, {name: value}, f"{name} in the configuration file is {value!r}: {advice}"),
    ]
    for given, config, message in sources:
        with pytest.raises(ConfigurationError) as caught:
            resolve(WorkerSettings, "chat", given, config, {})
        assert str(caught.value) == message


@pytest.mark.parametrize(("name", "text"), [("COUNT", "-2"), ("COUNT", "two"), ("COUNT", ""), ("COMPRESSION", "maybe")])
def test_a_wrong_variable_is_named(name: str, text: str) -> None:
    with pytest.raises(ConfigurationError, match=f"^TIDEGATE_CHAT_{name} is '{text}': it takes "):
        resolve(WorkerSettings, "chat", {}, {}, {f"TIDEGATE_CHAT_{name}": text})


@pytest.mark.parametrize("value", [5, True, "a.crt", ["a.crt"], [1, 2]])
def test_a_wrong_ssl_setting_is_no_traceback(value: Any) -> None:
    with pytest.raises(ConfigurationError, match="ssl is an SSLContext or a pair"):
        Worker("text://127.0.0.1:0").settings({"ssl": value})


def test_a_worker_reads_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEGATE_CHAT_COUNT", "3")
    assert Worker("text://127.0.0.1:0", name="chat").describe({})["count"] == 3
    assert Worker("text://127.0.0.1:0", name="chat", count=2).describe({})["count"] == 2
    assert Worker("text://127.0.0.1:0", name="other").describe({"count": 4})["count"] == 4


def write(path: Path, text: str) -> str:
    file = path / "tidegate.toml"
    file.write_bytes(text.encode("latin-1"))
    return str(file)


def test_a_file_is_read(tmp_path: Path) -> None:
    path = write(tmp_path, 'count = 2\nsubprotocols = ["a"]\n[worker.chat]\ncount = 3\n[worker."text-1"]\ncount = 4\n')
    config = load_config(path)
    assert [resolve(WorkerSettings, name, {}, config, {}).count for name in ("other", "chat", "text-1")] == [2, 3, 4]
    assert load_config(None) == {}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("count = ", "is no TOML: "),
        ("\xff\xfe", "is no TOML: "),
        ("cuont = 2", "there is no setting 'cuont'; there are count, ssl, "),
        ("[worker.chat]\ncuont = 2", "there is no setting 'cuont'"),
        ("worker = 5", r"\[worker\] has a table for each worker: \[worker.NAME\]"),
        ("[worker]\ncount = 2", r"\[worker\] has a table for each worker: \[worker.NAME\]"),
    ],
)
def test_a_file_with_a_mistake_is_one_line_that_names_it(tmp_path: Path, text: str, complaint: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(ConfigurationError, match=complaint) as caught:
        load_config(path)
    assert path in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_or_no_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"there is no configuration file .*missing\.toml"):
        load_config(str(tmp_path / "missing.toml"))
    with pytest.raises(ConfigurationError, match="can't be read: Is a directory"):
        load_config(str(tmp_path))


HAVE_A_SECRET: tuple[Any, ...] = (GatewaySettings, RegisterSettings, BusinessSettings)
SECRETS = ['say "please"', "back\\slash", "line\nfeed", "nul\0", "\udcff", 5]


@pytest.mark.parametrize("secret", SECRETS)
def test_a_secret_that_php_could_not_write_is_refused_and_not_shown(secret: Any) -> None:
    for kind in HAVE_A_SECRET:
        with pytest.raises(ConfigurationError) as caught:
            resolve(kind, "chat", {"secret_key": secret}, {}, {})
        takes = 'it takes a text without ", \\ and control characters'
        assert str(caught.value) == f"secret_key of {kind.noun} 'chat': {takes}"


def test_a_secret_is_not_shown_with_the_settings() -> None:
    for kind in HAVE_A_SECRET:
        settings = resolve(kind, "chat", {}, {}, {"TIDEGATE_SECRET_KEY": "s3cret"})
        assert settings.secret_key == "s3cret"
        assert "s3cret" not in repr(settings)


@pytest.mark.parametrize(
    ("given", "environ", "cluster"),
    [
        ({}, {}, ("127.0.0.1:1236",)),
        ({"cluster": "10.0.0.1:1236"}, {}, ("10.0.0.1:1236",)),
        ({"cluster": ["10.0.0.1:1", "10.0.0.2:1"]}, {}, ("10.0.0.1:1", "10.0.0.2:1")),
        ({}, {"TIDEGATE_CLUSTER": "10.0.0.1:1, 10.0.0.2:1"}, ("10.0.0.1:1", "10.0.0.2:1")),
        ({}, {"TIDEGATE_CLUSTER": "nats://10.0.0.1:4222"}, ("nats://10.0.0.1:4222",)),
    ],
)
def test_a_cluster_is_one_address_or_several(given: Any, environ: Any, cluster: tuple[str, ...]) -> None:
    assert resolve(GatewaySettings, "chat", given, {}, environ).cluster == cluster
    assert resolve(BusinessSettings, "chat", given, {}, environ).cluster == cluster


@pytest.mark.parametrize(
    ("kind", "name", "text", "value"),
    [
        (GatewaySettings, "ping_interval", "0", 0),
        (GatewaySettings, "ping_interval", "2.5", 2.5),
        (GatewaySettings, "ping_not_response_limit", "0", 0),
        (GatewaySettings, "ping_data", "{}", "{}"),
        (GatewaySettings, "router", "random", "random"),
        (GatewaySettings, "start_port", "65535", 65535),
        (RegisterSettings, "settle_seconds", "0", 0),
        (BusinessSettings, "threads", "0", 0),
        (BusinessSettings, "handler_timeout", "0", 0),
    ],
)
def test_what_a_cluster_needs_is_read_as_well(kind: Any, name: str, text: str, value: object) -> None:
    assert getattr(resolve(kind, "chat", {}, {}, {f"TIDEGATE_{name.upper()}": text}), name) == value


@pytest.mark.parametrize(
    ("kind", "name", "value", "advice"),
    [
        (GatewaySettings, "start_port", 0, "it takes a whole number from 1 to 65535"),
        (GatewaySettings, "start_port", 65536, "it takes a whole number from 1 to 65535"),
        (GatewaySettings, "ping_interval", -1, "it takes a number of seconds that is not below 0"),
        (GatewaySettings, "ping_interval", float("inf"), "it takes a number of seconds that is not below 0"),
        (GatewaySettings, "ping_interval", True, "it takes a number of seconds that is not below 0"),
        (GatewaySettings, "worker_wait_seconds", 0, "it takes a number of seconds above 0"),
        (GatewaySettings, "ping_not_response_limit", -1, "it takes a whole number that is not below 0"),
        (GatewaySettings, "ping_data", 5, "it takes a text or bytes"),
        (GatewaySettings, "router", "best", "it takes 'least' or 'random' or a function"),
        (GatewaySettings, "lan_ip", "", "it takes a text"),
        (BusinessSettings, "cluster", [], "it takes an address, host:port, or a list of them"),
        (BusinessSettings, "cluster", "", "it takes an address, host:port, or a list of them"),
        (BusinessSettings, "cluster", [1236], "it takes an address, host:port, or a list of them"),
        (BusinessSettings, "threads", "many", "it takes a whole number that is not below 0"),
    ],
)
def test_what_a_cluster_can_not_take_is_refused(kind: Any, name: str, value: Any, advice: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        resolve(kind, "chat", {name: value}, {}, {})
    assert str(caught.value) == f"{name} of {kind.noun} 'chat' is {value!r}: {advice}"


def test_bytes_and_a_function_can_be_given_in_code() -> None:
    settings = resolve(GatewaySettings, "chat", {"ping_data": b"\0", "router": max}, {}, {})
    assert (settings.ping_data, settings.router) == (b"\0", max)


def test_the_settings_of_every_kind_may_stand_in_one_file(tmp_path: Path) -> None:
    text = 'threads = 8\nsettle_seconds = 0\nlan_ip = "10.0.0.1"\nreuse_port = true\n[worker.chat]\nstart_port = 4000\n'
    config = load_config(write(tmp_path, text))
    assert resolve(BusinessSettings, "chat", {}, config, {}).threads == 8
    assert resolve(RegisterSettings, "chat", {}, config, {}).settle_seconds == 0
    gateway = resolve(GatewaySettings, "chat", {}, config, {})
    assert (gateway.lan_ip, gateway.start_port) == ("10.0.0.1", 4000)
    assert resolve(WorkerSettings, "chat", {}, config, {}).reuse_port


def test_gateways_and_registers_are_not_reloaded_and_the_users_code_is() -> None:
    kinds = (WorkerSettings, GatewaySettings, RegisterSettings, BusinessSettings)
    assert [kind().reloadable for kind in kinds] == [True, False, False, True]
