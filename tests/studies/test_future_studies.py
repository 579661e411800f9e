"""The studies of the report's ideas: arms differ in their idea alone, and calls are counted as they are made."""

import dataclasses
import json

import pytest

from keras_ddpm import presets
from keras_ddpm.evaluation.judges import classifier
from studies import architecture, autoguidance, clip_guides, short_trainings, steps, study, training_ideas


@pytest.mark.parametrize("name", training_ideas.ARMS)
def test_an_arm_differs_from_plain_training_in_its_idea_alone(name):
    options = study.Options()
    plain, stages = training_ideas.stages("plain", 2, options)[0], training_ideas.stages(name, 2, options)
    for stage, changes in zip(stages, training_ideas.ARMS[name], strict=True):
        assert (stage.data, stage.network, stage.diffusion) == (plain.data, plain.network, plain.diffusion)
        pairs = zip(dataclasses.asdict(stage.training).items(), dataclasses.asdict(plain.training).values())
        assert {key for (key, ours), theirs in pairs if ours != theirs} <= set(changes)
        assert stage.training.seed == 2 and stage.training.objective == changes.get("objective", "diffusion")


@pytest.mark.parametrize("name", architecture.ARMS)
def test_an_arm_of_the_architecture_is_one_change_of_the_base_and_takes_about_as_long(name):
    base, made = (architecture.configuration(arm, 2, study.Options()) for arm in (architecture.BASE, name))
    sections = ((dataclasses.asdict(getattr(config, key)) for config in (made, base)) for key in ("data", "network"))
    different = {field for ours, theirs in sections for field in ours if ours[field] != theirs[field]}
    assert len(different) == (name != architecture.BASE) and made.diffusion == base.diffusion
    assert made.training == dataclasses.replace(base.training, epochs=made.training.epochs)
    assert architecture.base_epochs(name) == pytest.approx(short_trainings.EPOCHS, rel=0.15)


def test_the_base_of_the_architecture_is_plain_training_with_a_short_warm_up():
    options = study.Options()
    (plain,) = training_ideas.stages("plain", 1, options)
    base = architecture.configuration(architecture.BASE, 1, options)
    training = dataclasses.replace(plain.training, warmup_steps=100)
    assert base == dataclasses.replace(plain, name=base.name, training=training)
    assert base.network.attention == (False, True) and plain.training.warmup_steps > 100


def test_calls_are_those_that_the_guidance_makes():
    """The default model: 20 steps, of which its interval guides 8 (docs/few_step.md says 28 calls)."""
    generator = presets.load_preset("mnist")
    own = generator.guidance.keywords["interval"]
    assert steps.calls(generator, 1.5, own) == 28
    assert steps.calls(generator, 1.5, own, guide=0.25) == 22
    assert steps.calls(generator, 1.5, None) == 40
    assert steps.calls(generator, 1.0, own) == 20


@pytest.mark.slow
def test_the_study_of_autoguidance_runs(small_preset, tmp_path, mnist):
    options = autoguidance.Options(quick=True, preset=str(small_preset), weak=str(small_preset), out=tmp_path)
    autoguidance.run(options)
    content = json.loads((tmp_path / "autoguidance/rows.json").read_text())
    assert content["command"].startswith("python -m studies.autoguidance --quick")
    row = content["rows"]["autoguidance everywhere w=3 seed=0"]
    assert row["calls"] == 10 and {"accuracy", "recall", "frechet_distance"} <= set(row)
    assert content["rows"]["none w=1 seed=0"]["calls"] == 5


@pytest.mark.slow
def test_the_study_of_training_ideas_trains_measures_and_continues(tmp_path, mnist):
    options = study.Options(quick=True, out=tmp_path / "results", runs=tmp_path / "runs")
    training_ideas.run(options, names=("plain", "perceptual", "discriminator"))
    path = tmp_path / "results/training_ideas/rows.json"
    rows = json.loads(path.read_text())["rows"]
    assert len(rows) == 10 and all("val_loss" in row for name, row in rows.items() if name != "real")
    written = path.stat().st_mtime_ns
    training_ideas.run(dataclasses.replace(options, train=False), names=("plain",))
    assert json.loads(path.read_text())["rows"] == rows and path.stat().st_mtime_ns == written


@pytest.mark.slow
def test_the_study_of_the_architecture_draws_with_each_threshold(tmp_path, mnist):
    options = study.Options(quick=True, out=tmp_path / "results", runs=tmp_path / "runs")
    architecture.run(options, names=("plain", "attention"))
    rows = json.loads((tmp_path / "results/architecture/rows.json").read_text())["rows"]
    ways = [f"attention {how} seed=0" for how in architecture.THRESHOLDS]
    assert list(rows) == ["real", "plain own seed=0", *ways]
    assert len({rows[name]["grey"] for name in ways}) == 3  # after five steps guidance has nothing to guide by
    assert len(list((tmp_path / "results/architecture").glob("*.png"))) == len(rows) - 1


@pytest.mark.parametrize("name", clip_guides.TUNINGS)
def test_tunings_by_clip_differ_in_their_loss_alone(name, small_preset):
    options = clip_guides.study.ThinOptions(preset=str(small_preset))
    plain, tuned = (clip_guides.tuning(each, 2, options) for each in ("plain", name))
    pairs = zip(dataclasses.asdict(tuned.training).items(), dataclasses.asdict(plain.training).values())
    assert {key for (key, ours), theirs in pairs if ours != theirs} <= {"objective", "reward_weight"}
    assert (tuned.training.init, tuned.training.seed) == (str(small_preset), 2)
    same = dataclasses.replace(tuned, name=plain.name, training=plain.training)
    assert same == plain and tuned.name.endswith(f"{name}_seed2")


@pytest.mark.slow
def test_the_study_of_clip_has_a_judge_that_is_none_of_the_guides(small_preset, tmp_path, mnist):
    given = {"quick": True, "preset": str(small_preset), "out": tmp_path / "results", "runs": tmp_path / "runs"}
    clip_guides.run(clip_guides.study.ThinOptions(**given))
    content = json.loads((tmp_path / "results/clip_guides/rows.json").read_text())
    assert content["command"] == f"python -m studies.clip_guides --quick --preset {small_preset}"
    rows = content["rows"]
    assert (rows["real"]["gap_of_clip"], rows["real"]["gap_of_classifier"]) == (0, 0)
    assert len(rows) == 6 and all({"sharp", "judge", "recall", "diversity"} <= set(row) for row in rows.values())
    best, first = (rows[f"{name} seed=0"] for name in ("best of 3 by clip", "no guide"))
    assert best["clip"] > first["clip"]  # the first candidates are the images without a guide
    notes = json.loads((tmp_path / "runs/clip_guides_judge/classifier.json").read_text())
    shipped = json.loads((classifier.SHIPPED / "classifier.json").read_text())
    assert notes["arch"] != shipped["arch"] and notes["seed"] != shipped["seed"]
    names = {path.stem for path in (tmp_path / "results/clip_guides").glob("*.png")}
    assert {"no_guide", "guide_100", "best_by_clip", "tuned_draft"} <= names
