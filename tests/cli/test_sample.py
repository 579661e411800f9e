"""keras-ddpm sample: what it writes, and that it writes nothing when it cannot."""

import numpy as np
import pytest
from PIL import Image

import keras_ddpm
from keras_ddpm import api, presets
from keras_ddpm.cli.main import main
from keras_ddpm.cli.sample import MAX_IMAGES, Sample
from keras_ddpm.evaluation.arrays import read_images
from keras_ddpm.samplers import SAMPLERS


def test_sample_writes_a_row_for_each_digit(small_preset, tmp_path, capsys):
    out = tmp_path / "digits.png"
    main(f"sample 7 3 --w 3 --n 4 --seed 5 --scale 1 --out {out} --preset {small_preset}".split())
    assert np.asarray(Image.open(out)).shape == (2 * 30 - 2, 4 * 30 - 2)
    assert capsys.readouterr().out == f"{out}: 8 images, seeds 5 to 12\n"
    assert [path.name for path in tmp_path.iterdir()] == ["digits.png"]


@pytest.mark.parametrize(
    "options, preset",
    [
        ("", "mnist_fast_v2"),
        ("--temperature 1.2", "mnist_fast_v2"),
        ("--w 2", "mnist"),
        ("--steps 4", "mnist"),
        ("--sampler ddim", "mnist"),
        ("--guide clip", "mnist"),
        ("--w 2 --preset report", "report"),
    ],
)
def test_without_a_preset_the_command_draws_with_what_the_function_does(options, preset, monkeypatch, tmp_path):
    asked = {}

    def sample(digit, w, *, seed, progress, return_seeds, **settings):
        asked.update(settings)
        return np.zeros((len(digit), 28, 28), "uint8"), np.asarray(seed)

    monkeypatch.setattr(api, "sample", sample)
    main(f"sample 7 {options} --runtime keras --out {tmp_path / 'a.png'}".split())
    assert asked["preset"] == preset
    assert asked["temperature"] == (1.2 if "temperature" in options else None)


def test_a_film_is_of_the_model_of_many_calls(monkeypatch, tmp_path):
    asked = {}

    def film(digit, w, *, seed, **settings):
        asked.update(settings)
        return np.zeros((len(digit), 3, 28, 28), "uint8")

    monkeypatch.setattr(keras_ddpm.editing, "film", film)
    main(f"sample 7 --out {tmp_path / 'a.gif'}".split())
    assert asked == {"preset": presets.DEFAULT, "sampler": None, "steps": None, "temperature": None}
    main(f"sample 7 --temperature 1.2 --out {tmp_path / 'b.gif'}".split())
    assert asked["temperature"] == 1.2


def test_one_image_has_one_seed(small_preset, tmp_path, capsys):
    main(f"sample 7 --seed 5 --out {tmp_path / 'a.png'} --preset {small_preset}".split())
    assert capsys.readouterr().out.endswith("a.png: 1 image, seed 5\n")


def test_sample_writes_an_npz_that_evaluation_reads(small_preset, tmp_path):
    out = tmp_path / "digits.npz"
    main(f"sample 7 3 --n 2 --seed 5 --out {out} --preset {small_preset}".split())
    images, labels = read_images(out)
    assert images.shape == (4, 28, 28, 1) and images.dtype == np.uint8 and labels.tolist() == [7, 7, 3, 3]
    again = keras_ddpm.sample(3, seed=7, preset=small_preset)
    np.testing.assert_array_equal(images[2, ..., 0], again)
    assert [path.name for path in tmp_path.iterdir()] == ["digits.npz"]


@pytest.fixture
def drawn(monkeypatch, tmp_path):
    """The PNG's shape in images, for a command with images of one grey level that stands for the digit."""

    def sample(digit, w, *, seed, progress, **settings):
        images = np.broadcast_to(np.asarray(digit, "uint8")[:, None, None], (len(digit), 28, 28))
        return (images, np.asarray(seed)) if settings["return_seeds"] else images

    def drawn(arguments):
        main(f"sample {arguments} --scale 1 --out {tmp_path / 'a.png'}".split())
        return np.asarray(Image.open(tmp_path / "a.png"))[::30, ::30]

    monkeypatch.setattr(api, "sample", sample)
    return drawn


def test_a_row_has_at_most_twenty_images_and_each_digit_begins_one(drawn):
    page = drawn("3 7 --n 30")
    assert page.shape == (4, 20)
    assert np.all(page[0] == 3) and np.all(page[1, :10] == 3) and np.all(page[1, 10:] == 255) and np.all(page[2] == 7)


def test_columns_are_what_was_asked_for(drawn):
    assert drawn("0 1 2 3 4 5 6 7 8 9 --columns 5").tolist() == [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9]]
    assert drawn("3 --n 3 --columns 2").tolist() == [[3, 3], [3, 255]]


@pytest.mark.parametrize(
    "arguments, message",
    [
        ([], "`digits` must be one digit or several"),
        (["12"], "`digit` must be in 0..9"),
        (["7", "--steps", "0"], "`steps` must be"),
        (["7", "--w", "nan"], "`w` must be finite"),
        (["7", "--seed", "-1"], "`seed` must be"),
        (["7", "--seed", str(2**63 - 1), "--n", "2"], "`seed` must be"),
        (["7", "--n", "0"], "`n` must be at least 1. Received: 0"),
        (["7", "--n", "1000000000"], "`n` must be at most 100000"),
        (["7", "8", "--n", "1000000000"], "`n` must be at most 50000"),
        (["7", "--scale", "0"], "`scale` must be at least 1"),
        (["7", "--scale", "100000"], "at most 50 million pixels"),
        (["7", "--n", "100000", "--scale", "4"], "at most 50 million pixels"),
        (["7", "--columns", "0"], "`columns` must be at least 1"),
        (["7", "--sampler", "euler"], "`sampler` must be one of"),
        (["7", "--preset", "nowhere"], "`preset` must be one of"),
        (["7", "--out", "no/such/folder/x.png"], "Cannot write"),
        (["7", "--out", "/proc/x.png"], "Cannot write '/proc/x.png'"),
        (["7", "--out", "x.jpg"], "`out` must end in .png, .gif or .npz. Received: 'x.jpg'"),
        (["7", "--out", "x"], "`out` must end in .png, .gif or .npz"),
    ],
)
def test_an_error_is_one_line_and_leaves_nothing(small_preset, tmp_path, capsys, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    preset = [] if "--preset" in arguments else ["--preset", str(small_preset)]
    with pytest.raises(SystemExit) as stop:
        main(["sample", *arguments, *preset])
    error = capsys.readouterr().err
    assert stop.value.code == 2 and error.count("\n") == 1 and message in error
    assert list(tmp_path.iterdir()) == []


def test_the_limits_are_those_of_the_help(capsys):
    with pytest.raises(SystemExit):
        main(["sample", "--help"])
    out = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert f"{MAX_IMAGES:,} images in all" in out and all(name in out for name in SAMPLERS)


def test_the_most_images_that_the_help_promises_are_not_refused():
    Sample((7,), n=MAX_IMAGES)._check()
    Sample((7, 8), n=MAX_IMAGES // 2)._check()
