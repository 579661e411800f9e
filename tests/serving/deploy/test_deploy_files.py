"""The files that run the model on the real TensorFlow Serving say one thing, and what reads them takes them.

No real server runs here; what its own parsers would see is checked with its message classes and with the schemas of
compose and Kubernetes.
"""

import http.server
import importlib.metadata
import json
import pathlib
import re
import subprocess
import sys
import threading

import kubernetes_validate
import pytest
import yamllint.config
import yamllint.linter
from deploy_files import DEPLOY, ROOT, batching_parameters, build, container, documents, find, parse
from google.protobuf import text_format
from ovmsclient.tfs_compat.protos.tensorflow_serving.config.monitoring_config_pb2 import MonitoringConfig
from tensorflow_serving.config.model_server_config_pb2 import ModelServerConfig

BIN = pathlib.Path(sys.executable).parent
CONFIG = DEPLOY / "config"
OVERLAYS = ("kubernetes", "kubernetes-volume", "kubernetes-tls")
YAML_RULES = """
extends: default
rules: {document-start: disable, line-length: {max: 140}, braces: {max-spaces-inside: 1}}
"""
# Those of tensorflow_model_server, from model_servers/main.cc, that the files here may use.
FLAGS = """
port rest_api_port rest_api_timeout_in_ms model_config_file model_config_file_poll_wait_seconds
allow_version_labels_for_unavailable_models enable_batching batching_parameters_file monitoring_config_file
enable_grpc_healthcheck_service enable_serialization_as_tensor_content ssl_config_file
tensorflow_intra_op_parallelism tensorflow_inter_op_parallelism
"""


def run(*command, **kwargs):
    return subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=60, **kwargs)


def flags(words):
    return dict(word.removeprefix("--").split("=", 1) for word in words if word.startswith("--"))


@pytest.fixture(scope="module")
def entry_point():
    """The flags of the image."""
    text = re.sub(r"\\\n", " ", (DEPLOY / "Dockerfile").read_text())
    (line,) = re.findall(r"^ENTRYPOINT (.*)$", text, re.MULTILINE)
    program, *words = json.loads(line)
    assert program == "tensorflow_model_server"
    return flags(words)


@pytest.fixture(scope="module")
def batching():
    return parse(CONFIG / "batching.config", batching_parameters())


@pytest.mark.parametrize("name", ["models.config", "models.canary.config"])
def test_served_model_is_the_one_that_the_image_holds(name):
    (model,) = parse(CONFIG / name, ModelServerConfig).model_config_list.config
    assert model.name == "ddpm" and model.model_platform == "tensorflow"
    assert f"COPY models/ddpm {model.base_path}\n" in (DEPLOY / "Dockerfile").read_text()


def test_newest_version_is_served_and_the_one_before_stays_loaded():
    (model,) = parse(CONFIG / "models.config", ModelServerConfig).model_config_list.config
    assert model.model_version_policy.latest.num_versions == 2 and not model.version_labels


def test_labels_name_versions_that_are_loaded():
    (model,) = parse(CONFIG / "models.canary.config", ModelServerConfig).model_config_list.config
    assert dict(model.version_labels) == {"stable": 1, "canary": 2}
    assert set(model.version_labels.values()) == set(model.model_version_policy.specific.versions)


def test_batch_sizes_are_those_of_the_export(batching):
    from export.signatures import ALLOWED_BATCH_SIZES, MAX_BATCH

    assert tuple(batching.allowed_batch_sizes) == ALLOWED_BATCH_SIZES
    assert batching.max_batch_size.value == batching.allowed_batch_sizes[-1] == MAX_BATCH


def test_batching_waits_little_and_its_queue_is_bounded(batching):
    assert 0 < batching.batch_timeout_micros.value <= 10_000
    assert 0 < batching.max_enqueued_batches.value <= 64


