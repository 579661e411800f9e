"""Other data than MNIST goes the whole way by the commands: train, sample, judge, evaluate."""

import dataclasses
import json
import re
import shlex
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tyro
from PIL import Image

from benchmarks import colours
from keras_ddpm import data, presets
from keras_ddpm.__main__ import main
from keras_ddpm.cli.main import _commands
from keras_ddpm.cli.train import from_file, parse_values
from keras_ddpm.data import colour_mnist, datasets
from keras_ddpm.data.colour_mnist import ATTRIBUTES
from keras_ddpm.evaluation.arrays import Kind
from keras_ddpm.networks.build import build_network

TINY = "--epochs 1 --batch-size 32 --train-images 128 --validation-images 32 --widths 8 --depths 1 --attention False "
TINY += "--embed-dim 16 --groups 4 --dropout 0 --grid-every 1 --sampler ddim --steps 2"

PAGE = Path(__file__).parent.parent.parent / "docs" / "guide" / "other_data.md"
COMMANDS = [line for block in re.findall(r"```bash\n(.*?)```", PAGE.read_text(), re.S) for line in block.splitlines()]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_page_can_be_parsed(command):
    _, *arguments = shlex.split(command)
    if arguments[0] == "train.py":
        parse_values("", arguments[1:])
    else:
        assert arguments[:2] == ["-m", "keras_ddpm"]
        tyro.extras.subcommand_cli_from_dict(_commands(), args=arguments[2:])


@pytest.fixture
def few(mnist, monkeypatch):
    """Colour MNIST, of the first images of each split alone."""
    load = datasets.load
    monkeypatch.setattr(datasets, "load", lambda name, split, **rest: load(name, split, **rest).first(400))


@pytest.mark.parametrize("name, shape", [("digits_8x8", (8, 8, 1)), ("colour_mnist", (32, 32, 3))])
def test_a_shipped_configuration_fits_its_data(few, name, shape):
    (config,) = from_file(name)
    assert config.name == config.data.dataset == name
    assert data.load(name, "train").image_shape == shape
    assert build_network(config, shape, 10).count_params() < 1_000_000


def go_the_whole_way(name, shape, folder, *, only):
    """Each command as a user types it; returns the report's content."""
    H, W, C = shape
    run, judge, report = (str(folder / part) for part in ("run", "judge", "report"))
    main(["train", "--config", name, *TINY.split(), "--out", run])
    assert presets.read_config(run)[1:] == (shape, 10)
    with Image.open(folder / "run" / "grids" / "epoch_001.png") as grid:
        assert grid.mode == ("L" if C == 1 else "RGB") and grid.size == (10 * (W + 2) - 2, 10 * (H + 2) - 2)
    page, film, arrays = (str(folder / part) for part in ("page.png", "film.gif", "drawn.npz"))
    for out in (page, film, arrays):
        main(["sample", "3", "9", "--n", "2", "--seed", "5", "--preset", run, "--out", out])
    with Image.open(page) as image:
        assert image.mode == ("L" if C == 1 else "RGB") and image.size == (2 * (2 * W + 2) - 2, 2 * (2 * H + 2) - 2)
    with Image.open(film) as image:
        assert image.n_frames == 3 and image.size == (2 * (2 * W + 2) - 2, 2 * (2 * H + 2) - 2)
    with np.load(arrays) as drawn:
        assert drawn["images"].shape == (4, *shape) and drawn["labels"].tolist() == [3, 3, 9, 9]
    main(["judge", "--dataset", name, "--arch", "wide5x5", "--epochs", "2", "--out", judge])
    main(["evaluate", "--run", run, "--judge", judge, "--n", "100", "--only", only, "--out", report])
    return json.loads((folder / "report" / "report.json").read_text())


@pytest.mark.slow
def test_the_small_digits_go_the_whole_way(tmp_path):
    content = go_the_whole_way("digits_8x8", (8, 8, 1), tmp_path, only="accuracy,fid,pixels")
    assert content["figures"]["accuracy"]["real"] > 0.5 > content["figures"]["accuracy"]["model"]
    assert "trained on digits_8x8" in content["facts"]["judges"] and content["facts"]["noun"] == "digit"
    assert content["facts"]["rows"]["real images"].startswith("digits_8x8: the first 100 of the test split")


def test_the_colours_that_were_asked_for_are_those_that_are_looked_for(few, monkeypatch):
    """A generator that paints exactly what it is asked for, and what it is not asked for in the darkest colours."""
    test, asked = data.load("mnist", "test"), []

    def draw(digit, w, seed, **given):
        asked.append(tuple(given))
        darkest = dict.fromkeys(ATTRIBUTES, np.zeros(len(digit)))
        places = np.stack(list((darkest | given).values()), axis=1)  # (N, 6)
        d, g = np.round(95 * places[:, :3]) + 160, np.round(95 * places[:, 3:])
        ink = np.pad(test.images[: len(digit)], colour_mnist.MARGINS) / 255.0
        return np.round(ink * d[:, None, None] + (1 - ink) * g[:, None, None]).astype("uint8")

    judge = SimpleNamespace(notes={"arch": "none"}, kind=Kind((32, 32, 3), 10))
    attributes = SimpleNamespace(data=SimpleNamespace(attributes=ATTRIBUTES), sampling=SimpleNamespace(w=1.0))
    monkeypatch.setattr(colours, "load_classifier", lambda folder: judge)
    monkeypatch.setattr(colours, "memoize", lambda judge: judge)
    monkeypatch.setattr(colours, "figures", lambda *images, **given: {})
    monkeypatch.setattr(colours, "cells", lambda values: ["judged"])
    monkeypatch.setattr(colours.presets, "read_config", lambda preset: (attributes, (32, 32, 3), 10))
    monkeypatch.setattr(colours.presets, "load_preset", lambda preset: SimpleNamespace(images=draw))
    cells = [line.split("|")[-3:-1] for line in colours.rows(colours.Arguments(n=50))][3:]
    assert asked == [(), ATTRIBUTES[:3], ATTRIBUTES[3:], ATTRIBUTES]
    assert all(float(cell) < 1 for row in cells for cell in row if cell.strip())
    attributes.data.attributes = ATTRIBUTES[1:]
    with pytest.raises(ValueError, match="`preset` must have the attributes of colour_mnist"):
        next(colours.rows(colours.Arguments()))


@pytest.mark.slow
def test_colour_digits_go_the_whole_way_with_all_that_is_measured(few, tmp_path):
    only = "accuracy,fid,prdc,diversity,memorisation,pixels,recognition,health"
    content = go_the_whole_way("colour_mnist", (32, 32, 3), tmp_path, only=only)
    assert {"recognition", "health", "confusion"} <= set(content) and "clip" not in content
    assert content["figures"]["recall"].keys() == {"model", "real"}
    table = colours.Arguments(preset=str(tmp_path / "run"), classifier=tmp_path / "judge", n=100)
    cells = [[cell.strip() for cell in line.split("|")[-3:-1]] for line in colours.rows(table)][3:]
    assert [[bool(cell) for cell in row] for row in cells] == [
        [True, True],
        [False] * 2,
        [True, False],
        [False, True],
        [True] * 2,
    ]
    assert float(cells[-1][1]) > 1  # it is hardly trained
    with pytest.raises(ValueError, match=r"`n` must be in 10..200, half of the test images. Received: 201"):
        next(colours.rows(dataclasses.replace(table, n=201)))
