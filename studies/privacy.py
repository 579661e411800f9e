"""Does a model give its training images away?

python -m studies.privacy [--quick]

Copies: of each drawn image, is the nearest training image nearer than the nearest of as many that the model has not
seen? That should be so for half of the images of a model that copies nothing. Membership: an attacker has images and
the model, and guesses that those with a low loss were trained on. The area under the curve (AUC) is the share of pairs
of a training image and another that this orders rightly: 0.5 is chance, 1 is certainty.

The models are the shipped ones, and a small one that was trained on 1,000 images. `mnist_fast` draws in one call and
was trained last without a diffusion loss: what is attacked is its estimate of a noised image at the three noise levels
that its training saw.
"""

import functools
import pathlib
from typing import Any, NamedTuple

import keras
import numpy as np
from scipy import stats
from sklearn.metrics import roc_auc_score, roc_curve

from keras_ddpm import data, noise, presets, samplers
from keras_ddpm.backends.compiled import compiled, in_batches
from keras_ddpm.data import pictures
from keras_ddpm.evaluation.metrics.memorisation import closest_pairs, copied, search_among
from keras_ddpm.generator import Generator
from keras_ddpm.training.ddpm import DDPM
from studies import few_images, study

N, DRAWN, FEW = 2_000, 1_000, 1_000
"""Members and non-members that are attacked, images that are drawn, and images of the small model."""
EPOCHS = 8  # of the small model, of few_images.STEPS each
PASSES = EPOCHS * few_images.STEPS * few_images.BATCH // FEW  # over each of its images
LEVELS = (0.1, 0.2, 0.4, 0.9, 2.0, 5.0)
"""Noise levels sigma / alpha at which the loss is taken."""
DRAWS = 2  # of the noise, fixed by the image's place
RESAMPLES = 500
BATCH = 250
SHOWN = 10
TITLES = {"mnist": "`mnist`", "mnist_fast": "`mnist_fast`", "thousand": "The model of 1,000 images"}


class Target(NamedTuple):
    """A model, the images that it was trained on, and others: uint8 (N, 28, 28, 1) with their labels."""

    folder: str | pathlib.Path
    members: data.Dataset
    others: data.Dataset
    levels: tuple[float, ...] = LEVELS


def run(options: study.Options) -> None:
    train, test = (data.load(options.dataset, split) for split in ("train", "test"))
    n, drawn = options.count(N), options.count(DRAWN)
    fingerprints = {name: presets.fingerprint(name) for name in ("mnist", "mnist_fast")}
    settings = {"n": n, "drawn": drawn, "levels": LEVELS, "draws": DRAWS, "epochs": EPOCHS, "few": FEW}
    results = study.Results("privacy", options, **settings, **fingerprints)
    rest, held_out = few_images.split(options)
    results.row("copies real", copies, held_out.images[:drawn], rest.images, test.images)
    for name in TITLES:
        target = functools.cache(functools.partial(target_of, name, train, test, options))
        results.row(f"copies {name}", draw_and_compare, target, drawn, results.picture(f"{name}_closest"))
        results.row(f"attack {name}", attack, target, n)
    target = functools.partial(control, train, test, options)
    results.row("attack control", attack, target, n)
    plot(results)