@pytest.mark.parametrize("text", ["max_batch_size: 64", "max_batch_size { value: 64.5 }", "max_batches { value: 64 }"])
def test_batching_parser_refuses_what_the_server_would(text):
    with pytest.raises(text_format.ParseError):
        text_format.Parse(text, batching_parameters()())


def test_metrics_are_where_prometheus_and_kubernetes_look():
    prometheus = parse(CONFIG / "monitoring.config", MonitoringConfig).prometheus_config
    pod = find(build(DEPLOY / "kubernetes"), "Deployment", "ddpm")["spec"]["template"]
    (job,) = documents(DEPLOY / "monitoring" / "prometheus.yml")[0]["scrape_configs"]
    assert prometheus.enable
    assert job["metrics_path"] == pod["metadata"]["annotations"]["prometheus.io/path"] == prometheus.path


def test_flags_are_the_servers_and_name_files_that_the_image_holds(entry_point):
    assert set(entry_point) <= set(FLAGS.split())
    dockerfile = (DEPLOY / "Dockerfile").read_text()
    for flag in ("model_config_file", "batching_parameters_file", "monitoring_config_file"):
        name = entry_point[flag].removeprefix("/config/")
        assert f"serving/deploy/config/{name}" in dockerfile and (CONFIG / name).is_file()
    for flag in ("enable_batching", "enable_grpc_healthcheck_service", "allow_version_labels_for_unavailable_models"):
        assert entry_point[flag] == "true"


def test_image_is_of_the_line_that_exports():
    tag = re.search(r"^ARG TF_SERVING_TAG=(\S+)$", (DEPLOY / "Dockerfile").read_text(), re.MULTILINE)[1]
    for package in ("tensorflow", "tensorflow-serving-api"):
        assert tag.split(".")[:2] == importlib.metadata.version(package).split(".")[:2]


def test_ports_are_one_in_image_compose_kubernetes_and_prometheus(entry_point):
    ports = [entry_point["port"], entry_point["rest_api_port"]]
    compose = documents(DEPLOY / "compose.yaml")[0]["services"]["server"]
    assert ports == ["8500", "8501"]
    assert compose["ports"] == [f"127.0.0.1:{port}:{port}" for port in ports]
    assert [str(port["containerPort"]) for port in container(build(DEPLOY / "kubernetes"))["ports"]] == ports
    (job,) = documents(DEPLOY / "monitoring" / "prometheus.yml")[0]["scrape_configs"]
    assert job["static_configs"] == [{"targets": [f"server:{ports[1]}"]}]


def test_hadolint_takes_the_dockerfile():
    assert run(BIN / "hadolint", DEPLOY / "Dockerfile").stdout == ""


def test_no_key_reaches_the_image_or_git():
    ignored = run("git", "check-ignore", "--no-index", DEPLOY / "secrets" / "ssl.config", cwd=ROOT)
    assert ignored.returncode == 0
    lines = (DEPLOY / "Dockerfile.dockerignore").read_text().split()
    assert "*" in lines and not any("secrets" in line for line in lines)
    assert "ssl.config" not in (DEPLOY / "Dockerfile").read_text()


