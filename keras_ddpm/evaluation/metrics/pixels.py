"""The simplest look at images: brightness, and how much is neither ink nor paper.

An MNIST digit is about 80 % black (below 10), 5 to 10 % white (245 and above), and edges otherwise. A grey background
shows as too little black, saturation under strong guidance as too much white, blur as too much in between.
"""

from collections.abc import Iterator

import numpy as np

from keras_ddpm.evaluation.arrays import DIGITS, Kind, check_images, check_labels


def pixels(images: np.ndarray, labels: np.ndarray, *, kind: Kind = DIGITS) -> Iterator[tuple[str, float]]:
    """Yields brightness, contrast, and the shares of black, white and grey pixels.

    Args:
        images: uint8, (N, H, W, C). Of a colour image each channel counts on its own.
        labels: int, (N,). Checked, but not used.
        kind: What the images are.

    Returns:
        Iterator of `("pixel_mean", m)` and `("pixel_std", s)` in [0, 1], `("black", share)`, `("white", share)`,
        `("grey", share)`.

    Raises:
        ValueError: if images or labels are not as described.
    """
    check_images(images, kind=kind)
    check_labels(labels, images, kind=kind)
    black, white = float((images < 10).mean()), float((images >= 245).mean())
    yield "pixel_mean", float(images.mean() / 255)
    yield "pixel_std", float(images.std() / 255)
    yield "black", black
    yield "white", white
    yield "grey", 1.0 - black - white
