"""The Helm chart, rendered by Helm's library and held against the schemas of Kubernetes, without a cluster."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from llmproxy.config import Config, ConfigError, load
from tests.deploy.chart import CHART, Json, Refused, helm, needs_helm, rendered
from tests.docs.markdown import ROOT

pytestmark = needs_helm

ALL_ON: Json = {
    "replicaCount": 3,
    "autoscaling": {"enabled": True},
    "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
    "dashboard": {"enabled": True},
    "networkPolicy": {
        "from": [{"namespaceSelector": {"matchLabels": {"team": "ai"}}}],
        "egress": [{"ports": [{"port": 443}]}],
    },
    "extraEnv": [{"name": "LLMPROXY_LOG_LEVEL", "value": "debug"}],
    "serverConfig": "max_in_flight = 500",
    "config": '[aliases]\nfast = "openai/gpt-4o-mini"\n',
    "podLabels": {"team": "ai"},
    "podAnnotations": {"note": "x"},
    "nodeSelector": {"pool": "llm"},
    "tolerations": [{"key": "llm", "operator": "Exists"}],
    "affinity": {"nodeAffinity": {}},
    "imagePullSecrets": [{"name": "registry"}],
    "priorityClassName": "high",
    "image": {"digest": "sha256:" + "0" * 64},
}
SETTINGS = [
    pytest.param({}, id="as it comes"),
    pytest.param({"replicaCount": 1}, id="one replica"),
    pytest.param({"replicaCount": 1, "persistence": {"existingClaim": "data"}}, id="one replica with a disk"),
    pytest.param(ALL_ON, id="everything on"),
]
OFF = {"networkPolicy": {"enabled": False}, "podDisruptionBudget": {"enabled": False}}


def pod(**values: Any) -> Json:
    found: Json = rendered(**values)["Deployment/gw-llmproxy"]["spec"]["template"]["spec"]
    return found


def container(**values: Any) -> Json:
    [found] = pod(**values)["containers"]
    assert isinstance(found, dict)
    return found


def variables(of: Json) -> dict[str, str]:
    """What a container's process sees, with the pod's name in place of what refers to it."""
    return {one["name"]: one.get("value", "gw-llmproxy-7d9f") for one in of["env"]}


def config(tmp_path: Path, secret: dict[str, str], **values: Any) -> Config:
    """What the gateway in the pod reads."""
    objects = rendered(**values)
    file = tmp_path / "llmproxy.toml"
    file.write_text(objects["ConfigMap/gw-llmproxy"]["data"]["llmproxy.toml"])
    [one] = objects["Deployment/gw-llmproxy"]["spec"]["template"]["spec"]["containers"]
    return load(file, {**variables(one), **secret, "LLMPROXY_DATA_DIR": str(tmp_path)})


SECRET = {"LLMPROXY_KEY": "a-key-of-some-length", "LLMPROXY_CLUSTER_SECRET": "s" * 64, "OPENAI_API_KEY": "sk-test"}


@pytest.mark.parametrize("version", ["1.27", "1.30", "1.37"])
@pytest.mark.parametrize("values", SETTINGS)
def test_every_object_fits_the_schema_of_its_kind(values: Json, version: str) -> None:
    import kubernetes_validate  # in the group deploy

    for name, one in rendered(**values).items():
        if name.startswith("ServiceMonitor/"):  # not of Kubernetes itself: the next test looks at it
            continue
        kubernetes_validate.validate(one, version, strict=True)


def test_the_service_monitor_has_what_the_prometheus_operator_reads() -> None:
    monitor = rendered(**ALL_ON)["ServiceMonitor/gw-llmproxy"]
    assert monitor["apiVersion"] == "monitoring.coreos.com/v1"
    assert monitor["metadata"]["labels"]["release"] == "prometheus"
    service = rendered(**ALL_ON)["Service/gw-llmproxy"]
    assert monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    [endpoint] = monitor["spec"]["endpoints"]
    assert endpoint["port"] in {one["name"] for one in service["spec"]["ports"]}
    assert endpoint["authorization"]["credentials"] == {"name": "keys", "key": "LLMPROXY_KEY"}


@pytest.mark.parametrize("values", SETTINGS)
def test_helm_finds_nothing_wrong(values: Json) -> None:
    report = helm({"existingSecret": "keys", **values})["lint"]
    assert report["errors"] in ([], None)
    assert [one for one in report["messages"] or () if one["severity"] >= 2] == []


@pytest.mark.parametrize("values", SETTINGS)
def test_the_pod_may_do_nothing_that_it_need_not(values: Json) -> None:
    spec, of = pod(**values), container(**values)
    assert spec["automountServiceAccountToken"] is False
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["runAsUser"] == 65532
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert of["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    writable = {one["mountPath"] for one in of["volumeMounts"] if not one.get("readOnly")}
    assert writable == {"/data", "/tmp"}


@pytest.mark.parametrize(
    ("drain", "grace"), [({"delay": 5, "timeout": 55}, 65), ({"delay": 0, "timeout": 7}, 12), ({"timeout": 0.5}, 11)]
)
def test_a_pod_is_given_longer_than_its_drain(drain: Json, grace: int, tmp_path: Path) -> None:
    assert pod(drain=drain)["terminationGracePeriodSeconds"] == grace
    server = config(tmp_path, SECRET, drain=drain).server
    assert server.drain_delay + server.drain_timeout + 2 < grace


@pytest.mark.parametrize("values", SETTINGS)
def test_what_the_pod_is_given_is_a_configuration_that_holds(values: Json, tmp_path: Path) -> None:
    found = config(tmp_path, SECRET, **values)
    assert (found.server.host, found.server.port) == ("0.0.0.0", 8811)
    assert [key.name for key in found.server.keys] == ["environment"]
    assert "openai" in {one.name for one in found.providers}


def test_settings_of_ones_own_reach_the_gateway(tmp_path: Path) -> None:
    found = config(tmp_path, SECRET, **ALL_ON)
    assert found.server.max_in_flight == 500
    assert found.aliases["fast"].chain == ("openai/gpt-4o-mini",)
    assert found.logs.level == "debug"


@pytest.mark.parametrize(
    ("values", "found"),
    [
        ({}, True),
        ({"replicaCount": 1}, False),
        ({"replicaCount": 1, "autoscaling": {"enabled": True}}, True),
        ({"replicaCount": 1, "cluster": {"enabled": True}}, True),
        ({"replicaCount": 3, "cluster": {"enabled": False}}, False),
    ],
)
def test_replicas_find_each_other_where_there_are_several(values: Json, found: bool, tmp_path: Path) -> None:
    objects = rendered(**values)
    assert ("Service/gw-llmproxy-peers" in objects) is found
    cluster = config(tmp_path, SECRET, **values).cluster
    assert cluster.dns == ("gw-llmproxy-peers.ai.svc:8812" if found else "")
    assert cluster.listen == ("0.0.0.0:8812" if found else "")
    assert cluster.name == ("gw-llmproxy-7d9f" if found else "")
    ports = objects["NetworkPolicy/gw-llmproxy"]["spec"]["ingress"]
    assert [one["ports"][0]["port"] for one in ports] == (["http", "peers"] if found else ["http"])


def test_peers_are_found_by_a_headless_service_also_while_they_drain_and_by_nobody_else() -> None:
    objects = rendered()
    peers = objects["Service/gw-llmproxy-peers"]["spec"]
    assert (peers["clusterIP"], peers["publishNotReadyAddresses"]) == ("None", True)
    of = objects["Deployment/gw-llmproxy"]["spec"]["template"]
    assert peers["selector"].items() <= of["metadata"]["labels"].items()
    named = {one["name"]: one["containerPort"] for one in of["spec"]["containers"][0]["ports"]}
    assert named == {"http": 8811, "peers": 8812}
    allowed = objects["NetworkPolicy/gw-llmproxy"]["spec"]["ingress"][1]["from"]
    assert allowed == [{"podSelector": {"matchLabels": peers["selector"]}}]


def test_the_number_of_pods_is_the_autoscalers_where_there_is_one() -> None:
    assert rendered()["Deployment/gw-llmproxy"]["spec"]["replicas"] == 2
    objects = rendered(autoscaling={"enabled": True})
    assert "replicas" not in objects["Deployment/gw-llmproxy"]["spec"]
    [metric] = objects["HorizontalPodAutoscaler/gw-llmproxy"]["spec"]["metrics"]
    assert metric["pods"]["metric"]["name"] == "llmproxy_in_flight"


def test_a_disk_is_never_given_to_two_pods_at_once() -> None:
    deployment = rendered(replicaCount=1, persistence={"existingClaim": "data"})["Deployment/gw-llmproxy"]["spec"]
    assert deployment["strategy"] == {"type": "Recreate"}


def test_what_is_switched_off_is_not_there() -> None:
    kinds = {name.partition("/")[0] for name in rendered(replicaCount=1, **OFF)}
    assert kinds == {"ConfigMap", "Deployment", "Service"}


def test_the_dashboard_is_the_one_that_comes_along() -> None:
    said = rendered(**ALL_ON)["ConfigMap/gw-llmproxy-dashboard"]["data"]["llmproxy.json"]
    assert said == (ROOT / "deploy" / "grafana" / "llmproxy.json").read_text(encoding="utf-8")


def refusals() -> Iterator[Any]:
    yield pytest.param({"existingSecret": ""}, "existingSecret is required", id="no secret")
    yield pytest.param({"image": {"tag": "latest"}}, "tag", id="latest")
    yield pytest.param({"replicas": 3}, "replicas", id="unknown")
    yield pytest.param({"drain": {"timeout": "7"}}, "timeout", id="text for a number")
    yield pytest.param({"serverConfig": "drain_timeout = 3"}, "serverConfig", id="drain said twice")
    yield pytest.param({"config": "[server]\nport = 1"}, "config", id="table said twice")


@pytest.mark.parametrize(("values", "named"), list(refusals()))
def test_values_that_would_not_work_are_refused_by_name(values: Json, named: str) -> None:
    with pytest.raises(Refused, match=named):
        rendered(**values)


def test_without_a_secret_for_the_cluster_the_gateway_says_what_is_missing(tmp_path: Path) -> None:
    alone = {name: value for name, value in SECRET.items() if name != "LLMPROXY_CLUSTER_SECRET"}
    with pytest.raises(ConfigError, match="secret"):
        config(tmp_path, alone)


def test_the_charts_version_of_the_gateway_is_this_one() -> None:
    import tomllib

    import yaml  # type: ignore[import-untyped]  # brought by kubernetes-validate

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert yaml.safe_load((CHART / "Chart.yaml").read_text())["appVersion"] == project["version"]
