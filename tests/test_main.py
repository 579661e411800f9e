"""The command line: what it writes, and that it writes nothing when it cannot."""

import numpy as np
import pytest
from PIL import Image

import keras_ddpm
from keras_ddpm.__main__ import main
from keras_ddpm.evaluation.arrays import read_images


def test_sample_writes_a_row_for_each_digit(small_preset, tmp_path, capsys):
    out = tmp_path / "digits.png"
    main(
        [
            "sample",
            "7",
            "3",
            "--w",
            "3",
            "--n",
            "4",
            "--seed",
            "5",
            "--scale",
            "1",
            "--out",
            str(out),
            "--preset",
            str(small_preset),
        ]
    )
    assert np.asarray(Image.open(out)).shape == (2 * 30 - 2, 4 * 30 - 2)
    assert "8 images, seeds 5 to 12" in capsys.readouterr().out
    assert [path.name for path in tmp_path.iterdir()] == ["digits.png"]


def test_sample_writes_an_npz_that_evaluation_reads(small_preset, tmp_path):
    out = tmp_path / "digits.npz"
    main(f"sample 7 3 --n 2 --seed 5 --out {out} --preset {small_preset}".split())
    images, labels = read_images(out)
    assert images.shape == (4, 28, 28, 1) and images.dtype == np.uint8 and labels.tolist() == [7, 7, 3, 3]
    again = keras_ddpm.sample(3, seed=7, preset=small_preset)
    np.testing.assert_array_equal(images[2, ..., 0], again)
    assert [path.name for path in tmp_path.iterdir()] == ["digits.npz"]


def test_info_prints_the_configuration(small_preset, capsys):
    main(["info", "--preset", str(small_preset)])
    assert '"schedule": "cosine"' in capsys.readouterr().out


def test_presets_lists_the_shipped_ones(capsys):
    main(["presets"])
    mnist, w_of_digit, report = capsys.readouterr().out.splitlines()
    assert mnist.startswith("mnist: 28 x 28 x 1, 10 classes; w = 1.5, dpm")
    assert w_of_digit.startswith("mnist_w_of_digit: 28 x 28 x 1, 10 classes; w = 2 1 3 2 2 1 2 2 2 2, dpm")
    assert report.startswith("report: 28 x 28 x 1, 10 classes; w = 3, ddpm")


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["12"], "`digit` must be in 0..9"),
        (["7", "--steps", "0"], "`steps` must be"),
        (["7", "--w", "nan"], "`w` must be finite"),
        (["7", "--seed", "-1"], "`seed` must be"),
        (["7", "--n", "0"], "at least one"),
        (["7", "--sampler", "euler"], "`sampler` must be one of"),
        (["7", "--preset", "nowhere"], "`preset` must be one of"),
        (["7", "--out", "no/such/folder/x.png"], "Cannot write"),
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
