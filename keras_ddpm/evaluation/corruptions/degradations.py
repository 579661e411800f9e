"""Ways to spoil a digit, as pure functions of arrays.

A metric is only worth its answer on images that are known to be bad. Each function takes clean digits and a generator
and returns spoilt ones of the same shape; severities start where a person sees the damage.

    y = degrade(x, rng)               x, y: uint8 (N, H, W, 1)
    y = degrade(x, others, rng)       `others` are images of another digit, see `partners`

`diffuse` is the forward process of denoising diffusion, x_t = sqrt(a) x_0 + sqrt(1 - a) eps, at a given a = alpha_bar.

Reference:
    Ho, Jain and Abbeel, "Denoising Diffusion Probabilistic Models", arXiv 2006.11239, equation 4 (`diffuse`).
"""

import numpy as np
from scipy import ndimage


def to_uint8(values):
    """Rounds and clips values in [0, 255] units.

    Args:
        values: float array in units of grey levels, any shape; may overshoot.

    Returns:
        uint8 array of the same shape.
    """
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def partners(labels, rng):
    """Draws, for each image, another image whose digit differs.

    Args:
        labels: int array (N,), at least two different values.
        rng: `numpy.random.Generator`.

    Returns:
        int array (N,) of indices with `labels[result] != labels` everywhere.

    Raises:
        ValueError: when all labels are equal.
    """
    labels = np.asarray(labels)
    order = np.argsort(labels, kind="stable")
    ranks = np.empty_like(order)
    ranks[order] = np.arange(len(labels))
    values, starts, counts = np.unique(labels[order], return_index=True, return_counts=True)
    if len(values) < 2:
        raise ValueError(f"`labels` must hold at least two different digits. Received: only {values.tolist()}")
    group = np.searchsorted(values, labels)
    # Sorted by digit, the images of other digits follow one's own group cyclically: step past it.
    steps = rng.integers(0, len(labels) - counts[group])
    return order[(starts[group] + counts[group] + steps) % len(labels)]


def blur(images, rng, *, sigma=(1.3, 3.0)):
    """Blurs each image with a Gaussian.

    Args:
        images: uint8 array (N, H, W, 1).
        rng: `numpy.random.Generator`.
        sigma: range of the standard deviation, in pixels.

    Returns:
        uint8 array (N, H, W, 1).
    """
    widths = rng.uniform(*sigma, size=len(images))
    blurred = [ndimage.gaussian_filter(x.astype("float32"), (s, s, 0)) for x, s in zip(images, widths, strict=True)]
    return to_uint8(np.reshape(blurred, images.shape))


def diffuse(images, rng, *, alpha_bar=(0.15, 0.85)):
    """Adds Gaussian noise as the forward diffusion process does.

    Args:
        images: uint8 array (N, H, W, 1).
        rng: `numpy.random.Generator`.
        alpha_bar: range of the share of signal power kept, in [0, 1].

    Returns:
        uint8 array (N, H, W, 1), x_t clipped to the visible range.
    """
    a = rng.uniform(*alpha_bar, size=(len(images), 1, 1, 1))
    x_0 = images / 127.5 - 1.0
    x_t = np.sqrt(a) * x_0 + np.sqrt(1.0 - a) * rng.standard_normal(images.shape)
    return to_uint8((x_t + 1.0) * 127.5)


