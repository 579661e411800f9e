"""Studies: the page agrees with the files, rows are comparable, and a study continues where it stopped."""

import copy
import dataclasses
import json
import pathlib
import re
import subprocess
import sys

import numpy as np
import pytest
from conftest import replace_section

from keras_ddpm import data, presets
from keras_ddpm.noise import split_seed
from studies import arms, configuration, formats, guidance, steps, study, trainings
from studies.page import claims, pages

ROOT = pathlib.Path(__file__).parents[2]
RECORDED = [name for name in pages.STUDIES if (study.RESULTS / name / study.ROWS).is_file()]


@pytest.fixture(scope="module")
def results():
    return pages.read()


def config(name):
    return arms.configuration(name, study.Options())


def differences(one, other):
    """Names of the fields in which two configurations differ, sampling's and those of the pictures apart."""
    parts = [(getattr(one, part), getattr(other, part)) for part in ("data", "network", "diffusion", "training")]
    pairs = [(field.name, a, b) for a, b in parts for field in dataclasses.fields(a)]
    return {name for name, a, b in pairs if getattr(a, name) != getattr(b, name)} - {"grid_every", "evaluate_every"}


def test_the_page_and_the_files_say_the_same(results):
    assert pages.PAGE.read_text() == pages.render(results), "run: python -m studies.page"


@pytest.mark.parametrize("name", pages.ALONE)
def test_the_page_of_one_study_and_its_file_say_the_same(name, results):
    text = pages.page_of(name).read_text()
    assert text == pages.render_alone(name, results[name]), "run: python -m studies.page"
    assert pages.ALONE[name].answer(results[name]["rows"]) in text and results[name]["command"] in text
    widths = [line.count("|") - 1 for line in text.splitlines() if line.startswith("|---")]
    assert widths and max(widths) <= 8
    shown = re.findall(r"\]\((\.\./studies/[^)]+)\)", text)
    assert shown and not [link for link in shown if not (pages.PAGE.parent / link).exists()]


@pytest.mark.parametrize("name", pages.ALONE)
def test_a_changed_figure_changes_the_page_of_one_study(name, results):
    changed = copy.deepcopy(results[name])
    for row in changed["rows"].values():
        row |= {figure: 0.123 for figure in ("accuracy", "nearer") if figure in row}
    assert pages.render_alone(name, changed) != pages.render_alone(name, results[name])


@pytest.mark.parametrize("name", RECORDED)
def test_a_folder_of_results_shows_its_rows_and_pictures(name, results):
    folder = study.RESULTS / name
    readme = pages.render_folder(name, results[name], pages.pictures_of(folder))
    assert (folder / "README.md").read_text() == readme, "run: python -m studies.page"
    assert results[name]["command"] in readme
    assert all(f"({picture.name})" in readme for picture in folder.iterdir() if picture.suffix in (".png", ".svg"))


def test_every_study_and_folder_of_results_is_in_the_index():
    index = (study.RESULTS.parent / "README.md").read_text()
    assert {path.name for path in study.RESULTS.iterdir()} == set(RECORDED) >= set(pages.OF_REPORT | pages.ALONE)
    assert all(f"](results/{name}/" in index for name in RECORDED)
    assert all(f"studies.{name}" in index for name in pages.STUDIES)


def test_every_heading_of_the_page_is_in_its_contents():
    text = pages.PAGE.read_text()
    titles = re.findall(r"^##+ (.+)$", text, re.MULTILINE)
    listed = re.findall(r"^ *- \[([^]]+)\]\(#[\w-]+\)$", text, re.MULTILINE)
    assert titles and listed == titles
    assert text.index(f"[{titles[0]}](#") < text.index(f"## {titles[0]}")


def test_a_link_in_the_contents_is_the_anchor_of_its_heading():
    assert pages.contents("# A\n## 2. Gone, and back?\n### So w = 1\n") == (
        "- [2. Gone, and back?](#2-gone-and-back)\n  - [So w = 1](#so-w--1)"
    )


def test_no_table_of_the_page_is_wider_than_eight_columns():
    widths = [line.count("|") - 1 for line in pages.PAGE.read_text().splitlines() if line.startswith("|---")]
    assert widths and max(widths) <= 8


