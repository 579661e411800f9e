"""keras-ddpm restore, vary, interpolate, and the film of a sample: what they write, and that errors are one line."""

import numpy as np
import pytest
from PIL import Image

import keras_ddpm
from keras_ddpm.cli.main import main

GREY = np.resize(np.arange(256, dtype="uint8"), (28, 28))
MASK = np.broadcast_to(np.arange(28) >= 14, (28, 28))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with a picture, a mask and a small picture, in which the command runs."""
    Image.fromarray(GREY).save(tmp_path / "photo.png")
    Image.fromarray(MASK.astype("uint8") * 255).save(tmp_path / "mask.png")
    Image.fromarray(GREY[:14, :14]).save(tmp_path / "small.png")
    Image.fromarray(GREY[:20]).save(tmp_path / "narrow.png")
    Image.fromarray(GREY.astype("uint16") * 200).save(tmp_path / "deep.png")
    (tmp_path / "text.png").write_text("no picture")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def read(path):
    return np.asarray(Image.open(path))


def test_restore_writes_what_python_draws_and_keeps_what_is_known(folder, small_preset, capsys):
    main(f"restore photo.png --mask mask.png --digit 7 --seed 5 --steps 3 --preset {small_preset}".split())
    image = read("restored.png")
    np.testing.assert_array_equal(image[~MASK], GREY[~MASK])
    drawn = keras_ddpm.restore(GREY, mask=MASK, digit=7, seed=5, steps=3, preset=small_preset)
    np.testing.assert_array_equal(image, drawn)
    assert capsys.readouterr().out == "restored.png: 1 image, seed 5\n"


def test_restore_enlarges_into_a_row_of_n(folder, small_preset, capsys):
    arguments = f"restore small.png --scale 2 --n 3 --seed 5 --steps 2 --zoom 2 --out a.png --preset {small_preset}"
    main(arguments.split())
    assert read("a.png").shape == (56, 3 * 58 - 2)
    assert capsys.readouterr().out == "a.png: 3 images, seeds 5 to 7\n"


def test_vary_at_level_0_copies_and_interpolate_writes_its_ends(folder, small_preset, capsys):
    main(f"vary photo.png --level 0 --n 2 --out a.png --seed 1 --preset {small_preset}".split())
    np.testing.assert_array_equal(read("a.png")[:, :28], GREY)
    main(f"interpolate 3 8 --seeds 5 6 --n 4 --zoom 1 --out b.png --preset {small_preset}".split())
    ends = keras_ddpm.sample([3, 8], seed=[5, 6], preset=small_preset).astype(int)
    assert np.abs(read("b.png")[:, :28] - ends[0]).max() <= 1 and np.abs(read("b.png")[:, -28:] - ends[1]).max() <= 1
    assert capsys.readouterr().out.endswith("b.png: 4 images, seeds 5 to 6\n")


@pytest.mark.parametrize("digits", [pytest.param("7", marks=pytest.mark.slow), "7 3 --n 2"])
def test_the_last_frame_of_a_film_is_the_png(folder, small_preset, digits):
    for out in ("a.gif", "a.png"):
        main(f"sample {digits} --seed 5 --steps 4 --out {out} --runtime keras --preset {small_preset}".split())
    film = Image.open("a.gif")
    assert film.n_frames == 5 and film.info["loop"] == 0
    frames = []
    for i in range(film.n_frames):
        film.seek(i)
        frames.append(np.asarray(film.convert("L")).astype(int))
    assert np.abs(frames[-1] - read("a.png")).max() <= 1
    assert all(np.any(a != frames[-1]) for a in frames[:-1])


@pytest.mark.parametrize(
    "arguments, message",
    [
        ("restore photo.png", "exactly one of `mask`, `scale`"),
        ("restore photo.png --mask mask.png --scale 2", "Received: mask, scale"),
        ("restore photo.png --mask photo.png", "`mask` must be True (or 255) where a pixel is missing"),
        ("restore photo.png --mask narrow.png", "`mask` must be (28, 28)"),
        ("restore narrow.png --mask mask.png", "`image` must be (28, 28)"),
        ("restore photo.png --scale 2", "`image` must be (14, 14)"),
        ("restore photo.png --scale 3", "`scale` must divide"),
        ("restore small.png --scale 2 --noise -1", "`noise` must be"),
        ("restore small.png --scale 2 --w 3", "`w` must be None without a `digit`"),
        ("restore small.png --scale 2 --digit 10", "`digit` must be in 0..9"),
        ("restore small.png --scale 2 --n 0", "`n` must be in 1..1000"),
        ("restore small.png --scale 2 --out a.jpg", "`out` must end in .png"),
        ("restore nothing.png --scale 2", "No such file"),
        ("restore text.png --scale 2", "cannot identify image file"),
        ("restore deep.png --mask mask.png", "'deep.png' must have 8 bits a pixel"),
        ("vary photo.png --level 2", "`level` must be in 0..1"),
        ("interpolate 1 2 3", "`digits` must be one or two. Received: 3"),
        ("interpolate 1 --seeds 1 2 3", "`seeds` must be one or two"),
        ("interpolate 1 2 --n 1", "`n` must be an integer >= 2"),
        ("sample 1 --n 401 --out a.gif", "A GIF holds at most 400 images"),
        ("sample 1 --runtime onnx --out a.gif", "`runtime` must be keras for a GIF"),
    ],
)
def test_an_error_is_one_line_and_nothing_is_written(folder, small_preset, arguments, message, capsys):
    before = sorted(path.name for path in folder.iterdir())
    with pytest.raises(SystemExit) as caught:
        main([*arguments.split(), "--preset", str(small_preset)])
    error = capsys.readouterr().err
    assert caught.value.code == 2 and message in error and len(error.splitlines()) == 1, error
    assert sorted(path.name for path in folder.iterdir()) == before
