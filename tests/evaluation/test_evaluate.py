"""`evaluate()`: one function for every source, each image drawn once, all checks first, the same figures as ever."""

import json
import pathlib

import numpy as np
import pytest
from strokes import strokes, write_strokes

import keras_ddpm.evaluation
from keras_ddpm import presets
from keras_ddpm.evaluation import Report, drawing, evaluate, figures, groups
from keras_ddpm.evaluation.judges.digit_clip import load_digit_clip
from keras_ddpm.evaluation.measure import measure
from keras_ddpm.evaluation.page import comparison, report_page
from keras_ddpm.evaluation.probes.frames import Frames
from keras_ddpm.evaluation.probes.traces import Traces
from keras_ddpm.evaluation.report import read_report

ARRAYS = ("accuracy", "fid", "prdc", "diversity", "memorisation", "pixels", "clip")
CHEAP = "accuracy,diversity,pixels"
GOLDEN = pathlib.Path(__file__).parent / "golden" / "figures.json"


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return write_strokes(tmp_path_factory.mktemp("data") / "strokes.npz")


@pytest.fixture(scope="module")
def generator(small_preset):
    return presets.load_preset(small_preset)


def fade(images, *, steps, seed):
    """Images that turn into noise: uint8 (steps, N, 28, 28, 1), and the progress (steps,)."""
    noise = np.random.default_rng(seed).integers(0, 256, images.shape)
    share = np.linspace(0, 1, steps)[:, None, None, None, None]
    return np.round(images * (1 - share) + noise * share).astype("uint8"), np.linspace(0, 1, steps)


def test_the_same_images_have_the_figures_of_the_first_release():
    """The file was written by the code of version 0.1.0, from the same arrays."""
    images, labels = strokes(110, seed=5)
    shown, progress = fade(images[:40], steps=6, seed=2)
    frames = {
        "forward": Frames(shown, labels[:40], progress),
        "reverse": Frames(shown[::-1], labels[:40], progress),
        "estimate": Frames(shown[::-1][1:], labels[:40], progress[1:]),
    }
    names = ("x_t", "eps", "mu", "x_0")
    values = {
        name: np.random.default_rng(i).normal(0, 1 + i, (5, 3, 28, 28, 1)).astype("float32")
        for i, name in enumerate(names)
    }
    content, _ = measure(
        images,
        labels,
        test=tuple(array[:110] for array in strokes(120, seed=1)),
        training=strokes(200, seed=0),
        groups=groups.GROUPS,
        evaluator=load_digit_clip(),
        frames=frames,
        traces=Traces(values, np.array([49, 37, 25, 12, 0]), 0.3636),
    )
    before = json.loads(GOLDEN.read_text())
    assert set(content) - {"seconds"} == set(before)
    for section in before:
        assert_alike(json.loads(json.dumps(content[section])), before[section], path=section)


def assert_alike(value, before, *, path):
    """The same structure, the same texts but for the diagnosis, and the same numbers."""
    if path == "health.diagnosis":
        assert [line.partition(":")[0] for line in value] == [line.partition(":")[0] for line in before]
    elif isinstance(before, dict):
        assert list(value) == list(before), path
        for key in before:
            assert_alike(value[key], before[key], path=f"{path}.{key}")
    elif isinstance(before, list):
        assert len(value) == len(before), path
        for i, (a, b) in enumerate(zip(value, before, strict=True)):
            assert_alike(a, b, path=f"{path}.{i}")
    elif isinstance(before, float):
        assert value == pytest.approx(before, rel=1e-3, abs=1e-5, nan_ok=True), path
    else:
        assert value == before, path


def test_all_sources_of_the_same_images_have_the_same_figures(small_preset, generator, dataset, tmp_path):
    settings = {"n": 30, "only": CHEAP, "dataset": dataset, "seed": 3}
    labels = strokes(120, seed=1)[1][:30]
    images = drawing.draw_images(generator, labels, np.full(30, 2.0), 3 + np.arange(30))
    np.savez(tmp_path / "drawn.npz", images=images, labels=labels)
    reports = [
        evaluate(small_preset, **settings),
        evaluate(str(small_preset), **settings),
        evaluate(generator, w=2.0, **settings),
        evaluate((images, labels), **settings),
        evaluate(tmp_path / "drawn.npz", **settings),
    ]
    for report in reports[1:]:
        assert_alike(report.figures, reports[0].figures, path=report.content["facts"]["title"])


