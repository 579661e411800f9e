"""A generator that costs nothing: bars whose place tells the digit, with a grey level that tells the seed."""

import numpy as np


def draw(digits, w, seeds):
    images = np.zeros((len(digits), 28, 28, 1), "uint8")
    images[:] = (seeds % 60)[:, None, None, None]
    for image, digit in zip(images, digits):
        image[4:24, 2 * digit + 3 : 2 * digit + 6] = 250
    return images


def contents(folder):
    """The bytes of all files below a folder, by path."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
