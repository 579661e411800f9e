"""The report: every figure beside the real one, on a page that needs nothing else, from a command that fails early."""

import csv
import json
import re
import shutil
import subprocess
import sys

import keras
import numpy as np
import pytest
from conftest import randomise

from keras_ddpm import config, presets, process
from keras_ddpm.__main__ import main
from keras_ddpm.data import Batches, to_uint8
from keras_ddpm.diffusion import Diffusion
from keras_ddpm.evaluation import comparison, names, page, report
from keras_ddpm.evaluation.metrics.memorisation import nearest_pairs
from keras_ddpm.evaluation.callback import EvaluateDuringTraining
from keras_ddpm.generator import Generator
from keras_ddpm.training import DDPM

N = 100
ARRAYS = ("accuracy", "fid", "prdc", "diversity", "memorisation", "pixels", "clip")


def strokes(n, *, seed):
    """Images that differ by digit: a bar whose place tells it, and some noise."""
    labels = np.arange(n, dtype="int32") % 10
    images = np.random.default_rng(seed).integers(0, 60, (n, 28, 28, 1), dtype="uint8")
    for image, label in zip(images, labels):
        image[4:24, 2 * label + 3 : 2 * label + 6] = 250
    return images, labels


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "strokes.npz"
    (x_train, y_train), (x_test, y_test) = strokes(200, seed=0), strokes(120, seed=1)
    np.savez(path, x_train=x_train, y_train=y_train, x_test=x_test, y_test=y_test)
    return path


@pytest.fixture(scope="module")
def written(small_preset, dataset, tmp_path_factory):
    """The folder that `evaluate` wrote, with every section."""
    out = tmp_path_factory.mktemp("evaluate") / "report"
    main(["evaluate", "--run", str(small_preset), "--n", str(N), "--dataset", str(dataset), "--out", str(out)])
    return out


@pytest.fixture(scope="module")
def read(written):
    def refuse(name):
        raise AssertionError(f"{name} is no JSON")

    return json.loads((written / "report.json").read_text(), parse_constant=refuse)


def test_evaluate_writes_the_page_and_the_json_and_nothing_else(written):
    assert sorted(path.name for path in written.iterdir()) == ["report.html", "report.json"]


def test_the_page_needs_no_other_file_and_fits_a_phone(written):
    html = (written / "report.html").read_text()
    assert '<meta name="viewport" content="width=device-width, initial-scale=1">' in html
    assert all(source.startswith("data:") for source in re.findall(r'src="([^"]*)"', html))
    assert all(link.startswith("#") for link in re.findall(r'href="([^"]*)"', html))
    assert "<script" not in html and "@import" not in html and "url(" not in html


def test_the_page_has_every_section(written):
    sections = re.findall(r'<h2 id="(\w+)"', (written / "report.html").read_text())
    assert sections == ["samples", "figures", "digits", "cloud", "clip", "recognition", "health", "facts"]


def test_every_figure_stands_beside_the_real_one(read):
    assert {frozenset(value) for value in read["figures"].values()} == {frozenset({"model", "real"})}
    assert {name for name in names.FIGURES if "clip" not in name and "score" not in name} <= set(read["figures"])
    assert read["clip"]["model"].keys() == read["clip"]["real"].keys()


def test_the_judges_and_the_settings_are_named(read):
    facts = read["facts"]
    assert "conv3x3" in facts["judges"] and "digit_clip, not OpenAI" in facts["judges"]
    assert facts["lead"] == f"{N} images beside {N} real test images; ddpm, 5 steps, w = 2."
    assert "evaluate --run" in facts["command"] and f"--n {N}" in facts["command"]


def test_the_process_is_followed_from_end_to_end(read):
    for name in ("forward", "reverse"):
        assert (read["recognition"][name]["progress"][0], read["recognition"][name]["progress"][-1]) == (0, 1)
    assert read["health"]["steps"][0] == 49 and set(read["health"]["statistics"]) == {"x_t", "eps", "mu", "x_0"}


def test_real_images_judged_as_generated_get_the_real_figures():
    test, training = strokes(N, seed=1), strokes(200, seed=0)
    result, shown = report.measure(
        *test, test=test, training=training, groups=("accuracy", "fid", "prdc", "diversity", "memorisation", "pixels")
    )
    assert all(value["model"] == value["real"] for value in result["figures"].values())
    assert np.sum(result["confusion"]) == N
    assert [digit for digit, _ in shown["grid"]] == list(range(10))


def test_copies_are_shown_with_what_they_copy():
    training, new = strokes(60, seed=0)[0], strokes(20, seed=3)[0]
    own, theirs, distance = nearest_pairs(np.concatenate([new, training[7:9]]), training, count=2)
    assert sorted(own.tolist()) == [20, 21] and sorted(theirs.tolist()) == [7, 8]
    assert distance == pytest.approx(0, abs=1e-6)


