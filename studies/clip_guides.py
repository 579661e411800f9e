"""CLIP as a guide, as a judge of candidates and as a teacher: do the images that please it look better to others?

python -m studies.clip_guides [--preset runs/mnist_fast/diffusion] [--quick]

One model draws the same digits in a few steps: as it is; moved up the gradient of CLIP's score, from a little to far
too much; as the best of ten candidates, by CLIP or by the shipped classifier; and after a short fine-tuning. It is
tuned for as many steps by the plain loss, which shows what training on does by itself; by the plain loss with more
weight on what CLIP scores low; and by DRaFT-1, with its own weight of the score and with one that is far too high. The
model is a run of the first stage of configs/mnist_fast.py.

A guide never judges itself. All figures but those of CLIP (`photo`, `blurry`, `sharp`, `clip`) and `classifier` are of
a judge that is trained first and neither guides, chooses nor teaches. What it shares with those that do:

    architecture   `wide5x5`; the digit CLIP is a transformer, the shipped classifier a `conv3x3`
    seed           another one
    images         the first half of the training split; the others learnt from all of it, so from this half too
    test images    none of them has learnt from any, nor has the model that draws

The guides know the whole split, so the judge's half cannot be kept from them.
Fréchet distance, precision and recall compare with training images of the second half, which the judge does not know.

`clip` is what the guide climbs, the share of the captions that say that the digit is there, and sharp; `classifier` and
`judge` are the mean probabilities of the digit. A gap is how much more the images gain over real ones by the guide than
by the judge: `gap_of_clip` = (clip - clip of real images) - (judge - judge of real images).
"""

import dataclasses
import functools
import pathlib
import time
from typing import Any

import numpy as np

from keras_ddpm import presets, rejection
from keras_ddpm.config import Config, TrainingConfig
from keras_ddpm.evaluation.judges import folder as judge_folder
from keras_ddpm.evaluation.judges.classifier import load_classifier
from keras_ddpm.evaluation.judges.memoize import memoize
from keras_ddpm.evaluation.judges.train_judge import train_judge
from keras_ddpm.evaluation.metrics import bind
from studies import study, trainings
from studies.study import Options

N, STEPS, CANDIDATES = 1000, 5, 10
SCALES = (1.0, 10.0, 30.0, 100.0)
"""Scales of the guide, of which 1 is Bayes' rule and the last is too high."""
CHOOSERS = ("clip", "classifier")
TUNINGS: dict[str, dict[str, Any]] = {
    "plain": {"objective": "diffusion"},
    "clip_weighted": {"objective": "clip_weighted"},
    "draft": {"objective": "draft"},
    "draft_too_high": {"objective": "draft", "reward_weight": 1.0},
}
"""Name -> what differs in the training."""
TRAINING = TrainingConfig(
    epochs=1,
    learning_rate=3e-4,
    warmup_steps=20,
    weight_decay=0.0,
    ema_decay=0.99,
    reward_steps=STEPS,
    precision="float32",
    grid_every=0,
)
TUNED_IMAGES, HELD_OUT = 6_400, 1_000  # 50 steps
ARCH, SEED, EPOCHS = "wide5x5", 1, 4  # of the judge


class Judge(study.Judge):
    """The independent judge, and beside it those that guide and choose.

    Args:
        options: `Options`.
        n: Number of images.
    """

    def __init__(self, options: Options, n: int):
        super().__init__(options, n)
        half = len(self.train[0]) // 2
        neutral = load_classifier(independent(options, half))
        self.classifier, self.notes = memoize(neutral), neutral.notes
        reference = (self.train[0][half : half + n], self.train[1][half : half + n])
        self.metrics = bind(reference=reference, training=self.train[0], classifier=self.classifier)
        self.of_real = self.liked(self.test[0][:n])

    def liked(self, images: np.ndarray) -> dict[str, float]:
        """How likely each of CLIP, the shipped classifier and the judge thinks the digits: the mean over the images."""
        rows = np.arange(self.n)
        scores = {name: rejection.JUDGES[name](images, self.labels) for name in CHOOSERS}
        scores["judge"] = self.classifier(images)[0][rows, self.labels]
        return {name: float(np.mean(values)) for name, values in scores.items()}

    def figures(self, images: np.ndarray) -> study.Figures:
        """The judge's figures, what the others say, and the gaps between them and the judge."""
        found = self.liked(images)
        gains = {name: value - self.of_real[name] for name, value in found.items()}
        gaps = {f"gap_of_{name}": gains[name] - gains["judge"] for name in CHOOSERS}
        return {**super().figures(images), **found, **gaps}


def independent(options: Options, half: int) -> pathlib.Path:
    """The folder of the judge, which learns from the first half of the training split if it is not there yet.

    Raises:
        ValueError: if the folder holds another judge.
    """
    folder = options.trainings / "clip_guides_judge"
    images, epochs = (640, 1) if options.quick else (half, EPOCHS)
    wanted = {"arch": ARCH, "seed": SEED, "epochs": epochs, "images": images}
    if not (folder / judge_folder.NOTES).is_file():
        train_judge(options.dataset, folder, arch=ARCH, seed=SEED, epochs=epochs, train_images=images)
    notes = judge_folder.read_notes(folder)
    if any(notes[name] != value for name, value in wanted.items()):
        raise ValueError(f"{folder} holds another judge than {wanted}. Move it away, or choose another --runs")
    return folder