def test_the_page_shows_pictures_that_are_there():
    shown = re.findall(r"\]\((\.\./studies/[^)]+)\)", pages.PAGE.read_text())
    assert len(shown) > 10
    assert not [name for name in shown if not (pages.PAGE.parent / name).exists()]


def test_a_changed_figure_changes_the_page_and_the_verdict(results):
    changed = copy.deepcopy(results)
    for row in changed["recognition"]["rows"].values():
        row["forward"]["values"]["gone_at"] = 0.55
    assert pages.render(changed) != pages.render(results)
    verdicts = {row["claim"]: row["holds"] for row in claims.table(changed)}
    assert verdicts["a classifier's accuracy falls to chance at 50 to 60 % of the noise steps"] == "yes"


def test_a_figure_that_is_missing_is_said_to_be_missing(results):
    changed = copy.deepcopy(results)
    changed["guidance"]["rows"] = {}
    verdicts = {row["claim"]: row["holds"] for row in claims.table(changed)}
    assert verdicts["guidance: above w = 7 samples are nearly identical"] == "not measured yet"


@pytest.mark.parametrize("name", sorted(set(arms.CAUSES) - {"its_configuration", "all", "all_v"}))
def test_a_cause_is_one_change(name):
    assert len(differences(config(name), config("its_configuration"))) == 1


@pytest.mark.parametrize("name", arms.ABLATIONS)
def test_an_ablation_is_one_change_of_the_mended_model(name):
    assert len(differences(config(name), config("all_v"))) == 1


def test_all_rows_of_a_table_are_trained_alike():
    short = [config(name).training for name in arms.SHORT]
    assert len({(t.epochs, t.batch_size, t.learning_rate, t.seed) for t in short}) == 1
    assert config("report").training.epochs >= 30
    short = {"report": "its_configuration"} | {f"{name}_long": name for name in ("scaled_linear", "all")}
    assert set(short) == set(arms.LONG)
    assert all(differences(config(long), config(name)) == {"epochs"} for long, name in short.items())
    assert all(differences(config(f"{name}_seed1"), config(name)) == {"seed"} for name in arms.AGAIN)


def test_a_study_does_only_what_is_left_to_do(tmp_path):
    options, done = study.Options(out=tmp_path), []

    def work(value):
        done.append(value)
        return {"value": np.float32(value), "nothing": float("nan")}

    study.Results("steps", options, n=3).row("a", work, 1)
    again = study.Results("steps", options, n=3)
    again.row("a", work, 1)
    again.row("b", work, 2)
    assert done == [1, 2]
    rows = json.loads((tmp_path / "steps" / "rows.json").read_text())["rows"]
    assert rows["a"]["value"] == 1 and rows["a"]["nothing"] is None and rows["b"]["machine"]


def test_rows_of_other_settings_are_not_lost(tmp_path):
    study.Results("steps", study.Options(out=tmp_path), n=3).row("a", dict)
    before = (tmp_path / "steps" / "rows.json").read_bytes()
    for options, n in [(study.Options(out=tmp_path), 4), (study.Options(out=tmp_path, dataset="other.npz"), 3)]:
        with pytest.raises(ValueError, match="other settings"):
            study.Results("steps", options, n=n)
    assert (tmp_path / "steps" / "rows.json").read_bytes() == before


def test_rows_from_before_a_field_of_the_sampling_was_there_are_continued(tmp_path, results):
    options = study.Options(out=tmp_path)
    recorded = results["guidance"]["settings"]
    assert "guide" not in recorded["sampling"], "the file is of today: choose an older one"
    (tmp_path / "guidance").mkdir()
    (tmp_path / "guidance" / "rows.json").write_text(json.dumps(results["guidance"]))
    given = {"n": recorded["n"], "steps": recorded["steps"]}
    again = study.Results("guidance", options, **given, **options.model())
    assert again.content["rows"] == results["guidance"]["rows"]
    changed = options.model() | {"sampling": options.model()["sampling"] | {"guide": "clip"}}
    with pytest.raises(ValueError, match="other settings"):
        study.Results("guidance", options, **given, **changed)


def test_a_file_says_the_flags_that_made_it(tmp_path):
    options = study.Options(out=tmp_path, quick=True, preset="report")
    assert study.Results("steps", options).content["command"] == "python -m studies.steps --quick --preset report"


