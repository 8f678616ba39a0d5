"""The Helm chart, rendered by the template engine that Helm uses, against Kubernetes' own schemas.

Helm itself is in no package registry; `render/main.go` has those of its functions that the chart uses.
"""

from __future__ import annotations

import copy
import importlib
import json
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest

from realtime.settings.sources import load
from tests.deploy.test_containers import unknown_variables
from tests.support.go import build

CHART = Path(__file__).parents[2] / "deploy" / "helm" / "realtime"
SCHEMA = json.loads((CHART / "values.schema.json").read_text())
KUBERNETES = ("1.28", "1.34")
yaml = importlib.import_module("yaml")
VALUES: dict[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text())
CLUSTER = {"replicas": 3, "cluster": {"url": "redis://redis:6379/0", "existingSecret": "shared"}}
EVERYTHING = CLUSTER | {
    "apiKeysSecret": "keys",
    "imagePullSecrets": [{"name": "registry"}],
    "storage": {"className": "fast"},
    "ingress": {"enabled": True, "host": "chat.example.com", "className": "nginx", "tlsSecret": "tls"},
    "autoscaling": {"enabled": True},
    "serviceMonitor": {"enabled": True},
    "nodeSelector": {"gpu": "yes"},
    "tolerations": [{"key": "gpu", "operator": "Exists"}],
}


@pytest.fixture(scope="session")
def renderer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(str(Path(__file__).parent / "render" / "main.go"), tmp_path_factory.mktemp("render"))


def values(**changed: Any) -> dict[str, Any]:
    """Return the chart's values with some changed, tables member by member, as Helm does."""
    found = copy.deepcopy(VALUES)
    for name, value in changed.items():
        found[name] = {**found[name], **value} if isinstance(value, dict) and found[name] else value
    return found


def render(renderer: Path, **changed: Any) -> subprocess.CompletedProcess[str]:
    chart = {name.capitalize(): value for name, value in yaml.safe_load((CHART / "Chart.yaml").read_text()).items()}
    chart["AppVersion"] = chart["Appversion"]
    given = {
        "Values": values(**changed) | {"nameOverride": ""},
        "Chart": chart,
        "Release": {"Name": "chat", "Service": "Helm"},
    }
    return subprocess.run([str(renderer), str(CHART)], input=json.dumps(given), capture_output=True, text=True)


def objects(renderer: Path, **changed: Any) -> dict[tuple[str, str], dict[str, Any]]:
    """Return what the chart comes to, by kind and name, all of it as Kubernetes wants it."""
    jsonschema.validate(values(**changed), SCHEMA)
    done = render(renderer, **changed)
    assert done.returncode == 0, done.stderr
    found = {(one["kind"], one["metadata"]["name"]): one for one in yaml.safe_load_all(done.stdout) if one}
    for (kind, _), one in found.items():
        if kind != "ServiceMonitor":  # of the Prometheus operator
            for version in KUBERNETES:
                kubernetes_validate.validate(one, version, strict=True)
    return found


def test_one_node_by_default(renderer: Path) -> None:
    found = objects(renderer)
    kinds = [kind for kind, _ in found]
    assert sorted(kinds) == ["ConfigMap", "Service", "Service", "StatefulSet"]
    pod = found["StatefulSet", "chat"]["spec"]["template"]["spec"]
    names = {one["name"] for one in pod["containers"][0]["env"]}
    assert not names & {"REALTIME_CLUSTER", "REALTIME_NODE", "REALTIME_API_KEYS_FILE"}


