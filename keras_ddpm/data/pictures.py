"""Pictures for people: grids of images and curves as PNG, films as GIF; and pictures of people's, read."""

import math

import numpy as np

from keras_ddpm.saving import files
from keras_ddpm.saving.files import check_writable as check_writable
from keras_ddpm.types import Tensor


def grid(images: np.ndarray, *, columns: int, scale=1, gap=2) -> np.ndarray:
    """Images side by side, row after row.

    Args:
        images: uint8 (N, H, W, C), C = 1 or 3.
        columns: Images in a row.
        scale: Each pixel becomes scale x scale pixels.
        gap: White pixels between images.

    Returns:
        uint8 (rows, width) for grey images, (rows, width, 3) for colour.
    """
    N, H, W, C = images.shape
    rows = math.ceil(N / columns)
    H, W = H * scale, W * scale
    page = np.full((rows * (H + gap) - gap, columns * (W + gap) - gap, C), 255, dtype="uint8")
    for i, image in enumerate(images):
        top, left = i // columns * (H + gap), i % columns * (W + gap)
        page[top : top + H, left : left + W] = image.repeat(scale, axis=0).repeat(scale, axis=1)
    return page[..., 0] if C == 1 else page


def write_png(path, image) -> None:
    """Write one image atomically.

    Args:
        path: File to write.
        image: uint8 (H, W) or (H, W, 3).
    """
    from PIL import Image

    with files.atomic(path) as partial:
        Image.fromarray(image).save(partial, format="PNG")


def write_gif(path, frames: np.ndarray, *, milliseconds: int = 80, hold: int = 1500) -> None:
    """Write a film atomically, which starts again at its end.

    Args:
        path: File to write.
        frames: uint8 (N, H, W), or (N, H, W, 3), whose colours are brought down to 256 in each frame.
        milliseconds: How long to show a frame.
        hold: How long to show the last one.
    """
    from PIL import Image

    first, *rest = [Image.fromarray(frame) for frame in frames]
    durations = [milliseconds] * len(rest) + [hold]
    with files.atomic(path) as partial:
        settings = {"duration": durations, "loop": 0, "optimize": False}  # optimised, grey levels would be merged
        first.save(partial, format="GIF", save_all=True, append_images=rest, **settings)


def read_image(path, *, channels: int) -> np.ndarray:
    """Read a picture.

    Args:
        path: File in any format that Pillow reads.
        channels: 1 for its grey levels, 3 for its colours.

    Returns:
        uint8 (H, W) or (H, W, 3).

    Raises:
        OSError: if there is no such file, or no picture in it.
        ValueError: if it has more than 256 grey levels.
    """
    from PIL import Image

    with Image.open(path) as image:
        if image.mode[0] in "IF":
            raise ValueError(f"{str(path)!r} must have 8 bits a pixel. Received: mode {image.mode!r}")
        return np.asarray(image.convert("L" if channels == 1 else "RGB"))


def write_npz(path, **arrays) -> None:
    """Write arrays atomically.

    Args:
        path: File to write.
        **arrays: NumPy arrays by name.
    """
    with files.atomic(path) as partial:
        np.savez_compressed(partial, **arrays)


def plot_curves(path, x: Tensor, curves, *, x_label, y_label, x_scale="linear", y_scale="log") -> None:
    """Plot named curves over one axis, as PNG.

    Args:
        path: File to write.
        x: (N,).
        curves: dict of name -> (N,); "val_name" is dashed, in the colour of "name".
        x_label, y_label: Names of the axes.
        x_scale, y_scale: Matplotlib's names of their scales.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.subplots()
    colours = {name: f"C{i}" for i, name in enumerate(n for n in curves if not n.startswith("val_"))}
    for name, y in curves.items():
        colour = colours.get(name.removeprefix("val_"), "black")
        axes.plot(x, y, label=name, color=colour, linestyle="--" if name.startswith("val_") else "-")
    axes.set(xlabel=x_label, ylabel=y_label, xscale=x_scale, yscale=y_scale)
    axes.grid(alpha=0.3)
    axes.legend(ncols=2, fontsize="small")
    with files.atomic(path) as partial:
        figure.savefig(partial, dpi=120)