def noise(images, rng):
    """Replaces each image by noise: Gaussian or uniform, fine or coarse.

    Args:
        images: uint8 array (N, H, W, 1); only its shape matters.
        rng: `numpy.random.Generator`.

    Returns:
        uint8 array (N, H, W, 1).
    """
    n, h, w, c = images.shape
    fine = rng.normal(0.0, 127.5, size=(n, h, w, c)) + rng.uniform(0, 127.5, size=(n, 1, 1, 1))
    cells = rng.uniform(0, 255, size=(n, -(-h // 2), -(-w // 2), c))
    coarse = cells.repeat(2, axis=1).repeat(2, axis=2)[:, :h, :w]
    return to_uint8(np.where(rng.random((n, 1, 1, 1)) < 0.7, fine, coarse))


def salt_and_pepper(images, rng, *, share=(0.05, 0.3)):
    """Turns a share of the pixels black or white.

    Args:
        images: uint8 array (N, H, W, 1).
        rng: `numpy.random.Generator`.
        share: range of the share of pixels hit, in [0, 1].

    Returns:
        uint8 array (N, H, W, 1).
    """
    hit = rng.random(images.shape) < rng.uniform(*share, size=(len(images), 1, 1, 1))
    grains = np.where(rng.random(images.shape) < 0.5, 0, 255)
    return np.where(hit, grains, images).astype(np.uint8)


def blobs(images, rng, *, smoothness=(1.5, 3.5)):
    """Replaces each image by soft grey blobs in the middle, as an untrained generator draws them.

    Args:
        images: uint8 array (N, H, W, 1); only its shape matters.
        rng: `numpy.random.Generator`.
        smoothness: range of the blobs' scale, in pixels.

    Returns:
        uint8 array (N, H, W, 1).
    """
    n, h, w, _ = images.shape
    y, x = np.mgrid[:h, :w]
    window = np.exp(-(((y - h / 2 + 0.5) / (0.3 * h)) ** 4) - ((x - w / 2 + 0.5) / (0.3 * w)) ** 4)
    result = np.empty((n, h, w))
    for i, sigma in enumerate(rng.uniform(*smoothness, size=n)):
        field = ndimage.gaussian_filter(rng.standard_normal((h, w)), sigma)
        field = (field / field.std() - rng.uniform(0.0, 1.0)) * window
        result[i] = 255.0 * np.maximum(field, 0.0) / field.max() * rng.uniform(0.4, 1.3)
    return to_uint8(result[..., None])


def cross_fade(images, others, rng, *, share=(0.35, 0.65)):
    """Lays two different digits over each other.

    Args:
        images: uint8 array (N, H, W, 1).
        others: uint8 array (N, H, W, 1), images of other digits.
        rng: `numpy.random.Generator`.
        share: range of the weight of `others`.

    Returns:
        uint8 array (N, H, W, 1).
    """
    s = rng.uniform(*share, size=(len(images), 1, 1, 1))
    return to_uint8((1.0 - s) * images + s * others)


def splice(images, others, rng):
    """Joins a part of one digit to the other part of another, across or down the middle.

    Args:
        images: uint8 array (N, H, W, 1).
        others: uint8 array (N, H, W, 1), images of other digits.
        rng: `numpy.random.Generator`.

    Returns:
        uint8 array (N, H, W, 1).
    """
    n, h, w, _ = images.shape
    cut = rng.uniform(0.4, 0.6, size=(n, 1, 1, 1))
    rows = (np.arange(h) / h)[None, :, None, None] < cut
    columns = (np.arange(w) / w)[None, None, :, None] < cut
    return np.where(np.where(rng.random((n, 1, 1, 1)) < 0.6, rows, columns), images, others)


def shuffle_cells(images, rng, *, cells=4):
    """Cuts each image into a grid of cells and shuffles them.

    Args:
        images: uint8 array (N, H, W, 1), H and W multiples of `cells`.
        rng: `numpy.random.Generator`.
        cells: cells along a side.

    Returns:
        uint8 array (N, H, W, 1).
    """
    n, h, w, c = images.shape
    grid = images.reshape(n, cells, h // cells, cells, w // cells, c).swapaxes(2, 3)
    grid = grid.reshape(n, cells * cells, h // cells, w // cells, c)  # (N, cells^2, h, w, 1)
    order = rng.permuted(np.tile(np.arange(cells * cells), (n, 1)), axis=1)
    grid = np.take_along_axis(grid, order[:, :, None, None, None], axis=1)
    return grid.reshape(n, cells, cells, h // cells, w // cells, c).swapaxes(2, 3).reshape(n, h, w, c)


def erase_bands(images, rng, *, width=(5, 9)):
    """Erases a band across or down the middle of each image.

    Args:
        images: uint8 array (N, H, W, 1).
        rng: `numpy.random.Generator`.
        width: range of the band's width, in pixels, both ends included.

    Returns:
        uint8 array (N, H, W, 1).
    """
    n, h, w, _ = images.shape
    size = rng.integers(width[0], width[1] + 1, size=(n, 1, 1, 1))
    start = rng.integers(h // 4, 3 * h // 4, size=(n, 1, 1, 1)) - size // 2
    rows, columns = np.arange(h)[None, :, None, None], np.arange(w)[None, None, :, None]
    place = np.where(rng.random((n, 1, 1, 1)) < 0.7, rows + 0 * columns, columns + 0 * rows)
    return np.where((place >= start) & (place < start + size), 0, images).astype(np.uint8)
