"""What a metric accepts, said once: uint8 images (N, 28, 28, 1) and integer labels (N,) in 0..9."""

import numpy as np

IMAGE_SHAPE = (28, 28, 1)
NUM_CLASSES = 10


def check_images(images, *, minimum=1, name="images"):
    """Raises unless `images` are at least `minimum` uint8 images of 28 x 28 x 1.

    Args:
        images: The array to look at.
        minimum: The fewest images the metric makes sense for.
        name: What the caller calls the array.

    Raises:
        ValueError: With what was expected, what came, and what to do.
    """
    images = np.asarray(images)
    if images.ndim != 4 or images.shape[1:] != IMAGE_SHAPE:
        raise ValueError(
            f"`{name}` must have shape (N, 28, 28, 1). Received: {images.shape}. Add a channel axis with "
            f"`{name}[..., None]`, or resize."
        )
    if images.dtype != np.uint8:
        raise ValueError(f"`{name}` must be uint8 in 0..255. Received: {_describe(images)}")
    if len(images) < minimum:
        raise ValueError(f"`{name}` must hold at least {minimum} images for this metric. Received: {len(images)}")


def _describe(images):
    """Dtype and range of an array that is no uint8, and the conversion its range suggests."""
    if images.size and not np.all(np.isfinite(images)):
        return f"{images.dtype} with NaN or infinite values: the generator diverged, see the numerical health table"
    low, high = (images.min(), images.max()) if images.size else (0, 0)
    hint = "(x + 1) * 127.5" if low < 0 else "x * 255" if high <= 1 else "x"
    convert = f"np.clip(np.round({hint}), 0, 255).astype('uint8')"
    return f"{images.dtype} in [{low:.3g}, {high:.3g}]. Convert with `{convert}`"


def check_labels(labels, images, *, name="labels"):
    """Raises unless `labels` are one digit in 0..9 for each image.

    Args:
        labels: The array to look at.
        images: The images they belong to.
        name: What the caller calls the array.

    Raises:
        ValueError: With what was expected and what came.
    """
    if labels is None:
        raise ValueError(f"`{name}` are missing: this metric needs the digit each image was meant to be")
    labels = np.asarray(labels)
    if labels.shape != (len(images),) or not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(
            f"`{name}` must be integers of shape ({len(images)},), one for each image. "
            f"Received: {labels.dtype} of shape {labels.shape}"
        )
    if labels.size and not (labels.min() >= 0 and labels.max() < NUM_CLASSES):
        raise ValueError(f"`{name}` must be in 0..9. Received: {labels.min()}..{labels.max()}")
