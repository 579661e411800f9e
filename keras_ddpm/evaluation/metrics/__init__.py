"""The metrics. Each is a function of images and labels that yields pairs of a name and a value.

Whatever else a metric needs (real images to compare with, the training set, a classifier) it takes by keyword. `bind`
fills these in, once for all of them.
"""

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from keras_ddpm.evaluation.arrays import DIGITS, Kind
from keras_ddpm.evaluation.judges.classifier import Classifier, load_classifier
from keras_ddpm.evaluation.judges.memoize import memoize
from keras_ddpm.evaluation.metrics.accuracy import accuracy
from keras_ddpm.evaluation.metrics.diversity import diversity
from keras_ddpm.evaluation.metrics.frechet import distances
from keras_ddpm.evaluation.metrics.manifold import manifold
from keras_ddpm.evaluation.metrics.memorisation import memorisation, memorisation_in_pixels
from keras_ddpm.evaluation.metrics.pixels import pixels

Metric = Callable[[np.ndarray, np.ndarray], Iterator[tuple[str, float]]]
Pair = tuple[np.ndarray, np.ndarray]


def bind(
    *,
    reference: Pair,
    training: np.ndarray,
    classifier: Classifier | None = None,
    search=None,
    kind: Kind = DIGITS,
) -> dict:
    """Returns every inexpensive metric as a function of images and labels alone.

    Args:
        reference: `(images, labels)`, real, as many as will be judged: what the distances compare with.
        training: uint8, (M, H, W, C), the images the generator was trained on.
        classifier: Function from images to (probabilities, features); the shipped classifier if None. Metrics share
            its results.
        search: Function from images to their two nearest training images, see `memorisation_in_pixels`; None makes it.
        kind: What the images are.

    Returns:
        dict from a group's name to its `Metric`.

    Example:
        >>> metrics = bind(reference=(x, y), training=x_train)
        >>> dict(metrics["accuracy"](images, labels))
    """
    classifier = memoize(classifier or load_classifier())
    judged: dict = {"classifier": classifier, "kind": kind}
    return {
        "accuracy": partial(accuracy, **judged),
        "distances": partial(distances, reference=reference, **judged),
        "manifold": partial(manifold, reference=reference, **judged),
        "diversity": partial(diversity, **judged),
        "memorisation": partial(memorisation, training=training, **judged),
        "memorisation_in_pixels": partial(memorisation_in_pixels, training=training, search=search, kind=kind),
        "pixels": partial(pixels, kind=kind),
    }
