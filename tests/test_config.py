"""Configurations: files, JSON and flags."""

import dataclasses
import json
import runpy
from pathlib import Path

import pytest
from conftest import replace_section

from keras_ddpm import config
from keras_ddpm.cli.train import parse_training
from keras_ddpm.training.optimizer import Trapezoid, make_optimizer

CONFIGS = sorted((Path(__file__).parent.parent / "configs").glob("[a-z]*.py"))


@pytest.mark.parametrize("path", CONFIGS, ids=[path.stem for path in CONFIGS])
def test_every_configuration_builds_and_survives_json(path):
    module = runpy.run_path(str(path))
    found = module["get_config"]()
    stages = found if isinstance(found, tuple) else (found,)
    assert config.recipe_from_json(config.recipe_to_json(stages)) == stages
    assert f"--config configs/{path.name}" in module["__doc__"]
    for ours in stages:
        assert config.from_json(config.to_json(ours)) == ours
        make_optimizer(ours.training, steps=10)


def test_the_report_is_configured_to_the_letter():
    report = runpy.run_path(str(CONFIGS[0].parent / "report.py"))["get_config"]()
    assert report.diffusion == config.DiffusionConfig("linear", 100, "eps", "uniform")
    t, s = report.training, report.sampling
    assert (t.epochs, t.batch_size, t.learning_rate, t.weight_decay) == (50, 128, 5e-4, 1e-5)
    assert (t.p_uncond, t.plateau_patience, t.ema_decay, t.clip_norm) == (0.1, 3, 0.0, None)
    assert (s.sampler, s.steps, s.w, s.guidance_interval, s.threshold) == ("ddpm", 100, 3.0, None, "none")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"name": "x"}', "nonsense"])
def test_what_is_no_configuration_is_named(text):
    with pytest.raises(ValueError, match="no configuration of keras_ddpm"):
        config.from_json(text)


def test_a_configuration_of_before_the_few_step_models_can_be_read():
    text = json.loads(config.to_json(config.Config()))
    del text["few_step"], text["training"]["objective"], text["sampling"]["trained_steps"]
    assert config.from_json(json.dumps(text)) == config.Config()


@pytest.mark.parametrize("text", ["", "3", "[3]", "[{}]"])
def test_what_is_no_recipe_is_named(text):
    with pytest.raises(ValueError, match=r"no (recipe|configuration) of keras_ddpm"):
        config.recipe_from_json(text)


def test_flags_override_the_configuration_file(tmp_path):
    args = [
        "--config",
        str(CONFIGS[0].parent / "tiny.py"),
        "--out",
        str(tmp_path / "run"),
        "--epochs",
        "3",
        "--w",
        "2.5",
    ]
    ours, out, resume, _ = parse_training("", [*args, "--widths", "8", "16"])
    tiny = runpy.run_path(str(CONFIGS[0].parent / "tiny.py"))["get_config"]()
    tiny = replace_section(tiny, "training", epochs=3)
    tiny = replace_section(replace_section(tiny, "sampling", w=2.5), "network", widths=(8, 16))
    assert ours == tiny and out == tmp_path / "run" and not resume


def test_a_resumed_run_keeps_its_own_configuration(tmp_path):
    tiny = dataclasses.replace(config.Config(), name="kept")
    (tmp_path / "config.json").write_text(config.to_json(tiny))
    ours, _, resume, _ = parse_training("", ["--out", str(tmp_path), "--resume", "--epochs", "7"])
    assert resume and ours == replace_section(tiny, "training", epochs=7)


def test_a_run_is_resumed_by_its_name(tmp_path, monkeypatch):
    for name, dataset in (("mnist", "mnist"), ("fashion", "fashion_mnist")):
        folder = tmp_path / "runs" / name
        folder.mkdir(parents=True)
        own = replace_section(dataclasses.replace(config.Config(), name=name), "data", dataset=dataset)
        (folder / "config.json").write_text(config.to_json(own))
    monkeypatch.chdir(tmp_path)
    ours, out, *_ = parse_training(
        "", ["--config", str(CONFIGS[0].parent / "mnist.py"), "--name", "fashion", "--resume"]
    )
    assert ours.data.dataset == "fashion_mnist" and str(out) == "runs/fashion"


def test_the_learning_rate_goes_up_stays_and_goes_down():
    rate = Trapezoid(1.0, 1000, warmup=99, cooldown=0.2)
    assert [round(float(rate(step)), 6) for step in (0, 49, 99, 500, 799, 900, 1000)] == [0.01, 0.5, 1, 1, 1, 0.5, 0]
    assert Trapezoid.from_config(rate.get_config()).get_config() == rate.get_config()


def test_a_plateau_needs_a_constant_learning_rate():
    with pytest.raises(ValueError, match="plateau_patience"):
        make_optimizer(config.TrainingConfig(plateau_patience=3), steps=10)
    with pytest.raises(ValueError, match="cooldown"):
        Trapezoid(1.0, 10, cooldown=0.0)