def test_a_row_whose_training_is_missing_is_left_out(tmp_path):
    results = study.Results("steps", study.Options(out=tmp_path))
    assert results.row("untrained", lambda: None) is None
    assert not results.path.exists() and "untrained" not in results.content["rows"]


def test_nothing_is_trained_for_rows_that_are_there(tmp_path, monkeypatch):
    trained = []
    monkeypatch.setattr(arms, "train", lambda name, options: trained.append(name))
    options = study.Options(out=tmp_path)
    results = study.Results("configuration", options)
    results.content["rows"] = {f"{name} w={w}": {} for name in configuration.SETTINGS for w in (3, 1)}
    del results.content["rows"]["film w=1"]
    configuration.measure_all(results, configuration.SETTINGS, None, options)
    assert trained == ["film"] and not results.path.exists()


def test_the_grids_of_a_training_are_kept_by_epoch(tmp_path):
    (tmp_path / "grids").mkdir()
    for epoch in (3, 6, 9):
        (tmp_path / "grids" / f"epoch_{epoch:03d}.png").write_bytes(bytes([epoch]))
    results = study.Results("configuration", study.Options(out=tmp_path))
    configuration.keep_grids(results, tmp_path)
    kept = {path.name: path.read_bytes() for path in (tmp_path / "configuration").iterdir()}
    assert kept == {"epoch_3.png": b"\x03", "epoch_6.png": b"\x06"}


@pytest.mark.parametrize("precision, expected", [(0.0, "yes"), (0.3, "in part"), (0.9, "no")])
def test_what_lies_far_from_real_digits_is_called_unlike_them(precision, expected):
    assert formats.unlike_real({"precision": precision}) == expected


def test_rows_of_several_seeds_are_compared_by_how_seeds_differ():
    one, other = ([{"recall": value, "name": "x"} for value in values] for values in ((0.9, 0.8), (0.5, 0.6)))
    assert formats.average(one) == {"recall": pytest.approx(0.85)}
    assert formats.apart(one, other, "recall") == "+30.0 points (more than seeds differ)"
    assert formats.apart(other, [{"recall": 0.6}], "recall") == "-5.0 points (less than seeds differ)"
    with pytest.raises(ValueError, match="no rows"):
        formats.spread([], "recall")


def test_what_is_not_of_one_row_is_kept(tmp_path):
    options = study.Options(out=tmp_path)
    study.Results("guidance", options, n=3).note("w_of_digit", np.float32([1.5, 2]))
    again = study.Results("guidance", options, n=3)
    again.row("a", dict)
    assert json.loads((tmp_path / "guidance" / "rows.json").read_text())["w_of_digit"] == [1.5, 2.0]