def test_a_report_has_figures_a_table_and_files(generator, dataset, tmp_path):
    report = evaluate(generator, w=2.0, n=30, only=CHEAP, dataset=dataset)
    assert isinstance(report, Report)
    assert report.figures["accuracy"].keys() == {"model", "real"}
    assert f"{100 * report.figures['accuracy']['real']:.1f} %" in report.table()
    report.save(tmp_path / "new" / "folder")
    assert read_report(tmp_path / "new" / "folder")["figures"] == report.figures
    report.save_html(tmp_path / "page.html")
    report.save_json(tmp_path / "figures.json")
    assert (tmp_path / "page.html").read_text() == (tmp_path / "new" / "folder" / "report.html").read_text()
    assert read_report(tmp_path / "figures.json")["n"] == 30


def test_the_call_of_a_report_without_flags_is_python(generator, dataset):
    report = evaluate(generator, w=2.0, n=30, only=CHEAP, dataset=dataset)
    call = f"keras_ddpm.evaluate(generator, n=30, w=2.0, only={CHEAP!r}, dataset={str(dataset)!r})"
    assert report.content["facts"]["command"] == call


def test_every_image_is_drawn_once_by_one_generator(small_preset, dataset, monkeypatch):
    from keras_ddpm.generator import Generator

    built, drawn = [], []
    init = Generator.__init__

    def counting(draw):
        def counted(self, digit, w, seed, **kwargs):
            drawn.extend(np.asarray(seed).tolist())
            return draw(self, digit, w, seed, **kwargs)

        return counted

    def counting_init(self, *args, **kwargs):
        built.append(self)
        init(self, *args, **kwargs)

    monkeypatch.setattr(Generator, "sample", counting(Generator.sample))
    monkeypatch.setattr(Generator, "path", counting(Generator.path))
    monkeypatch.setattr(Generator, "__init__", counting_init)
    monkeypatch.setattr(drawing, "MOST_IMAGES", 70)
    evaluate(small_preset, n=100, only="recognition,health,accuracy", dataset=dataset, seed=7)
    assert len(built) == 1
    assert sorted(drawn) == list(range(7, 107))


def test_progress_moves_during_sampling_and_through_every_stage(small_preset, dataset):
    seen = []
    evaluate(small_preset, n=100, only=CHEAP, dataset=dataset, progress=lambda *call: seen.append(call))
    sampling = [done for stage, done, total in seen if stage == "sampling" and total == 100]
    assert sampling == [32, 64, 96, 100]
    stages = [call for call in seen if call[0] != "sampling"]
    assert stages == [("accuracy", 1, 4), ("diversity", 2, 4), ("pixels", 3, 4), ("pictures", 4, 4)]


def test_the_size_of_a_chunk_changes_no_picture(generator, monkeypatch):
    wanted = np.arange(40) % 10, np.full(40, 2.0), np.arange(40)
    at_once = drawing.to_uint8(generator.sample(*wanted)["image"])
    in_chunks = drawing.draw_images(generator, *wanted)
    assert drawing.chunk_size(40) == 32
    assert np.abs(at_once.astype(int) - in_chunks).max() <= 1


@pytest.mark.parametrize("n, size", [(1, 32), (60, 32), (1000, 32), (2000, 64), (10_000, 256), (1_000_000, 256)])
def test_chunks_are_small_for_few_images_and_large_for_many(n, size):
    assert drawing.chunk_size(n) == size


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"n": 121}, "`n` must be in 10..120"),
        ({"n": 5}, "`n` must be in 10..120"),
        ({"only": "beauty"}, "`only` must be a list of"),
        ({"clip": "vit"}, "`clip` must be one of"),
        ({"seed": -1}, "`seed` must be in"),
        ({"w": [1.0, 2.0]}, "`w` must be finite: one number, or one for each of 10 classes"),
        ({"w": None}, "A `Generator` needs `w`"),
        ({"steps": 3}, "has its sampler, steps and temperature"),
        ({"temperature": 1.1}, "has its sampler, steps and temperature"),
    ],
)
def test_wrong_arguments_are_named_before_any_work(generator, dataset, monkeypatch, arguments, message):
    monkeypatch.setattr("keras_ddpm.evaluation.api.draw", lambda *_, **__: pytest.fail("work was done"))
    with pytest.raises(ValueError, match=message):
        evaluate(generator, **{"w": 2.0, "n": 30, "only": CHEAP, "dataset": dataset, **arguments})


