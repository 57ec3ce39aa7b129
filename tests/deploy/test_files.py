"""What else deploy/ has, read and checked by what is installed: the sidecar, compose, HAProxy and systemd."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from llmproxy.config import load
from tests.docs.markdown import ROOT

yaml = pytest.importorskip("yaml", reason="PyYAML is not installed: pip install --group deploy")

DEPLOY = ROOT / "deploy"
Json = dict[str, Any]


def read(path: Path) -> Json:
    found: Json = yaml.safe_load(path.read_text(encoding="utf-8"))
    return found


# The sidecar


def test_the_sidecar_fits_the_schema_of_kubernetes() -> None:
    validator = pytest.importorskip("kubernetes_validate", reason="pip install --group deploy")
    for version in ("1.29", "1.37"):
        validator.validate(read(DEPLOY / "kubernetes" / "sidecar.yaml"), version, strict=True)


def test_the_sidecar_is_a_native_one_that_only_its_pod_reaches(tmp_path: Path) -> None:
    spec = read(DEPLOY / "kubernetes" / "sidecar.yaml")["spec"]["template"]["spec"]
    [gateway] = spec["initContainers"]
    assert gateway["restartPolicy"] == "Always"
    assert gateway["startupProbe"]["exec"]["command"][0] == "python"
    assert spec["automountServiceAccountToken"] is False
    for one in (gateway, *spec["containers"]):
        assert one["securityContext"]["readOnlyRootFilesystem"] is True
        assert one["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert load(environ={"LLMPROXY_DATA_DIR": str(tmp_path)}).server.host == "127.0.0.1"


# Images


def images() -> Iterator[str]:
    for path in [ROOT / "Dockerfile", ROOT / "compose.yaml", *DEPLOY.rglob("*.yaml")]:
        text = path.read_text(encoding="utf-8")
        yield from re.findall(r"^(?:FROM|ARG \w+_IMAGE=|\s*image:) ?(\S+)", text, re.MULTILINE)


def test_no_image_is_whatever_is_the_latest() -> None:
    named = [one for one in images() if not one.startswith(("{{", "${", "wheel", "page"))]
    assert len(named) >= 7
    assert [one for one in named if ":" not in one or one.endswith(":latest")] == []


# Compose, read as YAML: `docker compose` is not needed


@pytest.mark.parametrize("path", [ROOT / "compose.yaml", DEPLOY / "compose.cluster.yaml"], ids=lambda path: path.name)
def test_the_gateway_in_compose_writes_nowhere_but_where_it_is_given_a_place(path: Path) -> None:
    one = read(path)["services"]["llmproxy"]
    assert one["read_only"] is True
    assert one["cap_drop"] == ["ALL"]
    assert one["security_opt"] == ["no-new-privileges:true"]
    places = [place.partition(":")[0] for place in one["tmpfs"]]
    mounted = [volume.split(":")[1] for volume in one.get("volumes", [])]
    assert {"/tmp", "/data"} <= {*places, *mounted}


def test_the_cluster_in_compose_is_a_configuration_that_holds(tmp_path: Path) -> None:
    one = read(DEPLOY / "compose.cluster.yaml")["services"]["llmproxy"]
    environ = {name: re.sub(r"\$\{(\w+)[^}]*\}", r"value-of-\1", value) for name, value in one["environment"].items()}
    found = load(environ={**environ, "LLMPROXY_DATA_DIR": str(tmp_path)})
    assert found.storage.url.startswith("postgresql://llmproxy:value-of-POSTGRES_PASSWORD@postgres:5432/")
    assert (found.cluster.dns, found.cluster.listen) == ("llmproxy:8812", "0.0.0.0:8812")
    assert found.cluster.redis == "redis://valkey:6379"
    assert int(one["stop_grace_period"].removesuffix("s")) > found.server.drain_timeout + 2


def test_the_services_that_compose_refers_to_are_there() -> None:
    services = read(DEPLOY / "compose.cluster.yaml")["services"]
    for one in services.values():
        assert set(one.get("depends_on", ())) <= set(services)
    hosts = re.findall(r"(?:@|redis://)([a-z]+):", str(services["llmproxy"]["environment"]))
    assert set(hosts) <= set(services)


@pytest.mark.skipif(shutil.which("haproxy") is None, reason="haproxy is not installed: apt-get install haproxy")
def test_haproxy_takes_the_balancers_configuration() -> None:
    done = subprocess.run(
        ["haproxy", "-c", "-f", str(DEPLOY / "haproxy.cfg")], capture_output=True, text=True, check=False, timeout=30
    )
    assert done.returncode == 0, done.stdout + done.stderr


# systemd

UNIT = DEPLOY / "systemd" / "llmproxy.service"
has_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")


@has_systemd
def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text().replace("/opt/llmproxy/bin/llmproxy", shutil.which("true") or "/bin/true"))
    done = subprocess.run(
        ["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, check=False, timeout=50
    )
    assert (done.returncode, done.stderr) == (0, "")


@has_systemd
def test_systemd_counts_the_unit_as_little_exposed() -> None:
    told = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=20", str(UNIT)],
        capture_output=True, text=True, check=False, timeout=50,
    )  # fmt: skip
    assert told.returncode == 0, told.stdout


def test_the_unit_waits_longer_than_the_gateway_drains(tmp_path: Path) -> None:
    text = UNIT.read_text()
    stop = re.search(r"^TimeoutStopSec=(\d+)$", text, re.MULTILINE)
    server = load(environ={"LLMPROXY_DATA_DIR": str(tmp_path)}).server
    assert stop is not None
    assert int(stop[1]) > server.drain_delay + server.drain_timeout + 2


def test_the_image_of_the_gateway_runs_as_the_user_of_the_chart() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text()
    assert "--uid 65532" in dockerfile
    assert re.search(r"^USER 65532:65532$", dockerfile, re.MULTILINE), "a number: Kubernetes cannot look a name up"
