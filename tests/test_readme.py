"""The README's commands and snippets, as written."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from keras_ddpm import config
from keras_ddpm.cli.train import parse_training
from keras_ddpm.config import Config, to_json

ROOT = Path(__file__).parent.parent
TINY = config.Config(
    data=config.DataConfig(validation_images=16),
    network=config.NetworkConfig(widths=(8,), depths=(1,), attention=(True,), patch=1, embed_dim=16, groups=4),
    training=config.TrainingConfig(epochs=1, batch_size=16, precision="float32", grid_every=0),
    sampling=config.SamplingConfig(sampler="ddim", steps=2),
)
TEXT = (ROOT / "README.md").read_text()
BASH = [line for block in re.findall(r"```bash\n(.*?)```", TEXT, re.S) for line in block.splitlines() if line]
PYTHON = re.findall(r"```python\n(.*?)```", TEXT, re.S)
COMMANDS = [line for line in BASH if line.startswith("python -m keras_ddpm") and "runs/" not in line]
TRAININGS = [line for line in BASH if line.startswith("python train.py")]


def test_there_is_something_to_run():
    assert len(COMMANDS) >= 3 and len(TRAININGS) >= 3 and len(PYTHON) >= 2


def run_soon(command):
    """The command as a parameter: one with another preset loads all that the others do, again."""
    return pytest.param(command, marks=pytest.mark.slow if "--preset" in command else ())


@pytest.mark.parametrize("command", [run_soon(c) for c in COMMANDS if " evaluate" not in c and " compare" not in c])
def test_commands_run_as_written(command, tmp_path):
    arguments = [sys.executable, *shlex.split(command)[1:]]
    done = subprocess.run(arguments, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    if "--out" in arguments:
        assert [path.name for path in tmp_path.iterdir()] == [arguments[arguments.index("--out") + 1]]
    else:
        assert done.stdout


@pytest.mark.parametrize("snippet", [s for s in PYTHON if "localhost" not in s and "keras_ddpm.train(" not in s])
def test_snippets_run_as_written(snippet):
    exec(compile(snippet, "README.md", "exec"), {})


def test_the_training_snippet_trains_on_arrays(tmp_path, monkeypatch):
    import keras_ddpm

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(keras_ddpm, "Config", lambda: TINY, raising=False)  # the default takes an hour
    (snippet,) = [snippet for snippet in PYTHON if "keras_ddpm.train(" in snippet]
    images = np.random.default_rng(0).integers(0, 256, (64, 8, 8, 1)).astype("uint8")
    found = {"images": images, "labels": np.arange(64) % 3}
    exec(compile(snippet, "README.md", "exec"), found)
    assert found["generator"].sample([2], 1.0, [0])["image"].shape == (1, 8, 8, 1)
    assert (tmp_path / "runs" / "mine" / "config.json").is_file()


@pytest.mark.slow
def test_the_clients_snippet_draws_from_a_server(exported):
    from serving.local_server.options import Options
    from serving.server import running

    (snippet,) = [snippet for snippet in PYTHON if "localhost:8500" in snippet]
    found = {}
    with running(Options(model_base_path=exported, port=0, rest_api_port=0)) as server:
        exec(compile(snippet.replace("8500", str(server.port)), "README.md", "exec"), found)
    assert found["images"].shape == (3, 28, 28) and len(found["seeds"]) == 3


def test_what_the_first_snippet_says_of_shapes_is_so():
    for call, shape in re.findall(r"(keras_ddpm\.sample\(.*\))\s+# uint8 (\([\d, ]+\))", PYTHON[0]):
        import keras_ddpm

        image = eval(call, {"keras_ddpm": keras_ddpm})
        assert image.dtype == np.uint8 and str(image.shape) == shape


@pytest.mark.parametrize("command", TRAININGS)
def test_training_commands_name_flags_that_exist(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    if "--resume" in command:
        (tmp_path / "runs" / "mnist").mkdir(parents=True)
        (tmp_path / "runs" / "mnist" / "config.json").write_text(to_json(Config()))
    settings, out, *_ = parse_training("", shlex.split(command)[2:])
    assert out.parts[0] == "runs" and settings.training.epochs > 0


def test_make_targets_exist():
    makefile = (ROOT / "Makefile").read_text()
    targets = [target for line in BASH if line.startswith("make") for target in line.split()[1:]]
    assert targets and all(f"\n{target}:" in makefile for target in targets)
    assert "make lint test" in (ROOT / ".ci" / "run").read_text()


def test_every_file_that_is_linked_exists():
    links = [link for link in re.findall(r"\]\(([^)]+)\)", TEXT) if "://" not in link]
    assert links and all((ROOT / link.partition("#")[0]).exists() for link in links)