def test_a_file_of_images_has_the_array_metrics_only(dataset, tmp_path, capsys):
    images, labels = strokes(110, seed=5)
    np.savez(tmp_path / "drawn.npz", images=images, labels=labels)
    flags = ["--images", str(tmp_path / "drawn.npz"), "--dataset", str(dataset), "--only", "accuracy,pixels"]
    main(["evaluate", *flags, "--out", str(tmp_path / "report")])
    result = json.loads((tmp_path / "report" / "report.json").read_text())
    assert result["n"] == 110 and not {"clip", "recognition", "health"} & set(result)
    assert "Images of drawn.npz" in capsys.readouterr().out


@pytest.mark.parametrize(
    "flags, message",
    [
        (["--only", "fid,beauty"], "`only` must be a list of accuracy, fid"),
        (["--n", "50"], "`n` must be in 100..120"),
        (["--n", "-5"], "`n` must be at least 1. Received: -5"),
        (["--n", "0"], "`n` must be at least 1. Received: 0"),
        (["--n", "121"], "`n` must be in 100..120"),
        (["--n", "100", "--cas"], "`n` must be in 128..120"),
        (["--clip", "vit"], "`clip` must be one of ['digit', 'clip-vit-base-patch32'"),
        (["--sampler", "euler"], "`sampler` must be one of"),
        (["--steps", "51"], "`steps` must be an integer in 1..50"),
        (["--w", "nan"], "`w` must be finite"),
        (["--seed", "-1"], "`seed` must be in"),
        (["--preset", "mnist"], "Give one of --preset, --run and --images"),
        (["--dataset", "nowhere.npz"], "There is no file 'nowhere.npz'"),
        (["--out", "file/report"], "Cannot write into 'file/report'"),
    ],
)
def test_a_wrong_flag_is_one_line_before_any_work(small_preset, dataset, tmp_path, capsys, monkeypatch, flags, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    data = [] if "--dataset" in flags else ["--dataset", str(dataset)]
    fails(["evaluate", "--run", str(small_preset), *data, *flags], message, capsys)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_preset_of_another_data_set_is_not_judged(small_preset, tmp_path, capsys):
    fashion = shutil.copytree(small_preset, tmp_path / "fashion")
    text = (fashion / "config.json").read_text()
    assert '"dataset": "mnist"' in text
    (fashion / "config.json").write_text(text.replace('"dataset": "mnist"', '"dataset": "fashion_mnist"'))
    message = "The judges know 'mnist' (--dataset), and the preset was trained on 'fashion_mnist'"
    fails(["evaluate", "--run", str(fashion), "--out", str(tmp_path / "report")], message, capsys)
    assert not (tmp_path / "report").exists()


@pytest.mark.parametrize(
    "arrays, message",
    [
        ({"images": np.zeros((5, 28, 28, 1))}, "must hold `images` and `labels`"),
        ({"images": np.zeros((150, 28, 28)), "labels": np.zeros(150, int)}, "must have shape (N, 28, 28, 1)"),
        ({"images": np.zeros((150, 28, 28, 1)), "labels": np.zeros(150, int)}, "must be uint8"),
        ({"images": np.zeros((150, 28, 28, 1), "uint8"), "labels": np.full(150, 11)}, "`labels` must be in 0..9"),
        ({"images": np.zeros((50, 28, 28, 1), "uint8"), "labels": np.zeros(50, int)}, "`n` must be in 100..120"),
    ],
)
def test_a_wrong_file_is_one_line_before_any_work(dataset, tmp_path, capsys, arrays, message):
    np.savez(tmp_path / "drawn.npz", **arrays)
    flags = ["--images", str(tmp_path / "drawn.npz"), "--dataset", str(dataset), "--out", str(tmp_path / "report")]
    fails(["evaluate", *flags], message, capsys)
    assert not (tmp_path / "report").exists()


def test_what_is_no_file_of_images_is_named(dataset, tmp_path, capsys):
    (tmp_path / "drawn.npz").write_text("nonsense")
    fails(["evaluate", "--images", str(tmp_path / "drawn.npz"), "--dataset", str(dataset)], "is no .npz file", capsys)
    fails(["evaluate", "--images", "none.npz"], "There is no file 'none.npz'", capsys)
    fails(["evaluate", "--images", str(tmp_path / "drawn.npz"), "--w", "3"], "do nothing to --images", capsys)


def fails(command, message, capsys):
    with pytest.raises(SystemExit) as stop:
        main(command)
    error = capsys.readouterr().err
    assert stop.value.code == 2 and message in error and error.startswith("error: ") and error.count("\n") == 1


def test_compare_puts_two_reports_side_by_side(written, read, tmp_path, capsys):
    other = json.loads(json.dumps(read))
    other["n"], other["figures"]["accuracy"]["model"] = 77, 0.123
    (tmp_path / "report.json").write_text(json.dumps(other))
    main(["compare", str(written), str(tmp_path / "report.json"), "--out", str(tmp_path / "both.html")])
    out = capsys.readouterr().out
    line = next(line for line in out.splitlines() if line.startswith("Right digit"))
    assert line.split()[2:6] == [f"{100 * read['figures']['accuracy']['model']:.1f}", "%", "12.3", "%"]
    assert "A has 100 images, B has 77" in out
    assert "12.3 %" in (tmp_path / "both.html").read_text()


def test_a_report_compared_with_itself_has_no_warning(read):
    assert comparison.warnings(read, read) == []
    assert all(row[1] == row[2] for row in comparison.rows(read, read))


def test_compare_names_what_is_no_report(written, tmp_path, capsys):
    (tmp_path / "report.json").write_text("{}")
    fails(["compare", str(written), str(tmp_path)], "is no report of `evaluate`", capsys)
    fails(["compare", str(written), "nowhere"], "There is no report 'nowhere'", capsys)


def test_names_are_escaped_on_the_page():
    facts = {"title": "<b>run</b> & co", "lead": "", "judges": "", "command": "", "rows": {}}
    html = page.render({"n": 1, "figures": {}, "seconds": {}, "facts": facts}, {"grid": []})
    assert "&lt;b&gt;run&lt;/b&gt; &amp; co" in html and "<b>run" not in html


def test_other_commands_do_not_load_the_metrics():
    code = (
        "import sys, keras_ddpm.__main__; from keras_ddpm.evaluation.command import Evaluate, Compare\n"
        "print(sorted({'keras', 'tensorflow', 'sklearn', 'scipy', 'keras_cv', 'matplotlib'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_the_frames_end_in_the_sample_and_the_traces_are_not_clipped(small_preset):
    sampling = presets.read_config(small_preset)[0].sampling
    generator = presets.load_preset(small_preset)
    recording = process.recorder(generator, sampling)
    wanted = np.arange(4), np.full(4, 2.0), np.arange(4)
    path = recording.sample(*wanted)
    frames, _, progress = process.frames(path, wanted[0], times=recording.times, T=50)["reverse"]
    np.testing.assert_array_equal(frames[-1], to_uint8(generator.sample(*wanted)["image"]))
    assert (progress[0], progress[-1]) == (0, 1) and np.all(np.diff(progress) > 0)
    traces = process.traces(recording, sampling, *wanted)["traces"]
    np.testing.assert_allclose(np.clip(traces["x_0"], -1, 1), np.moveaxis(path["x_0"], 1, 0), atol=1e-4)
    assert np.abs(traces["x_0"]).max() > 1


def test_noise_takes_the_image_from_clean_to_nothing():
    images, labels = strokes(10, seed=0)
    diffusion = Diffusion.from_names(schedule="cosine", T=50)
    frames, _, progress = process.noised(images, labels, diffusion)
    np.testing.assert_array_equal(frames[0], images)
    assert abs(np.corrcoef(frames[-1].ravel(), images.ravel())[0, 1]) < 0.1
    assert (progress[0], progress[-1]) == (0, 1)


def test_many_steps_are_followed_in_few_images():
    assert process.count_images(1000, 20) == process.MOST_IMAGES
    assert process.count_images(1000, 1000) * 1000 <= process.MOST_STATES
    assert process.count_images(10, 20) == 10


def test_training_logs_figures_every_few_epochs_in_the_same_columns(dataset, tmp_path):
    keras.utils.set_random_seed(0)
    small = config.Config(network=config.NetworkConfig(widths=(8, 16), depths=(1, 1), embed_dim=16, groups=4))
    network = presets.build_network(small, (28, 28, 1), 10)
    randomise(network)
    model = DDPM(network, Diffusion.from_names(T=20), num_classes=10)
    model.compile(optimizer="adam", jit_compile=False)
    generator = Generator(model.ema_network, model.diffusion, steps=2)
    watch = EvaluateDuringTraining(generator, np.full(10, 1.5), str(dataset), every=3, n=100)
    log = keras.callbacks.CSVLogger(tmp_path / "log.csv")
    model.fit(Batches(*strokes(32, seed=0), batch_size=16), epochs=4, callbacks=[watch, log], verbose=0)
    rows = list(csv.DictReader((tmp_path / "log.csv").open()))
    assert [row["eval_accuracy"] != "nan" for row in rows] == [True, False, True, True]
    assert {"eval_frechet_distance", "eval_precision", "eval_recall", "eval_coverage"} <= set(rows[0])


def test_evaluating_is_off_unless_asked_for():
    assert config.TrainingConfig().evaluate_every == 0
    with pytest.raises(ValueError, match="`every` must be at least 1"):
        EvaluateDuringTraining(None, np.ones(10), "mnist", every=0)


def test_groups_keep_their_order_and_know_what_images_alone_allow():
    assert report.choose_groups("clip,fid") == ("fid", "clip")
    assert report.choose_groups(None) == report.GROUPS
    assert report.choose_groups(None, arrays_only=True) == ARRAYS
    with pytest.raises(ValueError, match="with images from a file"):
        report.choose_groups("health", arrays_only=True)
