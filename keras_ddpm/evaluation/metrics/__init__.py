"""All the cheap metrics, ready to be called.

A metric is a function of images and labels that yields pairs of name and value; what else it needs (real images to
compare with, the training set, a classifier) it asks for by keyword. Here that is bound, once for all of them.
"""

from functools import partial

from keras_ddpm.evaluation.metrics.accuracy import accuracy
from keras_ddpm.evaluation.judges.classifier import load_classifier, remember
from keras_ddpm.evaluation.metrics.diversity import diversity
from keras_ddpm.evaluation.metrics.frechet import distances
from keras_ddpm.evaluation.metrics.manifold import manifold
from keras_ddpm.evaluation.metrics.memorisation import memorisation, memorisation_in_pixels
from keras_ddpm.evaluation.metrics.pixels import pixels


def bind(*, reference, training, classifier=None):
    """Returns every cheap metric as a function of images and labels alone.

    Args:
        reference: `(images, labels)` of real ones, as many as will be judged: what the distances compare with.
        training: uint8, (M, 28, 28, 1), what the generator was trained on.
        classifier: Function from images to (probabilities, features); the shipped classifier if None. Its answers are
            remembered, so that metrics share them.

    Returns:
        A dict from group to metric.

    Example:
        metrics = bind(reference=(x, y), training=x_train)
        values = dict(metrics["accuracy"](images, labels))
    """
    classifier = remember(classifier or load_classifier())
    return {
        "accuracy": partial(accuracy, classifier=classifier),
        "distances": partial(distances, reference=reference, classifier=classifier),
        "manifold": partial(manifold, reference=reference, classifier=classifier),
        "diversity": partial(diversity, classifier=classifier),
        "memorisation": partial(memorisation, training=training, classifier=classifier),
        "memorisation_in_pixels": partial(memorisation_in_pixels, training=training),
        "pixels": pixels,
    }