@pytest.mark.parametrize("name", ["compose.yaml", "compose.tls.yaml"])
def test_compose_files_follow_the_compose_specification(name):
    result = run(sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", DEPLOY / name)
    assert result.returncode == 0, result.stdout


def test_what_compose_mounts_is_there():
    for service in documents(DEPLOY / "compose.yaml")[0]["services"].values():
        for volume in service["volumes"]:
            source = volume["source"] if isinstance(volume, dict) else volume.split(":")[0]
            if source.startswith("./"):
                assert (DEPLOY / source).exists(), source


@pytest.mark.parametrize("name", OVERLAYS)
def test_kubernetes_objects_follow_their_schemas(name):
    objects = build(DEPLOY / name)
    kinds = {item["kind"] for item in objects}
    assert kinds >= {"Deployment", "Service", "HorizontalPodAutoscaler", "PodDisruptionBudget", "ConfigMap"}
    for item in objects:
        kubernetes_validate.validate(item, kubernetes_validate.latest_version(), strict=True)


@pytest.mark.parametrize("name", OVERLAYS)
def test_selectors_find_the_pods_and_flags_are_the_servers(name):
    objects = build(DEPLOY / name)
    deployment = find(objects, "Deployment", "ddpm")
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert deployment["spec"]["selector"]["matchLabels"] == labels
    assert find(objects, "PodDisruptionBudget", "ddpm")["spec"]["selector"]["matchLabels"] == labels
    for service in ("ddpm", "ddpm-headless"):
        assert find(objects, "Service", service)["spec"]["selector"] == labels
    assert find(objects, "HorizontalPodAutoscaler", "ddpm")["spec"]["scaleTargetRef"]["name"] == "ddpm"
    assert set(flags(container(objects)["args"])) <= set(FLAGS.split())


def test_probes_ask_the_health_service_but_over_tls_where_the_kubelet_cannot(entry_point):
    probes = ("startupProbe", "readinessProbe", "livenessProbe")
    plain, tls = (container(build(DEPLOY / name)) for name in ("kubernetes", "kubernetes-tls"))
    assert all(plain[probe]["grpc"] == {"port": int(entry_point["port"])} for probe in probes)
    assert not any("grpc" in tls[probe] for probe in probes)
    assert "--ssl_config_file=/tls/ssl.config" in tls["args"]
    assert {"mountPath": "/tls", "name": "tls", "readOnly": True} in tls["volumeMounts"]


def test_tls_leaves_no_open_door_to_the_rest_port():
    ports = find(build(DEPLOY / "kubernetes-tls"), "Service", "ddpm")["spec"]["ports"]
    assert [port["port"] for port in ports] == [8500]


def test_threads_are_the_cores_that_the_pod_gets(batching):
    server = container(build(DEPLOY / "kubernetes"))
    cores = server["resources"]["limits"]["cpu"]
    assert server["resources"]["requests"]["cpu"] == cores == str(batching.num_batch_threads.value)
    assert set(flags(server["args"]).values()) == {cores}


def test_a_pod_that_leaves_serves_until_the_longest_rest_request_ends(entry_point):
    pod = find(build(DEPLOY / "kubernetes"), "Deployment", "ddpm")["spec"]["template"]["spec"]
    wait = container(build(DEPLOY / "kubernetes"))["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert int(entry_point["rest_api_timeout_in_ms"]) / 1000 < wait < pod["terminationGracePeriodSeconds"]


@pytest.mark.parametrize("path", sorted(DEPLOY.rglob("*.y*ml")), ids=lambda path: str(path.relative_to(DEPLOY)))
def test_yaml_is_clean(path):
    problems = yamllint.linter.run(path.read_text(), yamllint.config.YamlLintConfig(YAML_RULES))
    assert [str(problem) for problem in problems] == []


@pytest.mark.parametrize("path", sorted(DEPLOY.glob("*.sh")), ids=lambda path: path.name)
def test_shellcheck_takes_the_scripts(path):
    assert run(BIN / "shellcheck", path).stdout == ""


@pytest.mark.parametrize(("state", "healthy"), [("AVAILABLE", True), ("LOADING", False)])
def test_container_is_healthy_only_with_a_version_available(state, healthy):
    class Status(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            body = json.dumps({"model_version_status": [{"version": "1", "state": state}]}, indent=1).encode()
            self.send_response(200 if self.path == "/v1/models/ddpm" else 404)
            self.end_headers()
            self.wfile.write(body if self.path == "/v1/models/ddpm" else b"{}")

        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Status) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        result = run("bash", DEPLOY / "healthcheck.sh", "127.0.0.1", server.server_address[1])
        server.shutdown()
    assert (result.returncode == 0) == healthy


def test_container_is_not_healthy_when_nobody_listens():
    assert run("bash", DEPLOY / "healthcheck.sh", "127.0.0.1", "1").returncode != 0
