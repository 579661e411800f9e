"""Bad input gets one clear error, from every metric."""

import numpy as np
import pytest

from keras_ddpm.evaluation.arrays import check_images, check_labels, read_images
from keras_ddpm.evaluation.metrics.accuracy import accuracy, confusion
from keras_ddpm.evaluation.metrics.cas import classification_accuracy_score
from keras_ddpm.evaluation.metrics.diversity import diversity
from keras_ddpm.evaluation.metrics.frechet import distances
from keras_ddpm.evaluation.metrics.manifold import manifold
from keras_ddpm.evaluation.metrics.memorisation import memorisation, memorisation_in_pixels
from keras_ddpm.evaluation.metrics.pixels import pixels

IMAGES = np.zeros((200, 28, 28, 1), "uint8")
LABELS = np.arange(200) % 10


def classifier(images):
    """Stands in for a trained one: its answers do not matter here."""
    rng = np.random.default_rng(len(images))
    return np.full((len(images), 10), 0.1), rng.normal(size=(len(images), 4))


REAL = (IMAGES, LABELS)
METRICS = {
    "accuracy": lambda x, y: list(accuracy(x, y, classifier=classifier)),
    "confusion": lambda x, y: confusion(x, y, classifier=classifier),
    "distances": lambda x, y: list(distances(x, y, reference=REAL, classifier=classifier)),
    "manifold": lambda x, y: list(manifold(x, y, reference=REAL, classifier=classifier)),
    "diversity": lambda x, y: list(diversity(x, y, classifier=classifier)),
    "memorisation": lambda x, y: list(memorisation(x, y, training=IMAGES, classifier=classifier)),
    "memorisation_in_pixels": lambda x, y: list(memorisation_in_pixels(x, y, training=IMAGES)),
    "pixels": lambda x, y: list(pixels(x, y)),
    "cas": lambda x, y: list(classification_accuracy_score(x, y, test=REAL)),
}


@pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS)
def test_every_metric_rejects_what_is_not_images_with_labels(metric):
    with pytest.raises(ValueError, match=r"must have shape \(N, 28, 28, 1\).*Add a channel axis"):
        metric(IMAGES[..., 0], LABELS)
    with pytest.raises(ValueError, match=r"uint8 in 0..255. Received: float32 in \[0, 0\]"):
        metric(IMAGES.astype("float32"), LABELS)
    with pytest.raises(ValueError, match="labels` are missing"):
        metric(IMAGES, None)
    with pytest.raises(ValueError, match="one for each image"):
        metric(IMAGES, LABELS[:-1])
    with pytest.raises(ValueError, match=r"must be in 0..9. Received: 1..10"):
        metric(IMAGES, LABELS + 1)


@pytest.mark.parametrize("name", ["distances", "manifold", "cas"])
def test_too_few_images_are_named_with_the_number_needed(name):
    with pytest.raises(ValueError, match=r"at least 1\d\d images for this metric. Received: 9"):
        METRICS[name](IMAGES[:9], LABELS[:9])


def test_diversity_needs_two_of_each_digit():
    with pytest.raises(ValueError, match=r"at least 2 images of each digit\. Received: 1 of digit 7"):
        METRICS["diversity"](IMAGES[:4], np.array([3, 3, 7, 3]))


def test_accepted_input_gives_names_and_floats():
    for name, metric in METRICS.items():
        if name not in ("confusion", "cas"):
            assert all(isinstance(n, str) and isinstance(v, float) for n, v in metric(IMAGES, LABELS)), name


def test_floats_are_told_how_to_convert():
    x = np.linspace(-1, 1, 784).reshape(1, 28, 28, 1)
    with pytest.raises(ValueError, match=r"\(x \+ 1\) \* 127.5"):
        check_images(x)
    with pytest.raises(ValueError, match=r"x \* 255"):
        check_images((x + 1) / 2)


def test_nan_is_called_nan():
    with pytest.raises(ValueError, match="NaN or infinite values: the generator diverged"):
        check_images(np.full((1, 28, 28, 1), np.nan))


def test_one_hot_labels_are_rejected():
    with pytest.raises(ValueError, match=r"shape \(200,\)"):
        check_labels(np.eye(10)[LABELS], IMAGES)


def test_a_file_without_labels_is_named(tmp_path):
    np.savez(tmp_path / "x.npz", images=IMAGES)
    with pytest.raises(ValueError, match="must hold `images` and `labels`"):
        read_images(tmp_path / "x.npz")
