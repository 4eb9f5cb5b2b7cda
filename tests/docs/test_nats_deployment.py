"""The files that run a cluster on NATS: what would only be noticed where they are used."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from tests.cluster.nats.server import NATS
from tests.docs.support import ROOT
from tidegate import App
from tidegate.cluster.nats.url import parse_nats
from tidegate.process.settings import GatewaySettings
from tidegate.process.supervisor import GRACEFUL_SECONDS
from tidegate.process.target import load, parse_target

FOLDER = ROOT / "docs" / "nats"
CONF = (FOLDER / "nats.conf").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load((FOLDER / "compose.yaml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]
OBJECTS: list[dict[str, Any]] = list(yaml.safe_load_all((FOLDER / "kubernetes.yaml").read_text()))
PODS = {each["metadata"]["name"]: each for each in OBJECTS if each["kind"] in ("Deployment", "StatefulSet")}
SERVERS = ["nats-0.nats:4222", "nats-1.nats:4222", "nats-2.nats:4222"]
MEMBERS = ["gateways", "workers"]


def environment(name: str) -> dict[str, Any]:
    """Of a deployment's only container: a value, or where it comes from."""
    [container] = PODS[name]["spec"]["template"]["spec"]["containers"]
    return {each["name"]: each.get("value", each.get("valueFrom")) for each in container["env"]}


def test_the_nats_server_takes_its_configuration(tmp_path: Path) -> None:
    path = tmp_path / "nats.conf"
    path.write_text(CONF.replace("/data", str(tmp_path)))
    given = {**os.environ, "SERVER_NAME": "nats-0", "NATS_PASSWORD": "s3cret"}
    done = subprocess.run([str(NATS), "-t", "-c", str(path)], env=given, capture_output=True, text=True, timeout=20)
    assert (done.returncode, "is valid" in done.stderr) == (0, True), done.stderr


@pytest.mark.parametrize("member", MEMBERS)
def test_each_member_of_the_app_is_there(member: str) -> None:
    app = load(parse_target(f"{FOLDER / 'app.py'}:{member}"), App)
    assert isinstance(app, App)
    assert len(app.members) == 1


@pytest.mark.parametrize("member", MEMBERS)
def test_both_files_name_the_same_servers_and_a_way_in(member: str) -> None:
    for found in (SERVICES[member]["environment"], environment(member)):
        place = parse_nats(found["TIDEGATE_CLUSTER"])
        assert [str(server) for server in place.servers] == SERVERS
        assert found["MEMBER"] == member
        assert found["TIDEGATE_NATS_USER"] == "tidegate"
        assert {"TIDEGATE_NATS_PASSWORD", "TIDEGATE_SECRET_KEY"} <= found.keys()
    assert all(f"nats://{server.replace('4222', '6222')}" in CONF for server in SERVERS)


def test_three_servers_keep_what_they_know_and_publish_nothing() -> None:
    for number in range(3):
        server = SERVICES[f"nats-{number}"]
        assert server["environment"]["SERVER_NAME"] == f"nats-{number}"
        assert "./nats.conf:/etc/nats/nats.conf:ro" in server["volumes"]
        assert f"nats-{number}:/data" in server["volumes"]
        assert server["networks"]["default"]["aliases"] == [f"nats-{number}.nats"]
        assert "ports" not in server
    assert COMPOSE["volumes"].keys() == {"nats-0", "nats-1", "nats-2"}


def test_nothing_but_the_clients_port_is_published() -> None:
    assert SERVICES["gateways"]["ports"] == ["7272:7272"]
    assert "ports" not in SERVICES["workers"]


def test_what_is_selected_exists_and_what_is_mounted_is_there() -> None:
    for name, each in PODS.items():
        labels = each["spec"]["template"]["metadata"]["labels"]
        assert each["spec"]["selector"]["matchLabels"] == labels == {"app": name}
        pod = each["spec"]["template"]["spec"]
        volumes = {volume["name"] for volume in pod.get("volumes", ())}
        volumes |= {claim["metadata"]["name"] for claim in each["spec"].get("volumeClaimTemplates", ())}
        for container in pod["containers"]:
            assert {mount["name"] for mount in container.get("volumeMounts", ())} == volumes
            ports = {port["name"] for port in container.get("ports", ())}
            for probe in ("startupProbe", "readinessProbe"):
                check = container.get(probe, {})
                assert {kind["port"] for kind in (check.get("httpGet"), check.get("tcpSocket")) if kind} <= ports
    for each in OBJECTS:
        if each["kind"] == "Service":
            assert each["spec"]["selector"]["app"] in PODS
    assert PODS["nats"]["spec"]["serviceName"] == "nats"
    assert PODS["nats"]["spec"]["replicas"] == len(SERVERS)
    assert {each["apiVersion"] for each in OBJECTS} == {"v1", "apps/v1", "policy/v1", "networking.k8s.io/v1"}


def test_machines_are_emptied_one_at_a_time_and_nobody_joins_the_servers_but_servers() -> None:
    [budget] = [each["spec"] for each in OBJECTS if each["kind"] == "PodDisruptionBudget"]
    [policy] = [each["spec"] for each in OBJECTS if each["kind"] == "NetworkPolicy"]
    nats = {"matchLabels": {"app": "nats"}}
    assert (budget["maxUnavailable"], budget["selector"], policy["podSelector"]) == (1, nats, nats)
    routes = [each for each in policy["ingress"] if {"port": 6222} in each["ports"]]
    assert routes == [{"from": [{"podSelector": nats}], "ports": [{"port": 6222}]}]


def test_a_server_that_leaves_lets_its_clients_go_one_by_one() -> None:
    seconds = [int(each) for each in re.findall(r"^lame_duck_\w+: (\d+)s$", CONF, re.M)]
    assert len(seconds) == 2
    for number in range(3):
        server = SERVICES[f"nats-{number}"]
        assert server["stop_signal"] == "SIGUSR2"
        assert int(server["stop_grace_period"].removesuffix("s")) > sum(seconds)
    pod = PODS["nats"]["spec"]["template"]["spec"]
    assert pod["terminationGracePeriodSeconds"] > sum(seconds)
    command = pod["containers"][0]["lifecycle"]["preStop"]["exec"]["command"]
    assert command == ["nats-server", "--signal", "ldm=1"]


def test_a_stop_is_a_graceful_one_and_has_the_time_that_it_takes() -> None:
    lines = (FOLDER / "Dockerfile").read_text().splitlines()
    assert "STOPSIGNAL SIGQUIT" in lines  # what `tidegate stop -g` sends
    assert " exec tidegate start " in lines[-1]  # to the supervisor itself
    longest = GRACEFUL_SECONDS + GatewaySettings().drain_seconds
    for member in MEMBERS:
        assert int(SERVICES[member]["stop_grace_period"].removesuffix("s")) > longest
        pod = PODS[member]["spec"]["template"]["spec"]
        [container] = pod["containers"]
        waits = container.get("lifecycle", {}).get("preStop", {}).get("exec", {}).get("command", ["sleep", "0"])
        assert pod["terminationGracePeriodSeconds"] > longest + int(waits[1])


def test_a_pod_is_reached_at_its_own_address() -> None:
    assert environment("gateways")["TIDEGATE_LAN_IP"] == {"fieldRef": {"fieldPath": "status.podIP"}}
    assert "TIDEGATE_LAN_IP=" in (FOLDER / "Dockerfile").read_text()