def target_of(name: str, train: data.Dataset, test: data.Dataset, options: study.Options) -> Target | None:
    """A model with its members and non-members; None for one that may not be trained.

    The shipped `mnist` has seen the whole training split, so test images are its non-members; the others have seen a
    part, and the held-out end of the split is theirs.
    """
    rest, held_out = train.hold_out(few_images.HELD_OUT)
    if name == "mnist":
        return Target(name, train, test)
    if name == "mnist_fast":
        return Target(name, rest, held_out, presets.read_config(name)[0].few_step.levels)
    rows = few_images.choose(rest.labels, np.full(10, FEW // 10), 0)
    few = data.Dataset(rest.images[rows], rest.labels[rows], rest.num_classes)
    folder = few_images.train("thousand", *few[:2], options, epochs=EPOCHS)
    return None if folder is None else Target(folder, few, held_out)


def control(train: data.Dataset, test: data.Dataset, options: study.Options) -> Target | None:
    """The small model, with held-out training images in the place of members: it has seen neither them nor the others.

    Training and test images are of different writers. What this attack finds is that difference.
    """
    target = target_of("thousand", train, test, options)
    return target and target._replace(members=target.others, others=test)


def sample_of(dataset: data.Dataset, n: int) -> data.Dataset:
    """n images of a data set, or all if there are fewer, chosen with a fixed seed."""
    rows = np.random.default_rng(0).permutation(len(dataset.images))[:n]
    return data.Dataset(dataset.images[rows], dataset.labels[rows], dataset.num_classes)


# Copies.


def draw_and_compare(target: Any, n: int, picture: pathlib.Path) -> study.Figures | None:
    """`copies` of drawn images, and a picture of the closest ones, each above its nearest training image."""
    if (found := target()) is None:
        return None
    generator, w = presets.load_preset(found.folder), presets.read_config(found.folder)[0].sampling.w
    images, seconds = study.draw(generator, np.arange(n) % 10, w)
    closest, nearest, _ = closest_pairs(search_among(found.members.images), images, count=SHOWN)
    rows = np.concatenate([images[closest], found.members.images[nearest]])
    pictures.write_png(picture, pictures.grid(rows, columns=SHOWN, scale=2))
    return {**copies(images, found.members.images, found.others.images), "seconds": seconds}


def copies(images: np.ndarray, members: np.ndarray, others: np.ndarray) -> study.Figures:
    """How near images are to training images, and to others.

    The larger of the two sets is cut into parts as large as the smaller one, since the nearest of many is nearer; the
    share is the parts' mean.

    Args:
        images: uint8 (N, H, W, C).
        members: uint8 (M, H, W, C), what the model was trained on.
        others: uint8 (K, H, W, C), what it was not trained on.

    Returns:
        Figures: the share nearer to a member, with its 95 % interval; the share of copies by `copied`; the median
        distance to the nearest member, and to the nearest other image, among as many.
    """
    m = min(len(members), len(others))
    to_members, to_others = (parts_distance(images, part, m) for part in (members, others))  # (parts, N)
    nearer = (to_members[:, None] < to_others[None]).mean(axis=(0, 1))  # (N,)
    low, high = interval((nearer,), np.mean)
    distances, _ = search_among(members)(images)
    return {
        "nearer": nearer.mean(),
        "nearer_low": low,
        "nearer_high": high,
        "copies": copied(distances).mean(),
        "among": m,
        "nearest_member": np.median(to_members),
        "nearest_other": np.median(to_others),
    }


def parts_distance(images: np.ndarray, points: np.ndarray, size: int) -> np.ndarray:
    """Distance of each image to the nearest point of each part of `size` points: (parts, N)."""
    starts = range(0, len(points) - size + 1, size)
    return np.stack([search_among(points[start : start + size])(images)[0][:, 0] for start in starts])


# Membership.


def attack(target: Any, n: int) -> study.Figures | None:
    """The attack at each noise level, and by all levels together: the mean of the logarithms of the losses."""
    if (found := target()) is None:
        return None
    generator = presets.load_preset(found.folder)
    both = [losses(generator, sample_of(part, n), found.levels) for part in (found.members, found.others)]
    n = min(map(len, both))
    members, others = (np.log(part[:n]) for part in both)  # (n, L) each
    members, others = (np.column_stack([part, part.mean(axis=1)]) for part in (members, others))
    columns = [told(members[:, i], others[:, i]) for i in range(members.shape[1])]
    figures = {name: [column[name] for column in columns] for name in columns[0]}
    return {"levels": [*found.levels, "all"], "n": n, **figures}


def losses(generator: Generator, images: data.Dataset, levels: tuple[float, ...]) -> np.ndarray:
    """The diffusion loss of each image at each noise level, with noise that is fixed by the image's place: (N, L).

    Args:
        generator: `Generator`, whose network is told each image's label.
        images: `data.Dataset`.
        levels: sigma / alpha of each.
    """
    model = DDPM(generator.network, generator.diffusion, ema_decay=0.0)

    def loss(inputs):
        x_0, t = inputs["x_0"], inputs["t"]
        drawn = [noise.normal(inputs["key"], draw, x_0.shape[1:]) for draw in range(DRAWS)]
        each = [model.losses(model.network, x_0, {"label": inputs["label"]}, t, eps) for eps in drawn]
        return keras.ops.mean(keras.ops.stack(each), axis=0)  # (B,)

    run_batch, N = compiled(loss, model=generator.network), len(images.images)
    inputs = {"x_0": data.to_float(images.images), "label": images.labels, "key": noise.split_seed(np.arange(N))}
    times = [samplers.time_of_level(level, generator.diffusion.schedule) for level in levels]
    return np.stack([in_batches(run_batch, {**inputs, "t": np.full(N, t, "float32")}, BATCH) for t in times], axis=-1)


def told(members: np.ndarray, others: np.ndarray) -> study.Figures:
    """How well losses (N,) tell members from others (M,): AUC with its 95 % interval, and the share of members that are
    found where one in a hundred of the others is taken for one."""
    low, high = interval((members, others), auc)
    is_member = np.concatenate([np.ones(len(members)), np.zeros(len(others))])
    false, true, _ = roc_curve(is_member, -np.concatenate([members, others]))
    return {"auc": auc(members, others), "low": low, "high": high, "found": np.interp(0.01, false, true)}


def auc(members: np.ndarray, others: np.ndarray) -> float:
    """The probability that a member's loss is below another image's, ties counting half."""
    is_member = np.concatenate([np.ones(len(members)), np.zeros(len(others))])
    return float(roc_auc_score(is_member, -np.concatenate([members, others])))


def interval(samples: tuple[np.ndarray, ...], statistic: Any) -> tuple[float, float]:
    """The 95 % interval of a statistic of samples, by resampling images."""
    options = {"n_resamples": RESAMPLES, "method": "percentile", "vectorized": False, "rng": np.random.default_rng(0)}
    found = stats.bootstrap(samples, statistic, **options).confidence_interval
    return float(found.low), float(found.high)


# In words.


def plot(results: study.Results) -> None:
    """AUC over the noise levels of the models that have one at all of them."""
    rows = {name: row for name, row in results.content["rows"].items() if len(row.get("auc", ())) == len(LEVELS) + 1}
    curves = {name.removeprefix("attack "): row["auc"][:-1] for name, row in rows.items()}
    axes = {"x_label": "noise level sigma / alpha", "y_label": "AUC", "x_scale": "log", "y_scale": "linear"}
    if curves:
        pictures.plot_curves(results.picture("auc"), LEVELS, curves, **axes)


def verdict(row: study.Figures | None) -> str:
    """What an attack finds by all noise levels together, from its interval."""
    if not row:
        return "not measured yet"
    low, high = row["low"][-1], row["high"][-1]
    return "above chance" if low > 0.5 else "below chance" if high < 0.5 else "no better than chance"


def answer(rows: dict[str, study.Figures]) -> str:
    """The answer to the study's question, a sentence for each model, computed from the figures."""
    sentences = []
    for name, title in TITLES.items():
        compared, attacked = rows.get(f"copies {name}"), rows.get(f"attack {name}")
        if compared and attacked:
            found = f"{100 * compared['copies']:.1f} % copies" if compared["copies"] else "no copies"
            sentences.append(f"{title}: {found}; the attack is {verdict(attacked)}, AUC {score(attacked)}.")
        else:
            sentences.append(f"{title}: not measured yet.")
    return " ".join(sentences)


def score(row: study.Figures, i: int = -1) -> str:
    """The AUC of a level, with its interval, as text."""
    return f"{row['auc'][i]:.3f} ({row['low'][i]:.3f} to {row['high'][i]:.3f})"


def score_at(row: study.Figures | None, level: float | str) -> str:
    """The AUC at a noise level, or by "all", as text; "–" if it was not attacked there."""
    return score(row, row["levels"].index(level)) if row and level in row["levels"] else "–"


if __name__ == "__main__":
    study.main(run, __doc__)