def test_what_is_no_source_is_named_with_the_choices():
    with pytest.raises(ValueError, match=r"`source` must be a preset's name.*Received: 7"):
        evaluate(7)
    with pytest.raises(ValueError, match=r"`preset` must be one of \['colour_mnist', 'mnist'.*Received: 'mnsit'"):
        evaluate("mnsit")


def test_given_images_are_not_sampled_again(dataset):
    images, labels = strokes(30, seed=5)
    with pytest.raises(ValueError, match="`w`, `sampler`, `steps` and `temperature` do nothing to given images"):
        evaluate((images, labels), dataset=dataset, temperature=1.1)
    with pytest.raises(ValueError, match=r"`n` must be at most 30, the number of images\. Received: 31"):
        evaluate((images, labels), dataset=dataset, n=31)


def test_a_digit_with_one_image_is_named_before_any_work(dataset, monkeypatch):
    monkeypatch.setattr("keras_ddpm.evaluation.api.measure", lambda *_, **__: pytest.fail("work was done"))
    images, labels = strokes(21, seed=5)
    labels[labels == 4] = 3
    labels[4] = 4
    with pytest.raises(ValueError, match=r"at least 2 images of each digit\. Received: 1 of digit 4"):
        evaluate((images, labels), dataset=dataset, only="diversity")


def test_real_images_measured_as_generated_get_the_real_figures():
    test, training = strokes(100, seed=1), strokes(200, seed=0)
    content, shown = measure(
        *test, test=test, training=training, groups=("accuracy", "fid", "prdc", "diversity", "memorisation", "pixels")
    )
    assert all(value["model"] == value["real"] for value in content["figures"].values())
    assert np.sum(content["confusion"]) == 100
    assert [digit for digit, _, _ in shown["grid"]] == list(range(10))


def test_copies_are_shown_with_what_they_copy():
    training, (new, labels) = strokes(60, seed=0), strokes(20, seed=3)
    images, labels = np.concatenate([new, training[0][7:9]]), np.append(labels, training[1][7:9])
    _, shown = measure(images, labels, test=(images, labels), training=training, groups=("memorisation",))
    own, theirs, distance, _ = shown["nearest"]
    assert [np.array_equal(a, b) for a, b in zip(own, theirs, strict=True)] == [True] * 2 + [False] * 8
    assert distance[:2] == pytest.approx([0, 0], abs=1e-6) and distance == sorted(distance)


def test_groups_keep_their_order_and_know_what_images_alone_allow():
    assert groups.choose_groups("clip,fid") == ("fid", "clip")
    assert groups.choose_groups(None) == groups.GROUPS
    assert groups.choose_groups(None, arrays_only=True) == ARRAYS
    with pytest.raises(ValueError, match="with given images"):
        groups.choose_groups("health", arrays_only=True)


def content(**changed):
    facts = {
        "title": "A",
        "lead": "",
        "judges": "Classifier: c. CLIP: digit_clip.",
        "command": "",
        "clip": "",
        "rows": {},
    }
    return {"n": 1, "figures": {}, "seconds": {}, "facts": {**facts, **changed}}


def test_names_are_escaped_on_the_page():
    html = report_page.render(content(title="<b>run</b> & co"), {"grid": []})
    assert "&lt;b&gt;run&lt;/b&gt; &amp; co" in html and "<b>run" not in html


def test_a_judge_that_only_one_report_used_does_not_differ():
    without = content(judges="Classifier: c.")
    assert comparison.warnings(content(), without) == comparison.warnings(without, content()) == []


@pytest.mark.parametrize(
    "judges, named", [("Classifier: d. CLIP: digit_clip.", "classifier"), ("Classifier: c. CLIP: openai.", "CLIP")]
)
def test_another_judge_is_named(judges, named):
    (line,) = comparison.warnings(content(), content(judges=judges))
    assert line == f"The judges differ ({named}): their figures cannot be compared."


def test_the_package_has_these_names_and_no_others():
    assert figures.title("accuracy/3") == "Right digit, 3"
    assert all(getattr(keras_ddpm.evaluation, name) for name in keras_ddpm.evaluation.__all__)
    with pytest.raises(AttributeError, match="no attribute 'measure_all'"):
        keras_ddpm.evaluation.measure_all  # noqa: B018
