"""Ways to degrade a digit, as pure functions of arrays. The digit CLIP was trained on all but `salt_and_pepper`.

A metric should be tested on images that are known to be bad. Each function takes clean digits and a random generator
and returns degraded ones of the same shape; the severities start where a person notices the damage.

    y = degrade(x, rng)               x, y: uint8 (N, H, W, 1)
    y = degrade(x, others, rng)       `others` are images of another digit, see `partners`

`diffuse` is the forward process of denoising diffusion, x_t = sqrt(a) x_0 + sqrt(1 - a) eps, at a given a = alpha_bar.

Reference:
    Ho, Jain and Abbeel, "Denoising Diffusion Probabilistic Models", arXiv 2006.11239, equation 4 (`diffuse`).
"""

import numpy as np
from scipy import ndimage


def grey_levels(values: np.ndarray) -> np.ndarray:
    """Rounds grey levels and clips them to 0..255.

    Args:
        values: float array of any shape.

    Returns:
        uint8 array of the same shape.
    """
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def partners(labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """For each image, a random image of another digit.

    Args:
        labels: int array (N,), at least two different values.
        rng: `numpy.random.Generator`.

    Returns:
        Indices, int array (N,); `labels[result] != labels` everywhere.

    Raises:
        ValueError: if all labels are equal.
    """
    labels = np.asarray(labels)
    order = np.argsort(labels, kind="stable")
    ranks = np.empty_like(order)
    ranks[order] = np.arange(len(labels))
    values, starts, counts = np.unique(labels[order], return_index=True, return_counts=True)
    if len(values) < 2:
        raise ValueError(f"`labels` must hold at least two different digits. Received: only {values.tolist()}")
    group = np.searchsorted(values, labels)
    # Sorted by digit, the other digits follow an image's own group cyclically: skip that group.
    steps = rng.integers(0, len(labels) - counts[group])
    return order[(starts[group] + counts[group] + steps) % len(labels)]


def blur(images: np.ndarray, rng: np.random.Generator, *, sigma: tuple[float, float] = (1.3, 3.0)) -> np.ndarray:
    """Blurs each image with a Gaussian.

    Args:
        images: uint8 array (N, H, W, 1).
        rng: `numpy.random.Generator`.
        sigma: Range of the standard deviation, in pixels.

    Returns:
        uint8 array (N, H, W, 1).
    """
    widths = rng.uniform(*sigma, size=len(images))
    blurred = [ndimage.gaussian_filter(x.astype("float32"), (s, s, 0)) for x, s in zip(images, widths, strict=True)]
    return grey_levels(np.reshape(blurred, images.shape))


def diffuse(
    images: np.ndarray, rng: np.random.Generator, *, alpha_bar: tuple[float, float] = (0.15, 0.85)
) -> np.ndarray:
    """Adds Gaussian noise as the forward diffusion process does.

    Args:
        images: uint8 array (N, H, W, 1).
        rng: `numpy.random.Generator`.
        alpha_bar: Range of the share of signal power that remains, in [0, 1].

    Returns:
        uint8 array (N, H, W, 1), x_t clipped to [-1, 1].
    """
    a = rng.uniform(*alpha_bar, size=(len(images), 1, 1, 1))
    x_0 = images / 127.5 - 1.0
    x_t = np.sqrt(a) * x_0 + np.sqrt(1.0 - a) * rng.standard_normal(images.shape)
    return grey_levels((x_t + 1.0) * 127.5)


def noise(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
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
    return grey_levels(np.where(rng.random((n, 1, 1, 1)) < 0.7, fine, coarse))


def salt_and_pepper(
    images: np.ndarray, rng: np.random.Generator, *, share: tuple[float, float] = (0.05, 0.3)
) -> np.ndarray:
    """Turns a share of the pixels black or white.

    Args:
        images: uint8 array (N, H, W, 1).
        rng: `numpy.random.Generator`.
        share: Range of the share of pixels changed, in [0, 1].

    Returns:
        uint8 array (N, H, W, 1).
    """
    hit = rng.random(images.shape) < rng.uniform(*share, size=(len(images), 1, 1, 1))
    grains = np.where(rng.random(images.shape) < 0.5, 0, 255)
    return np.where(hit, grains, images).astype(np.uint8)


def blobs(images: np.ndarray, rng: np.random.Generator, *, smoothness: tuple[float, float] = (1.5, 3.5)) -> np.ndarray:
    """Replaces each image by soft grey blobs in the middle, as an untrained generator draws.

    Args:
        images: uint8 array (N, H, W, 1); only its shape matters.
        rng: `numpy.random.Generator`.
        smoothness: Range of the blobs' scale, in pixels.

    Returns:
        uint8 array (N, H, W, 1).
    """
    n, h, w, _ = images.shape
    y, x = np.mgrid[:h, :w]
    window = np.exp(-(((y - h / 2 + 0.5) / (0.3 * h)) ** 4) - ((x - w / 2 + 0.5) / (0.3 * w)) ** 4)
    result = np.empty((n, h, w))
    sigma = np.asarray(rng.uniform(*smoothness, size=n))
    for i in range(n):
        field = ndimage.gaussian_filter(rng.standard_normal((h, w)), sigma[i])
        field = (field / field.std() - rng.uniform(0.0, 1.0)) * window
        result[i] = 255.0 * np.maximum(field, 0.0) / field.max() * rng.uniform(0.4, 1.3)
    return grey_levels(result[..., None])


def cross_fade(
    images: np.ndarray, others: np.ndarray, rng: np.random.Generator, *, share: tuple[float, float] = (0.35, 0.65)
) -> np.ndarray:
    """Blends two different digits.

    Args:
        images: uint8 array (N, H, W, 1).
        others: uint8 array (N, H, W, 1), images of other digits.
        rng: `numpy.random.Generator`.
        share: Range of the weight of `others`.

    Returns:
        uint8 array (N, H, W, 1).
    """
    s = rng.uniform(*share, size=(len(images), 1, 1, 1))
    return grey_levels((1.0 - s) * images + s * others)


def splice(images: np.ndarray, others: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Joins part of one digit to part of another, cut horizontally or vertically near the middle.

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


def shuffle_cells(images: np.ndarray, rng: np.random.Generator, *, cells: int = 4) -> np.ndarray:
    """Cuts each image into a grid of cells and shuffles them.

    Args:
        images: uint8 array (N, H, W, 1), H and W multiples of `cells`.
        rng: `numpy.random.Generator`.
        cells: Cells along each side.

    Returns:
        uint8 array (N, H, W, 1).
    """
    n, h, w, c = images.shape
    grid = images.reshape(n, cells, h // cells, cells, w // cells, c).swapaxes(2, 3)
    grid = grid.reshape(n, cells * cells, h // cells, w // cells, c)  # (N, cells^2, h, w, 1)
    order = rng.permuted(np.tile(np.arange(cells * cells), (n, 1)), axis=1)
    grid = np.take_along_axis(grid, order[:, :, None, None, None], axis=1)
    return grid.reshape(n, cells, cells, h // cells, w // cells, c).swapaxes(2, 3).reshape(n, h, w, c)


def erase_bands(images: np.ndarray, rng: np.random.Generator, *, width: tuple[int, int] = (5, 9)) -> np.ndarray:
    """Erases a horizontal or vertical band near the middle of each image.

    Args:
        images: uint8 array (N, H, W, 1).
        rng: `numpy.random.Generator`.
        width: Range of the band's width, in pixels, both ends included.

    Returns:
        uint8 array (N, H, W, 1).
    """
    n, h, w, _ = images.shape
    size = rng.integers(width[0], width[1] + 1, size=(n, 1, 1, 1))
    start = rng.integers(h // 4, 3 * h // 4, size=(n, 1, 1, 1)) - size // 2
    rows, columns = np.arange(h)[None, :, None, None], np.arange(w)[None, None, :, None]
    place = np.where(rng.random((n, 1, 1, 1)) < 0.7, rows + 0 * columns, columns + 0 * rows)
    return np.where((place >= start) & (place < start + size), 0, images).astype(np.uint8)
