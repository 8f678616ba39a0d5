"""The dashboard and the alerts ask for metrics and labels that exist, and the page about them knows every alert."""

from __future__ import annotations

import importlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from realtime.engine.scripted import ScriptedEngine, say
from realtime.engine.supervisor import SupervisedEngine
from realtime.observability.cluster_metrics import ClusterView
from realtime.observability.fleet_metrics import EngineView
from realtime.observability.origin import NOWHERE
from realtime.server.gateway import Gateway
from realtime.settings.fields import Settings
from tests.observability.scrapes import Values, parse

ROOT = Path(__file__).parents[2]
DASHBOARD: dict[str, Any] = json.loads((ROOT / "deploy" / "grafana" / "realtime.json").read_text())
ALERTS: list[dict[str, Any]] = importlib.import_module("yaml").safe_load(
    (ROOT / "deploy" / "prometheus" / "alerts.yml").read_text()
)["groups"][0]["rules"]
PAGE = (ROOT / "docs" / "observability.md").read_text()
_SELECTOR = re.compile(r"\b((?:vllm:|realtime_|http_|process_)\w+)(?:\{([^}]*)\})?")
_LABEL = re.compile(r"(\w+)\s*(?:=~|!=|!~|=)")
OF_PROMETHEUS = {"job", "instance"}


def expressions() -> Iterator[tuple[str, str]]:
    for panel in DASHBOARD["panels"]:
        for target in panel.get("targets", ()):
            yield panel["title"], target["expr"]
    for alert in ALERTS:
        yield alert["alert"], alert["expr"]


@pytest.fixture
async def series() -> Values:
    """Every series of a server on which everything has happened once."""
    gateway = Gateway(Settings(), SupervisedEngine(lambda: ScriptedEngine(say("a"))))
    observer = gateway.observer
    observer.request_answered("/v1/responses", "POST", 200, 0.1)
    observer.connection_closed("sess_1", "native", "local", 1006, 1.0, 1)
    observer.resumed(NOWHERE, "resp_1", "resumed", 1)
    observer.refused("http", "server_is_overloaded")
    observer.service.tool_seconds.observe(0.1, "done")
    observer.service.response_seconds.observe(0.1, "completed")
    observer.cluster.view = lambda: ClusterView(node="a", epoch=1, lease=True)
    observer.cluster.calls.add(1, "cancel", "done")
    observer.cluster.call_seconds.observe(0.1, "cancel")
    observer.fleet.views = (EngineView(state="serving", since=0.0),)
    observer.fleet.placed.add(1, "0", "prefix")
    observer.fleet.moved.add(1, "0")
    observer.fleet.failures.add(1, "0", "broken")
    observer.fleet.ejections.add(1, "0")
    observer.fleet.aborts.add(1, "0", "event")
    return parse((await gateway.exposition.text()).decode())


def test_there_are_expressions() -> None:
    assert len(list(expressions())) > 50


async def test_every_metric_of_dashboard_and_alerts_exists_with_its_labels(series: Values) -> None:
    labels: dict[str, set[str]] = {}
    for name, has in series:
        labels.setdefault(name, set()).update(label for label, _ in has)
    wrong = []
    for where, expression in expressions():
        found = _SELECTOR.findall(expression)
        assert found, (where, expression)
        for name, selector in found:
            unknown = set(_LABEL.findall(selector)) - labels.get(name, set()) - OF_PROMETHEUS
            if name not in labels or unknown:
                wrong.append((where, name, unknown))
    assert wrong == []


def test_the_page_says_what_to_do_about_every_alert() -> None:
    assert [alert["alert"] for alert in ALERTS if f"`{alert['alert']}`" not in PAGE] == []


async def test_the_page_names_every_metric_of_ours_and_no_other(series: Values) -> None:
    families = {re.sub(r"_(bucket|count|sum)$", "", name) for name, _ in series if name.startswith("realtime_")}
    named = set(re.findall(r"`(realtime_\w+)`", PAGE))
    assert families == named


def test_panels_have_places_of_their_own() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells
