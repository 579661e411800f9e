"""The commands `evaluate` and `compare`: what they write and print, and one line for every wrong flag."""

import json
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
from strokes import strokes, write_strokes

from keras_ddpm import presets
from keras_ddpm.__main__ import main
from keras_ddpm.evaluation import figures, provenance
from keras_ddpm.evaluation.api import evaluate
from keras_ddpm.evaluation.command import Evaluate
from keras_ddpm.evaluation.page import comparison
from keras_ddpm.evaluation.sources import find_source

N = 100


@pytest.mark.parametrize("asked, preset", [({}, "mnist_fast_v2"), ({"w": 2.0}, "mnist"), ({"steps": 4}, "mnist")])
def test_without_a_source_it_measures_what_sample_draws_with(asked, preset):
    assert Evaluate(**asked)._source() == presets.default_for(**asked) == preset


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return write_strokes(tmp_path_factory.mktemp("data") / "strokes.npz")


@pytest.fixture(scope="module")
def written(small_preset, dataset, tmp_path_factory):
    """The folder that `evaluate` wrote, with every section."""
    out = tmp_path_factory.mktemp("evaluate") / "report"
    main(["evaluate", "--run", str(small_preset), "--n", str(N), "--dataset", str(dataset), "--out", str(out)])
    return out


@pytest.fixture(scope="module")
def read(written):
    def reject(name):
        raise AssertionError(f"{name} is not JSON")

    return json.loads((written / "report.json").read_text(), parse_constant=reject)


def fails(command, message, capsys):
    with pytest.raises(SystemExit) as stop:
        main(command)
    error = capsys.readouterr().err
    assert stop.value.code == 2 and message in error and error.startswith("error: ") and error.count("\n") == 1


def test_evaluate_writes_the_page_and_the_json_and_nothing_else(written):
    assert sorted(path.name for path in written.iterdir()) == ["report.html", "report.json"]


def test_the_page_needs_no_other_file_and_fits_a_phone(written):
    html = (written / "report.html").read_text()
    assert '<meta name="viewport" content="width=device-width, initial-scale=1">' in html
    sources, links = re.findall(r'src="([^"]*)"', html), re.findall(r'href="([^"]*)"', html)
    assert len(sources) > 20 and all(source.startswith("data:") for source in sources)
    assert len(links) == 8 and all(link.startswith("#") for link in links)
    assert "<script" not in html and "@import" not in html and "url(" not in html


