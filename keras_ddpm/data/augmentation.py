"""Small affine distortions for training: rotation, scale, shift, drawn anew for every image.

An output pixel (x, y) takes its value from the input at A (x, y) + b, so a row of eight numbers
(a_0, a_1, a_2, b_0, b_1, b_2, 0, 0) describes one image's distortion, bilinear between pixels. Outside, a grey image is
black, as MNIST's paper is, and a colour image goes on as its edge.
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
        shift: Largest shift in pixels, both axes or (x, y).
        centre: Coordinate of the centre pixel, both axes or (x, y).

    Returns:
        float32, (count, 8).
    """
    angle = np.deg2rad(rng.uniform(-degrees, degrees, count))
    scale = rng.uniform(1 - zoom, 1 + zoom, count)
    c_x, c_y = np.broadcast_to(centre, 2)
    most = np.broadcast_to(shift, 2)[:, None]
    dx, dy = rng.uniform(-most, most, (2, count))
    cos, sin = scale * np.cos(angle), scale * np.sin(angle)
    b_x = c_x + dx - cos * c_x + sin * c_y
    b_y = c_y + dy - sin * c_x - cos * c_y
    zero = np.zeros(count)
    return np.stack([cos, -sin, b_x, sin, cos, b_y, zero, zero], axis=1).astype("float32")


def distort(images: np.ndarray, rng) -> np.ndarray:
    """Distorts every image a little, differently.

    Args:
        images: uint8 or float, (N, H, W, C).
        rng: A `numpy.random.Generator`.

    Returns:
        float32, (N, H, W, C), in the images' range.
    """
    H, W, C = images.shape[1:]
    transforms = draw_affine(rng, len(images), shift=(W / 14, H / 14), centre=((W - 1) / 2, (H - 1) / 2))
    out = keras.ops.image.affine_transform(
        images.astype("float32"),
        transforms,
        fill_mode="constant" if C == 1 else "nearest",
        data_format="channels_last",
    )
    return keras.ops.convert_to_numpy(out)


AUGMENTATIONS = {"none": None, "distort": distort}
