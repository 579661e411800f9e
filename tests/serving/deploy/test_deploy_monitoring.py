"""The dashboard and the alerts ask for metrics that TensorFlow Serving has, in PromQL that parses."""

import json

import promql_parser
import pytest
from deploy_files import DEPLOY, documents

MONITORING = DEPLOY / "monitoring"
METRICS = json.loads((MONITORING / "metrics.json").read_text())["metrics"]
DASHBOARD = json.loads((MONITORING / "grafana" / "dashboards" / "ddpm.json").read_text())
PARTS = {"counter": [""], "gauge": [""], "histogram": ["_bucket", "_sum", "_count"], "summary": ["", "_sum", "_count"]}


def panels():
    return [(panel, target["expr"]) for panel in DASHBOARD["panels"] for target in panel["targets"]]


def alerts():
    (group,) = documents(MONITORING / "alerts.yml")[0]["groups"]
    return group["rules"]


EXPRESSIONS = [expression for _, expression in panels()] + [rule["expr"] for rule in alerts()]


def selectors(expression):
    """The vector selectors of a PromQL expression."""
    found = []

    def visit(node):
        if isinstance(node, promql_parser.MatrixSelector):
            found.append(node.vector_selector)
        elif isinstance(node, promql_parser.VectorSelector):
            found.append(node)

    promql_parser.walk(promql_parser.parse(expression.replace("$__rate_interval", "5m")), visit)
    return found


@pytest.mark.parametrize("expression", EXPRESSIONS, ids=range(len(EXPRESSIONS)))
def test_every_metric_is_in_the_list_with_the_labels_that_select_it(expression):
    names = {metric + part: facts for metric, facts in METRICS.items() for part in PARTS[facts["kind"]]}
    found = selectors(expression)
    assert found or "vector(" in expression
    for selector in found:
        assert selector.name in names
        labels = {matcher.name for matcher in selector.matchers.matchers}
        assert labels <= {"job", "instance", *names[selector.name]["labels"]}


def test_every_metric_of_the_list_is_used():
    used = {selector.name for expression in EXPRESSIONS for selector in selectors(expression)}
    for metric, facts in METRICS.items():
        assert used & {metric + part for part in PARTS[facts["kind"]]}, metric


def test_times_are_shown_in_microseconds_and_only_times():
    for panel, expression in panels():
        is_time = any("latency" in selector.name for selector in selectors(expression))
        assert (panel["fieldConfig"]["defaults"]["unit"] == "µs") == is_time, panel["title"]


def test_panels_do_not_overlap():
    cells = [
        (x, y)
        for position in (panel["gridPos"] for panel in DASHBOARD["panels"])
        for x in range(position["x"], position["x"] + position["w"])
        for y in range(position["y"], position["y"] + position["h"])
    ]
    assert len(cells) == len(set(cells)) and max(x for x, _ in cells) < 24


def test_dashboard_shows_latency_throughput_batches_queue_and_errors():
    shown = {selector.name.split(":")[-1] for _, expression in panels() for selector in selectors(expression)}
    wanted = "request_latency_bucket request_count processed_batch_size_sum queuing_latency_bucket load_attempt_count"
    assert set(wanted.split()) <= shown


def test_grafana_finds_its_source_and_its_dashboards():
    provisioning = MONITORING / "grafana" / "provisioning"
    (source,) = documents(provisioning / "datasources" / "prometheus.yml")[0]["datasources"]
    (provider,) = documents(provisioning / "dashboards" / "files.yml")[0]["providers"]
    services = documents(DEPLOY / "compose.yaml")[0]["services"]
    assert source["url"] == "http://prometheus:9090" and "prometheus" in services
    mounts = dict(volume.split(":")[:2] for volume in services["grafana"]["volumes"])
    assert mounts["./monitoring/grafana/dashboards"] == provider["options"]["path"]
    assert {target["datasource"]["uid"] for panel in DASHBOARD["panels"] for target in panel["targets"]} == {
        source["uid"]
    }


def test_prometheus_reads_the_alerts_and_each_says_whom_it_wakes():
    assert documents(MONITORING / "prometheus.yml")[0]["rule_files"] == ["alerts.yml"]
    assert (
        "./monitoring/alerts.yml:/etc/prometheus/alerts.yml:ro"
        in (documents(DEPLOY / "compose.yaml")[0]["services"]["prometheus"]["volumes"])
    )
    for rule in alerts():
        assert rule["labels"]["severity"] in ("page", "ticket") and rule["annotations"]["summary"]


def test_every_alert_is_tried_both_ways_for_promtool():
    cases = [case["alert_rule_test"] for case in documents(MONITORING / "alerts_test.yml")[0]["tests"]]
    silent, loud = ({test["alertname"]: bool(test.get("exp_alerts")) for test in case} for case in cases)
    names = {rule["alert"] for rule in alerts()}
    assert set(silent) == set(loud) == names
    assert not any(silent.values()) and all(loud.values())