@pytest.mark.parametrize("width", [1280, 390])
def test_both_pages_show_every_table_whole_and_ask_for_nothing(written, tmp_path, browser, width):
    main(["compare", str(written), str(written), "--out", str(tmp_path / "both.html")])
    page, asked = browser.new_page(viewport={"width": width, "height": 900}), []
    page.on("request", lambda request: asked.append(request.url.partition(":")[0]))
    cut = "[...document.querySelectorAll('.scroll')].filter(e => e.scrollWidth > e.clientWidth).map(e => e.innerText)"
    for path in (written / "report.html", tmp_path / "both.html"):
        page.goto(path.as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate(cut) == []
    assert "file" in asked and set(asked) <= {"file", "data"}
    page.close()


def test_the_page_has_every_section(written):
    sections = re.findall(r'<h2 id="(\w+)"', (written / "report.html").read_text())
    assert sections == ["samples", "figures", "digits", "cloud", "clip", "recognition", "health", "facts"]


def test_every_figure_stands_beside_the_real_one(read):
    assert {frozenset(value) for value in read["figures"].values()} == {frozenset({"model", "real"})}
    of_images = {name for name in figures.FIGURES if not any(part in name for part in ("clip", "score", "_all"))}
    assert of_images <= set(read["figures"])
    assert read["clip"]["model"].keys() == read["clip"]["real"].keys()


def test_the_judges_and_the_settings_are_named(read):
    facts = read["facts"]
    assert "conv3x3" in facts["judges"] and "digit_clip, not OpenAI" in facts["judges"]
    assert facts["lead"] == f"{N} images beside {N} real test images; ddpm, 5 steps, w = 2."
    assert "evaluate --run" in facts["command"] and f"--n {N}" in facts["command"]


@pytest.mark.parametrize("preset", ["mnist", "mnist_fast_v2"])
def test_the_command_of_a_report_names_its_preset_and_temperature(dataset, monkeypatch, preset):
    asked = []
    monkeypatch.setattr(presets, "load_preset", lambda source, **sampling: asked.append((source, sampling)) or 1 / 0)
    with pytest.raises(ZeroDivisionError):
        evaluate(preset, n=N, temperature=1.2, dataset=dataset)
    assert asked == [(preset, {"w": None, "sampler": None, "steps": None, "temperature": 1.2})]
    settings = provenance.DEFAULTS | {"n": N, "temperature": 1.2, "dataset": None}
    found = find_source(preset, w=None, sampler=None, steps=None, temperature=1.2, seed=0, n=N, dataset="mnist")
    judge = {"arch": "conv3x3", "test_accuracy": 0.99, "dataset": "mnist"}
    facts = provenance.describe(found, n=N, training=100, judge=judge, evaluator=None, settings=settings)
    assert facts["command"] == f"python -m keras_ddpm evaluate --preset {preset} --n {N} --temperature 1.2"
    assert facts["lead"].endswith(", temperature 1.2.")


def test_the_process_is_followed_from_end_to_end(read):
    for name in ("forward", "reverse"):
        assert (read["recognition"][name]["progress"][0], read["recognition"][name]["progress"][-1]) == (0, 1)
    assert read["health"]["steps"][0] == 49 and set(read["health"]["statistics"]) == {"x_t", "eps", "mu", "x_0"}


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
        (["--temperature", "0"], "`temperature` must be a finite number above 0"),
        (["--seed", "-1"], "`seed` must be in"),
        (["--preset", "mnist"], "Give one of --preset, --run and --images"),
        (["--dataset", "nowhere.npz"], "There is no file 'nowhere.npz'"),
        (["--out", "file/report"], "Cannot write to the folder 'file/report'"),
    ],
)
def test_a_wrong_flag_is_one_line_before_any_work(small_preset, dataset, tmp_path, capsys, monkeypatch, flags, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    if "--sampler" not in flags and "--steps" not in flags:
        monkeypatch.setattr("keras_ddpm.evaluation.sources.presets.load_preset", lambda *_, **__: pytest.fail("work"))
    data = [] if "--dataset" in flags else ["--dataset", str(dataset)]
    flags = flags if "--n" in flags else ["--n", str(N), *flags]
    fails(["evaluate", "--run", str(small_preset), *data, *flags], message, capsys)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_preset_of_another_data_set_is_not_judged(small_preset, tmp_path, capsys):
    fashion = shutil.copytree(small_preset, tmp_path / "fashion")
    text = (fashion / "config.json").read_text()
    assert '"dataset": "mnist"' in text
    (fashion / "config.json").write_text(text.replace('"dataset": "mnist"', '"dataset": "fashion_mnist"'))
    message = "`dataset` is 'mnist', but the preset was trained on 'fashion_mnist'"
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


def test_what_is_not_a_file_of_images_is_named(dataset, tmp_path, capsys):
    drawn, data = tmp_path / "drawn.npz", ["--dataset", str(dataset)]
    drawn.write_text("nonsense")
    fails(["evaluate", "--images", str(drawn), *data], "is not an .npz file", capsys)
    fails(["evaluate", "--images", "none.npz"], "There is no file 'none.npz'", capsys)
    fails(["evaluate", "--images", str(drawn), "--w", "3"], "do nothing to --images", capsys)


def test_a_damaged_file_of_images_is_named(dataset, tmp_path, capsys):
    np.savez(tmp_path / "whole.npz", images=strokes(110, seed=5)[0], labels=strokes(110, seed=5)[1])
    content = bytearray((tmp_path / "whole.npz").read_bytes())
    content[400:600] = bytes(200)
    (tmp_path / "drawn.npz").write_bytes(content)
    flags = ["--images", str(tmp_path / "drawn.npz"), "--dataset", str(dataset), "--out", str(tmp_path / "report")]
    fails(["evaluate", *flags], "is damaged", capsys)


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


def test_compare_names_what_is_not_a_report(written, tmp_path, capsys):
    (tmp_path / "report.json").write_text("{}")
    fails(["compare", str(written), str(tmp_path)], "is not a report of `evaluate`", capsys)
    fails(["compare", str(written), "nowhere"], "There is no report 'nowhere'", capsys)


def test_compare_imports_no_tensorflow_no_keras_and_no_judge(written, tmp_path):
    code = (
        "import pathlib, sys; from keras_ddpm.evaluation.command import Compare\n"
        f"folder = pathlib.Path({str(written)!r})\n"
        f"Compare(folder, folder, out=pathlib.Path({str(tmp_path / 'both.html')!r})).run()\n"
        "print(sorted({'keras', 'tensorflow', 'sklearn', 'scipy', 'keras_cv'} & set(sys.modules)))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.splitlines()[-1] == "[]" and (tmp_path / "both.html").is_file()


def test_other_commands_do_not_load_the_metrics():
    code = (
        "import sys, keras_ddpm.__main__; from keras_ddpm.evaluation.command import Evaluate, Compare\n"
        "print(sorted({'keras', 'tensorflow', 'sklearn', 'scipy', 'keras_cv', 'matplotlib'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
