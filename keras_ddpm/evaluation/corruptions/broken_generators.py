"""Generators that are broken on purpose, each in one way, to test metrics on.

Each is a function from real images and labels to as many bad ones; `rng` makes the random choices. A metric that cannot
tell these from real test images should not judge a model.
"""

import numpy as np
from scipy import ndimage

from keras_ddpm.evaluation.corruptions.degradations import grey_levels

Pair = tuple[np.ndarray, np.ndarray]


def blobs(images: np.ndarray, labels: np.ndarray, *, rng: np.random.Generator) -> Pair:
    """Each digit as a blurred blob of about its own shape: what the original report's network drew."""
    del rng
    soft = ndimage.gaussian_filter(images.astype("float32"), (0, 3, 3, 0))
    return _stretch(soft), labels


def blurred(images: np.ndarray, labels: np.ndarray, *, rng: np.random.Generator) -> Pair:
    """Readable, but without edges."""
    del rng
    return _stretch(ndimage.gaussian_filter(images.astype("float32"), (0, 1.2, 1.2, 0))), labels


def noise(images: np.ndarray, labels: np.ndarray, *, rng: np.random.Generator) -> Pair:
    """Uniform noise."""
    return rng.integers(0, 256, images.shape, dtype="uint8"), labels


def grey_background(images: np.ndarray, labels: np.ndarray, *, rng: np.random.Generator) -> Pair:
    """Correct digits on a grey, slightly noisy background, as from a schedule that does not end in N(0, I)."""
    grey = 90 + images.astype("float32") * 165 / 255 + rng.normal(0, 12, images.shape)
    return grey_levels(grey), labels


def cross_fades(images: np.ndarray, labels: np.ndarray, *, rng: np.random.Generator) -> Pair:
    """The mean of two digits of different classes, labelled as the first."""
    partner = _other_digit(labels, rng)
    return grey_levels((images.astype("float32") + images[partner]) / 2), labels


def one_image(images: np.ndarray, labels: np.ndarray, *, rng: np.random.Generator) -> Pair:
    """The same image every time."""
    return np.repeat(images[rng.integers(len(images))][None], len(images), axis=0), labels


def one_image_a_digit(images: np.ndarray, labels: np.ndarray, *, rng: np.random.Generator) -> Pair:
    """Mode collapse within the classes: one correct image per digit."""
    del rng
    first = {digit: np.flatnonzero(labels == digit)[0] for digit in np.unique(labels)}
    return images[[first[digit] for digit in labels]], labels


def ten_images_a_digit(images: np.ndarray, labels: np.ndarray, *, rng: np.random.Generator) -> Pair:
    """Milder mode collapse: ten images per digit, repeated."""
    pools = {digit: np.flatnonzero(labels == digit)[:10] for digit in np.unique(labels)}
    return images[[rng.choice(pools[digit]) for digit in labels]], labels


def wrong_labels(images: np.ndarray, labels: np.ndarray, *, rng: np.random.Generator) -> Pair:
    """Real images, each labelled as a random other digit."""
    return images, (labels + rng.integers(1, 10, len(labels)).astype(labels.dtype)) % 10


def swapped_digits(images: np.ndarray, labels: np.ndarray, *, rng: np.random.Generator) -> Pair:
    """Draws a 9 for a 4 and a 4 for a 9; everything else is correct."""
    del rng
    return images, np.where(labels == 4, 9, np.where(labels == 9, 4, labels)).astype(labels.dtype)


def missing_digit(images: np.ndarray, labels: np.ndarray, *, rng: np.random.Generator) -> Pair:
    """Draws some other digit for a 5; everything else is correct."""
    images = images.copy()
    fives = np.flatnonzero(labels == 5)
    images[fives] = images[rng.choice(np.flatnonzero(labels != 5), len(fives))]
    return images, labels


def shifted_copies(images: np.ndarray, labels: np.ndarray, *, rng: np.random.Generator) -> Pair:
    """Every image shifted right by one pixel; of training images, copies that pixel distances miss."""
    del rng
    return np.roll(images, 1, axis=2), labels


def copies(images: np.ndarray, labels: np.ndarray, *, rng: np.random.Generator) -> Pair:
    """Every image unchanged; of training images, a generator that only memorises."""
    del rng
    return images, labels


FROM_TRAINING = {"copies": copies, "shifted copies": shifted_copies}
"""Bad only if applied to images the generator was trained on."""

FROM_ANY = {
    "blobs": blobs,
    "blurred": blurred,
    "noise": noise,
    "grey ground": grey_background,
    "cross-fades": cross_fades,
    "one image": one_image,
    "one image a digit": one_image_a_digit,
    "ten images a digit": ten_images_a_digit,
    "wrong labels": wrong_labels,
    "4 and 9 swapped": swapped_digits,
    "5 missing": missing_digit,
}
"""Bad whatever real images they are applied to."""


def _stretch(values):
    """Scales each image so that its brightest pixel is white."""
    return grey_levels(values * 255 / np.maximum(values.max(axis=(1, 2, 3), keepdims=True), 1))


def _other_digit(labels, rng):
    """For each index another one with a different label, (N,)."""
    partner = rng.permutation(len(labels))
    for _ in range(100):
        same = np.flatnonzero(labels[partner] == labels)
        if not len(same):
            break
        partner[same] = rng.integers(0, len(labels), len(same))
    return partner
