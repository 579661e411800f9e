"""Restoring damaged test images: PSNR, the digit that a judge reads, diversity and seconds, beside OpenCV.

    python -m benchmarks.restoration --presets mnist_fast --n 200
    python -m benchmarks.restoration --picture docs/restoration.png

Half, expand, every second line and nearest 2x are RePaint's masks (arXiv 2201.09865) for 28 pixels, except that expand
keeps half of the side, not a quarter, where nothing of a digit is left; thick and thin are random strokes like those of
its masks. Scale 2 and 4 are averages of squares. The judge is the shipped classifier, which took no part in choosing
anything. How much what is left tells of an unknown digit at all: the vote of the training images nearest to it there.
Needs opencv-python-headless (`pip install -e ".[restoration]"`).
"""

import dataclasses
import pathlib
import time

import numpy as np
import tyro

from benchmarks import machine
from keras_ddpm import data, presets
from keras_ddpm.cli.run import run
from keras_ddpm.data import pictures
from keras_ddpm.evaluation.judges.classifier import load_classifier
from keras_ddpm.restoration.api import restore

SIDE = 28
SEEDS = 8  # of each image, for the diversity
NEIGHBOURS = 5
SCALES = {"scale 1": 1, "scale 2": 2, "scale 4": 4}
STROKES = {"thick": (3, 6), "thin": (7, 2)}  # how many, and how wide
OF_DIVERSITY = 10  # one of so many images is restored from all seeds


@dataclasses.dataclass(frozen=True)
class Arguments:
    presets: tuple[str, ...] = ("mnist_fast", "mnist")
    """Presets, or folders of runs."""
    n: int = 100
    """Test images of each row."""
    steps: int | None = None
    """Noise levels that are visited. Default: that of `restore`."""
    repeats: int | None = None
    """How often each is. Default: that of `restore`."""
    damages: tuple[str, ...] = (
        "half",
        "thick",
        "thin",
        "expand",
        "every second line",
        "nearest 2x",
        "scale 2",
        "scale 4",
    )
    """What is done to the images."""
    held_out: bool = False
    """The last training images instead of test images, to choose by."""
    picture: pathlib.Path | None = None
    """Write this picture of some restorations, and no table."""


def masks(damage: str, n: int) -> np.ndarray:
    """bool (n, 28, 28), True where a pixel is missing."""
    row, column = np.mgrid[:SIDE, :SIDE]
    fixed = {
        "half": column >= SIDE // 2,
        "expand": (np.abs(row - 13.5) > SIDE / 4) | (np.abs(column - 13.5) > SIDE / 4),
        "every second line": row % 2 == 1,
        "nearest 2x": (row % 2 == 1) | (column % 2 == 1),
    }
    if damage in fixed:
        return np.broadcast_to(fixed[damage], (n, SIDE, SIDE))
    return np.stack([strokes(*STROKES[damage], rng=np.random.default_rng(i)) for i in range(n)])


def strokes(count: int, width: int, *, rng: np.random.Generator) -> np.ndarray:
    """bool (28, 28): straight strokes from one random point to the next, through the middle of the image."""
    from PIL import Image, ImageDraw

    mask = Image.new("1", (SIDE, SIDE))
    points = rng.integers(3, SIDE - 3, (count + 1, 2))
    ImageDraw.Draw(mask).line([tuple(map(int, point)) for point in points], fill=1, width=width)
    return np.asarray(mask)


