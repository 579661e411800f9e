"""The inexpensive metrics during training, in the same logs as the loss."""

from typing import Any

import keras
import numpy as np

from keras_ddpm import data
from keras_ddpm.evaluation.arrays import check_images
from keras_ddpm.evaluation.drawing import draw_images
from keras_ddpm.evaluation.judges import folder as judge_folder
from keras_ddpm.evaluation.judges.classifier import SHIPPED, load_classifier
from keras_ddpm.evaluation.judges.clip_towers import float32_policy
from keras_ddpm.evaluation.metrics import bind
from keras_ddpm.evaluation.metrics.frechet import MINIMUM

GROUPS = ("accuracy", "distances", "manifold")


class EvaluateDuringTraining(keras.callbacks.Callback):
    """Draws images with the averaged weights, always from the same seeds, and adds their figures to the epoch's logs.

    Names begin with `eval_`: accuracy, confidence, the distances, precision, recall, density, coverage. Epochs without
    an evaluation log NaN, since every line of a CSV file has the same columns. Put it before the callbacks that write
    logs. The images have the labels of the first n training images and are compared with these: test images play no
    part in training.

    Args:
        generator: `Generator` of the averaged weights.
        w: Guidance of each class, float (num_classes,).
        dataset: Real images, as labels and to compare with: name of a data set, or path of an .npz file.
        every: Epochs between two evaluations; the first and the last epoch always have one.
        n: Images, at least 100.
        judge: Folder of a judge that knows the data set; None: the shipped one, which knows MNIST.

    Raises:
        ValueError: if `every` or `n` is too small, or the judge is damaged.
        FileNotFoundError: if there is no judge.
    """

    def __init__(self, generator, w: np.ndarray, dataset: str, *, every: int, n: int = 500, judge: str | None = None):
        super().__init__()
        if every < 1 or n < MINIMUM:
            raise ValueError(f"`every` must be at least 1 and `n` at least {MINIMUM}. Received: {every}, {n}")
        self.generator, self.w, self.dataset, self.every, self.n = generator, w, dataset, every, n
        self.judge, self.notes = judge, judge_folder.read_notes(judge or SHIPPED)
        self.kind = judge_folder.kind_of(self.notes)
        self.names: list[str] = []

    def on_train_begin(self, logs: Any = None) -> None:
        """Loads the real images and the judge."""
        training = data.load(self.dataset, "train", image_size=self.notes.get("image_size", 0))
        check_images(training.images, minimum=MINIMUM, name="dataset", kind=self.kind)
        judge_folder.check_data(self.notes, self.dataset, training, shipped=self.judge is None)
        images, self.labels, _ = training.first(self.n)
        with float32_policy():  # the judge does not depend on the training's precision
            judge = load_classifier(self.judge or SHIPPED)
        self.metrics = bind(reference=(images, self.labels), training=images, classifier=judge, kind=self.kind)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Adds the figures, or NaN."""
        last = epoch + 1 == self.params["epochs"]
        if self.names and (epoch + 1) % self.every and not last:
            logs.update(dict.fromkeys(self.names, float("nan")))
            return
        figures = self.figures()
        self.names = list(figures)
        logs.update(figures)

    def figures(self) -> dict[str, float]:
        """The figures of the averaged weights as they are now."""
        images = draw_images(self.generator, self.labels, self.w[self.labels], np.arange(len(self.labels)))
        found = {name: value for group in GROUPS for name, value in self.metrics[group](images, self.labels)}
        return {f"eval_{name}": value for name, value in found.items() if "/" not in name}