@pytest.mark.parametrize("changed", [{}, CLUSTER, EVERYTHING], ids=["default", "cluster", "everything"])
def test_what_it_sets_exists_and_what_it_refers_to_is_there(
    renderer: Path, changed: dict[str, Any], tmp_path: Path
) -> None:
    found = objects(renderer, **changed)
    spec = found["StatefulSet", "chat"]["spec"]
    pod = spec["template"]["spec"]
    [container] = pod["containers"]
    assert unknown_variables(json.dumps(found["StatefulSet", "chat"])) == set()
    kept = {one["name"] for one in pod["volumes"]} | {one["metadata"]["name"] for one in spec["volumeClaimTemplates"]}
    assert {one["name"] for one in container["volumeMounts"]} == kept
    assert spec["selector"]["matchLabels"].items() <= spec["template"]["metadata"]["labels"].items()
    ports = {one["name"] for one in container["ports"]}
    for (kind, _), one in found.items():
        if kind == "Service":
            assert {port["targetPort"] for port in one["spec"]["ports"]} <= ports
    assert ("Service", spec["serviceName"]) in found
    drain = next(one["value"] for one in container["env"] if one["name"] == "REALTIME_DRAIN_SECONDS")
    assert pod["terminationGracePeriodSeconds"] >= int(drain) + 10
    settings = tmp_path / "settings.toml"
    settings.write_text(found["ConfigMap", "chat"]["data"]["settings.toml"])
    assert load({}, {}, str(settings)).settings.vllm.model == "Qwen/Qwen3-8B"


def test_everything_is_there_when_it_is_asked_for(renderer: Path) -> None:
    found = objects(renderer, **EVERYTHING)
    assert {kind for kind, _ in found} == {
        "ConfigMap", "HorizontalPodAutoscaler", "Ingress", "PodDisruptionBudget", "Service", "ServiceMonitor",
        "StatefulSet",
    }  # fmt: skip
    monitor, nodes = found["ServiceMonitor", "chat"], found["Service", "chat-nodes"]
    assert monitor["spec"]["endpoints"][0]["port"] in {one["name"] for one in nodes["spec"]["ports"]}
    assert "replicas" not in found["StatefulSet", "chat"]["spec"], "the autoscaler's"


@pytest.mark.parametrize(("prefix", "last"), [("n", 99), ("eu2west4b", 999)])
def test_nodes_are_named_by_their_cell(renderer: Path, prefix: str, last: int) -> None:
    found = objects(renderer, **CLUSTER | {"cluster": {**CLUSTER["cluster"], "nodePrefix": prefix}})  # type: ignore[dict-item]
    [container] = found["StatefulSet", "chat"]["spec"]["template"]["spec"]["containers"]
    name = next(one["value"] for one in container["env"] if one["name"] == "REALTIME_NODE")
    assert name == f"{prefix}$(POD_INDEX)"
    assert load({"node": name.replace("$(POD_INDEX)", str(last))}, {}).settings.cluster.node == f"{prefix}{last}"


@pytest.mark.parametrize("prefix", ["", "n1", "N", "a-b", "elevenletter", "é"])
def test_a_prefix_that_makes_no_name_or_that_of_another_is_refused(prefix: str) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(values(cluster={"nodePrefix": prefix}), SCHEMA)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"replicas": 2}, "more than one node needs cluster.url"),
        ({"autoscaling": {"enabled": True}}, "more than one node needs cluster.url"),
        ({"cluster": {"url": "redis://r"}}, "a cluster needs cluster.existingSecret"),
    ],
)
def test_what_can_not_work_is_refused(renderer: Path, changed: dict[str, Any], message: str) -> None:
    done = render(renderer, **changed)
    assert done.returncode == 1
    assert message in done.stderr


@pytest.mark.parametrize(
    "changed",
    [{"replica": 1}, {"cluster": {"url": "http://r"}}, {"ingress": {"enabled": True}}, {"sharedMemory": "a lot"}],
    ids=str,
)
def test_the_schema_refuses_what_is_wrong(changed: dict[str, Any]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**VALUES, **changed}, SCHEMA)


def test_every_value_of_the_schema_is_used_and_has_a_default() -> None:
    templates = "".join(file.read_text() for file in (CHART / "templates").iterdir())
    for name in SCHEMA["properties"]:
        assert name == "global" or f".Values.{name}" in templates, name
        assert name in ("global", "nameOverride") or name in VALUES, name