def damaged(images: np.ndarray, damage: str) -> tuple[np.ndarray, dict]:
    """What is left of images (N, 28, 28), and the argument of `restore` that says so."""
    if damage in SCALES:
        s = SCALES[damage]
        small = images.reshape(-1, SIDE // s, s, SIDE // s, s).mean(axis=(2, 4))
        return np.round(small).astype("uint8"), {"scale": s}
    mask = masks(damage, len(images))
    return np.where(mask, np.uint8(0), images), {"mask": mask}


def by_opencv(left: np.ndarray, given: dict) -> tuple[str, np.ndarray]:
    """OpenCV's own restoration: bicubic, or Telea's inpainting."""
    import cv2

    if "scale" in given:
        return "OpenCV, bicubic", np.stack([cv2.resize(x, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC) for x in left])
    pairs = zip(left, given["mask"].astype("uint8"))
    return "OpenCV, inpaint (Telea)", np.stack([cv2.inpaint(x, mask, 3, cv2.INPAINT_TELEA) for x, mask in pairs])


def shown(left: np.ndarray, given: dict, *, missing: int) -> np.ndarray:
    """What is left, in 28 x 28 pixels."""
    if "scale" in given:
        return left.repeat(given["scale"], axis=1).repeat(given["scale"], axis=2)
    return np.where(given["mask"], np.uint8(missing), left)


def nearest(left: np.ndarray, given: dict, training: data.Dataset) -> np.ndarray:
    """The digit that most of the `NEIGHBOURS` training images have that are nearest in what is left: int (N,)."""
    others, _ = damaged(training.images[..., 0], "scale 1" if "mask" in given else f"scale {given['scale']}")
    x, t = (a.reshape(len(a), -1).astype("float32") / 255 for a in (left, others))
    known = 1 - given["mask"].reshape(len(left), -1).astype("float32") if "mask" in given else np.ones_like(x)
    distance = known @ (t**2).T - 2 * (known * x) @ t.T  # (N, training), up to a number for each image
    votes = training.labels[np.argpartition(distance, NEIGHBOURS, axis=1)[:, :NEIGHBOURS]]
    return np.stack([np.bincount(row, minlength=10).argmax() for row in votes])


def psnr(images: np.ndarray, originals: np.ndarray) -> float:
    """The mean over the images of 10 log10(255^2 / mean squared error), in dB; at most 60 for each."""
    error = np.mean((images.astype(float) - originals) ** 2, axis=(1, 2))
    return float(np.mean(10 * np.log10(255**2 / np.maximum(error, 255**2 / 1e6))))


def diversity(restored: np.ndarray, given: dict) -> float:
    """Standard deviation over seeds (N, seeds, 28, 28), grey levels, over the missing pixels or all of them."""
    spread = restored.std(axis=1)
    return float(spread[given["mask"][: len(spread)]].mean() if "mask" in given else spread.mean())


def main() -> None:
    arguments = tyro.cli(Arguments, description=__doc__)
    for preset in arguments.presets:
        presets.find(preset)
    training, held = data.load("mnist", "train").hold_out(5_000)
    split = held if arguments.held_out else data.load("mnist", "test")
    images, labels = split.images[: arguments.n, ..., 0], split.labels[: arguments.n]
    if arguments.picture:
        pictures.write_png(arguments.picture, page(images, labels, arguments))
        return
    judge = load_classifier()

    def report(damage, method, restored, *, spread="", seconds=None):
        right = np.mean(judge(restored[..., None])[0].argmax(axis=1) == labels)
        each = "" if seconds is None else f"{1000 * seconds / len(restored):.1f}"
        cells = [damage, method, f"{psnr(restored, images):.1f}", f"{right:.1%}", spread, each]
        print("| " + " | ".join(cells) + " |", flush=True)

    print(machine.describe())
    print("| damage | restored by | PSNR, dB | right digit | spread over 8 seeds | ms an image |\n" + "|---" * 6 + "|")
    report("none", "", images)
    for damage in arguments.damages:
        left, given = damaged(images, damage)
        report(damage, "nothing", shown(left, given, missing=0))
        right = np.mean(nearest(left, given, training) == labels)
        print(f"| {damage} | {NEIGHBOURS} nearest training images vote |  | {right:.1%} |  |  |", flush=True)
        start = time.perf_counter()
        name, restored = by_opencv(left, given)
        report(damage, name, restored, seconds=time.perf_counter() - start)
        for preset in arguments.presets:
            for known in (False, True):
                timed(report, damage, left, given, labels if known else None, preset, arguments)
    for preset in arguments.presets:
        alone(images[0], preset, arguments)


def timed(report, damage, left, given, digit, preset, arguments):
    """Restore, and report with the spread over seeds of some images and the seconds of all."""
    settings = {"preset": preset, "steps": arguments.steps, "repeats": arguments.repeats}
    few = max(1, len(left) // OF_DIVERSITY)
    part = {name: value if name == "scale" else value[:few] for name, value in given.items()}
    one = None if digit is None else digit[:few]
    several = restore(left[:few], **part, digit=one, seed=0, n=SEEDS, **settings)
    pair = {name: value if name == "scale" else value[:2] for name, value in given.items()}
    restore(left[:2], **pair, digit=None if digit is None else digit[:2], **settings)  # compiles for any batch
    start = time.perf_counter()
    restored = restore(left, **given, digit=digit, seed=np.arange(len(left)), **settings)
    seconds = time.perf_counter() - start
    name = f"{preset}, digit {'unknown' if digit is None else 'known'}"
    report(damage, name, restored, spread=f"{diversity(several, part):.1f}", seconds=seconds)
    if "mask" in given:
        assert np.array_equal(restored[~given["mask"]], left[~given["mask"]]), "a known pixel has changed"


def alone(image, preset, arguments):
    """Print the time of one image alone, the middle of nine."""
    settings = {"preset": preset, "steps": arguments.steps, "repeats": arguments.repeats, "mask": masks("half", 1)[0]}
    for digit in (None, 7):
        seconds = []
        for seed in range(11):
            start = time.perf_counter()
            restore(image, digit=digit, seed=seed, **settings)
            seconds.append(time.perf_counter() - start)
        name = "unknown" if digit is None else "known"
        print(f"{preset}, one image alone, digit {name}: {1000 * np.median(seconds[2:]):.0f} ms", flush=True)


def page(images, labels, arguments):
    """A row for each damage: of 3 images the original, what is left, OpenCV, each preset without and with the digit."""
    rows = []
    for damage in arguments.damages:
        left, given = damaged(images[:3], damage)
        tiles = [images[:3], shown(left, given, missing=128), by_opencv(left, given)[1]]
        for preset in arguments.presets:
            for digit in (None, labels[:3]):
                tiles.append(restore(left, **given, digit=digit, seed=0, preset=preset, steps=arguments.steps))
        rows += [tile[i] for i in range(3) for tile in tiles]
    return pictures.grid(np.stack(rows)[..., None], columns=3 * (3 + 2 * len(arguments.presets)), scale=2)


if __name__ == "__main__":
    run(main)
