"""Generators that are known to be bad, each in one way, to try the instruments on.

Every one is a function from real images and labels to as many bad ones; `rng` decides what is left to chance. A metric
that cannot tell these from real test images should not be asked to judge a model.
"""

import numpy as np
from scipy import ndimage


def blobs(images, labels, *, rng):
    """Each digit as a blurred spot of its own shape and place: what the original report's network drew."""
    del rng
    soft = ndimage.gaussian_filter(images.astype("float32"), (0, 3, 3, 0))
    return _stretch(soft), labels


def blurred(images, labels, *, rng):
    """Still readable, edges lost."""
    del rng
    return _stretch(ndimage.gaussian_filter(images.astype("float32"), (0, 1.2, 1.2, 0))), labels


def noise(images, labels, *, rng):
    """Uniform noise."""
    return rng.integers(0, 256, images.shape, dtype="uint8"), labels


def grey_ground(images, labels, *, rng):
    """Right digits on a grey, slightly noisy ground: sampling from N(0, I) under a schedule that does not end there."""
    grey = 90 + images.astype("float32") * 165 / 255 + rng.normal(0, 12, images.shape)
    return _bytes(grey), labels


def cross_fades(images, labels, *, rng):
    """The mean of two digits of different classes, labelled as the first."""
    partner = _other_digit(labels, rng)
    return _bytes((images.astype("float32") + images[partner]) / 2), labels


def one_image(images, labels, *, rng):
    """The same image for everything."""
    return np.repeat(images[rng.integers(len(images))][None], len(images), axis=0), labels


def one_image_a_digit(images, labels, *, rng):
    """Mode collapse within the classes: one image for each digit, the right one."""
    del rng
    first = {digit: np.flatnonzero(labels == digit)[0] for digit in np.unique(labels)}
    return images[[first[digit] for digit in labels]], labels


def ten_images_a_digit(images, labels, *, rng):
    """Milder collapse: ten images for each digit, repeated."""
    pools = {digit: np.flatnonzero(labels == digit)[:10] for digit in np.unique(labels)}
    return images[[rng.choice(pools[digit]) for digit in labels]], labels


def wrong_labels(images, labels, *, rng):
    """Real images under another digit's label, whichever."""
    return images, (labels + rng.integers(1, 10, len(labels)).astype(labels.dtype)) % 10


def swapped_digits(images, labels, *, rng):
    """Asked for a 4 it draws a 9, asked for a 9 a 4; all else is right."""
    del rng
    return images, np.where(labels == 4, 9, np.where(labels == 9, 4, labels)).astype(labels.dtype)


def missing_digit(images, labels, *, rng):
    """Asked for a 5 it draws some other digit; all else is right."""
    images = images.copy()
    fives = np.flatnonzero(labels == 5)
    images[fives] = images[rng.choice(np.flatnonzero(labels != 5), len(fives))]
    return images, labels


def shifted_copies(images, labels, *, rng):
    """Every image moved one pixel right; given training images, copies that pixels alone miss."""
    del rng
    return np.roll(images, 1, axis=2), labels


def copies(images, labels, *, rng):
    """Every image as it is; given training images, a memory and no generator."""
    del rng
    return images, labels


FROM_TRAINING = {"copies": copies, "shifted copies": shifted_copies}
"""Bad only if they are given images the generator was trained on."""

FROM_ANY = {
    "blobs": blobs,
    "blurred": blurred,
    "noise": noise,
    "grey ground": grey_ground,
    "cross-fades": cross_fades,
    "one image": one_image,
    "one image a digit": one_image_a_digit,
    "ten images a digit": ten_images_a_digit,
    "wrong labels": wrong_labels,
    "4 and 9 swapped": swapped_digits,
    "5 missing": missing_digit,
}
"""Bad whatever real images they are given."""


def _bytes(values):
    """Rounded and clipped to uint8."""
    return np.clip(np.round(values), 0, 255).astype("uint8")


def _stretch(values):
    """Each image scaled so that its brightest pixel is white."""
    return _bytes(values * 255 / np.maximum(values.max(axis=(1, 2, 3), keepdims=True), 1))


def _other_digit(labels, rng):
    """For each index another one whose label differs, (N,)."""
    partner = rng.permutation(len(labels))
    for _ in range(100):
        same = np.flatnonzero(labels[partner] == labels)
        if not len(same):
            break
        partner[same] = rng.integers(0, len(labels), len(same))
    return partner