def run(options: Options) -> None:
    judge = Judge(options, options.count(N))
    settings = {"steps": STEPS, "candidates": CANDIDATES, "scales": SCALES, "tuned_images": TUNED_IMAGES}
    settings |= {"judge": {"arch": ARCH, "seed": SEED, "epochs": EPOCHS}, **options.model()}
    settings |= {"training": dataclasses.asdict(TRAINING), "tunings": TUNINGS}
    results = study.Results("clip_guides", options, n=judge.n, **settings)
    results.note("judge", judge.notes)  # its accuracy, and what it has learnt from
    results.row("real", judge.real)
    for seed in options.seeds():
        guided(results, judge, seed, options)
        chosen(results, judge, seed, options)
        for name in ("draft",) if options.quick else TUNINGS:
            results.row(f"tuned {name} seed={seed}", after_tuning, results, judge, name, seed, options)


def guided(results: study.Results, judge: Judge, seed: int, options: Options) -> None:
    """The rows of one seed without a guide, and with it at each scale."""

    def drawn(name, **guide):
        images, seconds = draw(options.preset, judge.labels, seeds_of(judge, seed), options, **guide)
        return described(results, judge, images, seconds, name, seed)

    results.row(f"no guide seed={seed}", drawn, "no_guide")
    for scale in SCALES[-1:] if options.quick else SCALES:
        work = functools.partial(drawn, f"guide_{scale:g}", guide="clip", guide_scale=scale)
        results.row(f"guide scale={scale:g} seed={seed}", work)


def chosen(results: study.Results, judge: Judge, seed: int, options: Options) -> None:
    """The rows of one seed of the best candidates, which are drawn once for all who choose."""
    K = 3 if options.quick else CANDIDATES

    @functools.cache
    def candidates():
        seeds = rejection.candidates(seeds_of(judge, seed), K)  # (n, K)
        images, seconds = draw(options.preset, np.repeat(judge.labels, K), seeds.reshape(-1), options)
        return images.reshape(judge.n, K, *images.shape[1:]), seconds

    def best(chooser):
        images, seconds = candidates()
        start = time.perf_counter()
        places = rejection.best(images, judge.labels, chooser)
        seconds += time.perf_counter() - start
        return described(results, judge, images[np.arange(judge.n), places], seconds, f"best_by_{chooser}", seed)

    for chooser in CHOOSERS:
        results.row(f"best of {K} by {chooser} seed={seed}", best, chooser)


def after_tuning(results: study.Results, judge: Judge, name: str, seed: int, options: Options) -> study.Figures | None:
    """Figures of what a tuned model draws; None if it is not tuned and may not be."""
    settings = tuning(name, seed, options)
    folder = trainings.train(settings, options.trainings / settings.name, options)
    if folder is None:
        return None
    images, seconds = draw(folder, judge.labels, seeds_of(judge, seed), options)
    return described(results, judge, images, seconds, f"tuned_{name}", seed)


def tuning(name: str, seed: int, options: Options) -> Config:
    """The configuration of a fine-tuning.

    Args:
        name: Key of `TUNINGS`.
        seed: Seed of the training.
        options: `Options`.
    """
    base = presets.read_config(options.preset)[0]
    size = {"train_images": 256, "validation_images": 100} if options.quick else {}
    data = {"dataset": options.dataset, "train_images": TUNED_IMAGES, "validation_images": HELD_OUT} | size
    training = dataclasses.replace(TRAINING, init=options.preset, seed=seed, **TUNINGS[name])
    return dataclasses.replace(
        base,
        name=f"clip_guides_{name}_seed{seed}",
        data=dataclasses.replace(base.data, **data),
        training=training,
    )


def seeds_of(judge: Judge, seed: int) -> np.ndarray:
    """The seeds (n,) of a row's images."""
    return seed * judge.n + np.arange(judge.n)


def draw(folder: Any, labels: np.ndarray, seeds: np.ndarray, options: Options, **guide) -> tuple[np.ndarray, float]:
    """Images uint8 (N, H, W, C) by the model's own sampler and w, in few steps, and the seconds they took."""
    generator, w = presets.load_preset(folder, steps=STEPS, **guide), options.sampling().w
    for few in (1, 2):  # compiles for one, and for any number
        generator.images(labels[:few], w, seeds[:few])
    start = time.perf_counter()
    images = generator.images(labels, w, seeds)
    return images, time.perf_counter() - start


def described(
    results: study.Results, judge: Judge, images: np.ndarray, seconds: float, picture: str, seed: int
) -> study.Figures:
    """The figures of a row; the pictures are of the first seed."""
    if seed == 0:
        study.grid(results.picture(picture), images, judge.labels)
    return {**judge.figures(images), "seconds": seconds}


if __name__ == "__main__":
    study.main(run, __doc__, study.ThinOptions)
