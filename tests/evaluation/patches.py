"""A small colour data set that needs no download: a spot in one of four colours, on a ground of noise."""

import numpy as np

COLOURS = np.array([(250, 20, 20), (20, 250, 20), (20, 20, 250), (250, 250, 20)], "uint8")


def patches(n, *, seed, side=(10, 12)):
    """Images uint8 (n, *side, 3) and labels int32 (n,), class after class."""
    labels = np.arange(n, dtype="int32") % len(COLOURS)
    random = np.random.default_rng(seed)
    images = random.integers(0, 90, (n, *side, 3), dtype="uint8")
    for image, label, (top, left) in zip(images, labels, random.integers(1, 5, (n, 2)), strict=True):
        image[top : top + 4, left : left + 4] = COLOURS[label]
    return images, labels


def write_patches(path, *, seed=0, **settings):
    """An .npz file with 300 training and 120 test images; returns its path."""
    (x_train, y_train), (x_test, y_test) = (patches(n, seed=seed + n, **settings) for n in (300, 120))
    np.savez(path, x_train=x_train, y_train=y_train, x_test=x_test, y_test=y_test)
    return path
