"""The files that train on a cluster are what Kubernetes and Slurm take, and start `train.py` as it wants to be."""

import os
import pathlib
import shlex
import subprocess
import sys

import kubernetes_validate
import pytest
import yaml
import yamllint.config
import yamllint.linter

from keras_ddpm.cli.train import parse_values
from keras_ddpm.training.distribution.cluster import resolve

ROOT = pathlib.Path(__file__).parents[2]
DEPLOY, BIN = ROOT / "deploy", pathlib.Path(sys.executable).parent
MANIFEST, SLURM = DEPLOY / "kubernetes-training.yaml", DEPLOY / "slurm-training.sh"
YAML_RULES = "extends: default\nrules: {document-start: disable, line-length: {max: 140}}"


def run(*command, **kwargs):
    return subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=60, **kwargs)


@pytest.fixture(scope="module")
def objects():
    return {item["kind"]: item for item in yaml.safe_load_all(MANIFEST.read_text())}


@pytest.fixture
def programs(tmp_path):
    """A folder with a `python` and an `srun` that print what they were called with."""
    for name in ("python", "srun"):
        (tmp_path / name).write_text(f'#!/bin/sh\necho {name} "$@"\n')
        (tmp_path / name).chmod(0o755)
    return tmp_path


def started(command, programs, out, **environment):
    """The words after `train.py` of the command that a script ends in."""
    path = f"{programs}:{os.environ['PATH']}"
    done = run(*command, env={"PATH": path, "OUT": str(out), **environment})
    assert done.returncode == 0, done.stderr
    return shlex.split(done.stdout)[shlex.split(done.stdout).index("train.py") + 1 :]


def test_kubernetes_objects_follow_their_schemas(objects):
    assert set(objects) == {"Service", "Job"}
    for item in objects.values():
        kubernetes_validate.validate(item, kubernetes_validate.latest_version(), strict=True)


def test_the_linters_take_the_files():
    problems = yamllint.linter.run(MANIFEST.read_text(), yamllint.config.YamlLintConfig(YAML_RULES))
    assert [str(problem) for problem in problems] == []
    assert run(BIN / "shellcheck", SLURM).stdout == ""
    assert run(BIN / "hadolint", DEPLOY / "training.Dockerfile").stdout == ""


def test_each_pod_is_one_process_and_finds_the_first_by_the_services_name(objects, programs, tmp_path):
    job, service = objects["Job"], objects["Service"]
    spec, pod = job["spec"], job["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    words = started([*container["command"], *container["args"]], programs, tmp_path / "run")
    asked = resolve(parse_values("", words).devices, {"JOB_COMPLETION_INDEX": "3"})
    host, port = asked.coordinator.split(":")
    assert (asked.process, asked.processes, asked.devices) == (3, spec["completions"], "all")
    assert spec["completionMode"] == "Indexed" and spec["parallelism"] == spec["completions"]
    assert host == f"{job['metadata']['name']}-0.{pod['subdomain']}" and pod["subdomain"] == service["metadata"]["name"]
    assert int(port) == service["spec"]["ports"][0]["port"] and service["spec"]["clusterIP"] == "None"
    assert service["spec"]["selector"] == {"batch.kubernetes.io/job-name": job["metadata"]["name"]}
    assert service["spec"]["publishNotReadyAddresses"]


def test_a_wrong_command_is_not_tried_again_and_a_lost_pod_is(objects):
    from keras_ddpm.cli.run import ERROR
    from keras_ddpm.training.distribution.processes import STATUS

    (container,) = objects["Job"]["spec"]["template"]["spec"]["containers"]
    rule = objects["Job"]["spec"]["podFailurePolicy"]["rules"][0]
    assert rule["action"] == "FailJob" and rule["onExitCodes"]["containerName"] == container["name"]
    assert rule["onExitCodes"]["values"] == [ERROR] and STATUS != ERROR


def test_each_slurm_task_is_one_process_of_the_step(programs, tmp_path):
    words = started(["bash", SLURM, "--epochs", "7"], programs, tmp_path / "run")
    step = {"SLURM_STEP_NODELIST": "gpu[07-10]", "SLURM_STEP_NUM_TASKS": "4"}
    asked = parse_values("", words)
    devices = resolve(asked.devices, {**step, "SLURM_PROCID": "2", "SLURM_JOB_ID": "5000"})
    assert (devices.coordinator, devices.processes, devices.process) == ("gpu07:62344", 4, 2)
    assert asked.values.training.epochs == 7 and asked.out == tmp_path / "run" and not asked.resume


@pytest.mark.parametrize("script", ["slurm", "kubernetes"])
def test_a_run_that_is_there_is_resumed(script, objects, programs, tmp_path):
    (container,) = objects["Job"]["spec"]["template"]["spec"]["containers"]
    command = ["bash", SLURM] if script == "slurm" else [*container["command"], *container["args"]]
    assert "--resume" not in started(command, programs, tmp_path)
    (tmp_path / "config.json").touch()
    assert "--resume" in started(command, programs, tmp_path)


def test_the_image_holds_what_training_imports():
    copied = {word for line in (DEPLOY / "training.Dockerfile").read_text().splitlines() for word in line.split()}
    assert {"COPY", "train.py", "keras_ddpm", "configs", "setup.py"} <= copied
