"""A small data set that needs no download: bars whose place tells the digit, with some noise."""

import numpy as np


def strokes(n, *, seed):
    """Images uint8 (n, 28, 28, 1) and labels int32 (n,), digit after digit."""
    labels = np.arange(n, dtype="int32") % 10
    images = np.random.default_rng(seed).integers(0, 60, (n, 28, 28, 1), dtype="uint8")
    for image, label in zip(images, labels):
        image[4:24, 2 * label + 3 : 2 * label + 6] = 250
    return images, labels


def write_strokes(path):
    """An .npz file with 200 training and 120 test images; returns its path."""
    (x_train, y_train), (x_test, y_test) = strokes(200, seed=0), strokes(120, seed=1)
    np.savez(path, x_train=x_train, y_train=y_train, x_test=x_test, y_test=y_test)
    return path
