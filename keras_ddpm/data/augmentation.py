"""Small affine distortions for training: rotation, scale, shift, drawn anew for every image.

An output pixel (x, y) takes its value from the input at A (x, y) + b, so a row of eight numbers
(a_0, a_1, a_2, b_0, b_1, b_2, 0, 0) describes one image's distortion, bilinear between pixels and zero outside.
"""

import keras
import numpy as np


def draw_affine(rng, count, *, degrees=12.0, zoom=0.1, shift=2.0, centre=13.5) -> np.ndarray:
    """Draws rotation, zoom and shift about the centre.

    Args:
        rng: A `numpy.random.Generator`.
        count: How many.
        degrees: Largest rotation.
        zoom: Largest relative change of size.
        shift: Largest shift in pixels.
        centre: Coordinate of the centre pixel, both axes.

    Returns:
        float32, (count, 8).
    """
    angle = np.deg2rad(rng.uniform(-degrees, degrees, count))
    scale = rng.uniform(1 - zoom, 1 + zoom, count)
    dx, dy = rng.uniform(-shift, shift, (2, count))
    cos, sin = scale * np.cos(angle), scale * np.sin(angle)
    b_x = centre + dx - cos * centre + sin * centre
    b_y = centre + dy - sin * centre - cos * centre
    zero = np.zeros(count)
    return np.stack([cos, -sin, b_x, sin, cos, b_y, zero, zero], axis=1).astype("float32")


def distort(images: np.ndarray, rng) -> np.ndarray:
    """Distorts every image a little, differently.

    Args:
        images: uint8 or float, (N, 28, 28, 1).
        rng: A `numpy.random.Generator`.

    Returns:
        float32, (N, 28, 28, 1), in the images' range.
    """
    transforms = draw_affine(rng, len(images))
    out = keras.ops.image.affine_transform(images.astype("float32"), transforms, data_format="channels_last")
    return keras.ops.convert_to_numpy(out)


AUGMENTATIONS = {"none": None, "distort": distort}
