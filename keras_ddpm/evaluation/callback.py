"""The cheap metrics while training, in the same logs as the loss."""

import keras
import numpy as np

from keras_ddpm import data
from keras_ddpm.evaluation.metrics.accuracy import accuracy
from keras_ddpm.evaluation.judges.classifier import load_classifier, remember
from keras_ddpm.evaluation.judges.clip_towers import float32_policy
from keras_ddpm.evaluation.metrics.frechet import MINIMUM, distances
from keras_ddpm.evaluation.arrays import check_images
from keras_ddpm.evaluation.metrics.manifold import manifold


class EvaluateDuringTraining(keras.callbacks.Callback):
    """Draws digits from the averaged weights, always from the same seeds, and adds their figures to the epoch's logs.

    Names begin with `eval_`: accuracy, confidence, the distances, precision, recall, density, coverage. Epochs between
    two evaluations log NaN, since a CSV file has the same columns in every line. It must come before the callbacks
    that write logs. What is drawn has the labels of the first n training images and is compared with these.

    Args:
        generator: `Generator` of the averaged weights.
        w: Guidance of each digit, float (10,).
        dataset: TFDS name or path of an .npz file: digits, to take labels from and to compare with.
        every: Epochs between two evaluations; the first epoch and the last have one in any case.
        n: Images, at least 100.
    """

    def __init__(self, generator, w, dataset, *, every, n=500):
        super().__init__()
        if every < 1 or n < MINIMUM:
            raise ValueError(f"`every` must be at least 1 and `n` at least {MINIMUM}. Received: {every}, {n}")
        self.generator, self.w, self.dataset, self.every, self.n = generator, w, dataset, every, n
        self.names = []

    def on_train_begin(self, logs=None):
        images, self.labels, _ = data.load(self.dataset, "train").first(self.n)
        check_images(images, minimum=MINIMUM, name="dataset")
        self.reference = images, self.labels
        with float32_policy():  # the judge does not change with the training's precision
            self.classifier = remember(load_classifier())

    def on_epoch_end(self, epoch, logs=None):
        last = epoch + 1 == self.params["epochs"]
        if self.names and (epoch + 1) % self.every and not last:
            logs.update(dict.fromkeys(self.names, float("nan")))
            return
        figures = self.figures()
        self.names = list(figures)
        logs.update(figures)

    def figures(self):
        """The figures of the averaged weights as they are: dict from name to float."""
        drawn = self.generator.sample(self.labels, self.w[self.labels], np.arange(len(self.labels)))
        images = data.to_uint8(drawn["image"])
        found = dict(accuracy(images, self.labels, classifier=self.classifier))
        for metric in (distances, manifold):
            found |= metric(images, self.labels, reference=self.reference, classifier=self.classifier)
        return {f"eval_{name}": value for name, value in found.items() if "/" not in name}