@pytest.mark.slow
def test_an_error_of_a_study_is_one_line():
    command = [sys.executable, "-m", "studies.steps", "--quick", "--preset", "nothing"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2 and done.stderr.startswith("error: `preset` must be")
    assert len(done.stderr.splitlines()) == 1


def test_a_default_model_with_a_w_for_each_digit_is_refused_before_any_work():
    options = study.Options(preset="mnist_w_of_digit")
    with pytest.raises(ValueError, match="`preset` must have one w for all digits"):
        options.model()


def test_an_arm_never_sees_a_test_image(tmp_path, monkeypatch):
    training, asked, called = data.Dataset(np.arange(7)[:, None, None, None], np.zeros(7), 10), [], {}
    monkeypatch.setattr(arms.data, "load", lambda dataset, split: asked.append(split) or training)
    monkeypatch.setattr(trainings.keras_ddpm, "train", lambda config, out, **given: called.update(given, config=config))
    arms.train("cosine", study.Options(runs=tmp_path))
    assert set(called) == {"config", "resume"} and called["config"].data.validation_images == 5_000
    wanted = replace_section(called["config"], "data", validation_images=3)
    assert arms.validation_images(wanted)[0].ravel().tolist() == [4, 5, 6] and set(asked) == {"train"}


def test_drawing_from_the_noise_of_the_seeds_is_sampling(small_preset):
    generator, digit, seeds = presets.load_preset(small_preset), np.array([3, 0, 7]), np.array([5, 6, 2**40])
    x_T = np.asarray(generator.noise(split_seed(seeds), 0))
    w = np.full(3, 2.0, "float32")
    drawn = configuration.draw_from(generator, x_T, digit, w, seeds)
    np.testing.assert_allclose(drawn, generator.sample(digit, w, seeds)["image"], atol=2e-4)
    assert np.abs(configuration.draw_from(generator, x_T[::-1], digit, w, seeds) - drawn).max() > 0.01


def test_the_matched_start_has_the_moments_of_the_noised_images():
    random = np.random.default_rng(0)
    images = random.uniform(-1, 1, (4000, 3, 3, 1)) * np.linspace(0.2, 1, 9).reshape(3, 3, 1)
    noise = random.standard_normal((2, *images.shape))
    alpha, sigma = 0.6, 0.8
    exact = configuration.marginal(images, images, alpha, sigma, noise[0])
    matched = configuration.matched(images, images, alpha, sigma, noise[1])
    np.testing.assert_allclose(matched.mean(axis=0), exact.mean(axis=0), atol=0.06)
    np.testing.assert_allclose(matched.std(axis=0), exact.std(axis=0), rtol=0.06)
    assert abs(np.corrcoef(matched[:, 0, 0, 0], images[:, 0, 0, 0])[0, 1]) < 0.06  # it holds no image


@pytest.mark.parametrize("w, interval, expected", [(1.0, None, 5), (3.0, None, 10), (3.0, (1e6, 1e7), 5)])
def test_calls_count_what_the_network_is_asked(small_preset, w, interval, expected):
    generator = presets.load_preset(small_preset)
    assert steps.calls(generator, w, interval) == expected


def test_a_thousand_steps_are_ddpms_alone_and_the_curves_of_the_others_stop_before(tmp_path, monkeypatch):
    assert set(steps.samplers_of(100)) == set(steps.SAMPLERS) > {"ddpm"} == set(steps.samplers_of(1000))
    options, drawn = study.ThinOptions(out=tmp_path), {}
    results = study.Results("steps", options)
    results.row("real", lambda: {"frechet_distance": 0.5})
    for count in (100, 1000):
        for sampler in steps.samplers_of(count):
            for seed in options.seeds():
                figures = {"frechet_distance": 3.0 + seed, "calls": 2 * count}
                results.row(f"{sampler} {count} seed={seed}", dict, figures)
    monkeypatch.setattr(steps.pictures, "plot_curves", lambda path, x, curves, **axes: drawn.update(curves, calls=x))
    steps.plot(results, (100, 1000), options)
    assert drawn.pop("calls") == [200, 2000] and drawn.pop("ddpm") == [4.0, 4.0] and drawn.pop("real") == [0.5, 0.5]
    assert set(drawn) == set(steps.SAMPLERS) - {"ddpm"}
    assert all(first == 4.0 and np.isnan(last) for first, last in drawn.values())


def test_each_digit_gets_the_smallest_of_the_best():
    def row(*right):
        return [{"accuracy_of_digit": list(right)}]

    sweep = {0.0: row(1, 1, 1), 1.0: row(0.5, 1, 0.9), 2.0: row(0.9, 1, 0.8), 3.0: row(0.9, 1, 1)}
    assert guidance.best_w(sweep).tolist() == [2.0, 1.0, 3.0]


def test_the_preset_with_a_w_for_each_digit_has_those_that_were_chosen(results):
    (one, *_), (many, *_) = presets.read_config("mnist"), presets.read_config("mnist_w_of_digit")
    assert many.sampling.w == tuple(results["guidance"]["w_of_digit"]) and many.sampling.guidance_interval is None
    assert presets.weights_file("mnist_w_of_digit") == presets.weights_file("mnist")
    same = {"w": one.sampling.w, "guidance_interval": one.sampling.guidance_interval}
    assert dataclasses.replace(many, name="mnist", sampling=dataclasses.replace(many.sampling, **same)) == one


@pytest.mark.slow
@pytest.mark.parametrize("name", pages.OF_REPORT | pages.ALONE)  # the others have tests of their own
def test_a_quick_study_runs_and_writes(name, tmp_path):
    shipped = ["--preset", "mnist"] if name == "steps" else []  # its own is a run of hours
    command = [sys.executable, "-m", f"studies.{name}", "--quick", *shipped, "--out", str(tmp_path)]
    subprocess.run([*command, "--runs", "runs/quick"], check=True, cwd=ROOT)
    content = json.loads((tmp_path / name / "rows.json").read_text())
    assert content["rows"] and content["command"] == " ".join([f"python -m studies.{name} --quick", *shipped])
