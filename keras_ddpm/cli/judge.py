"""keras-ddpm judge: a classifier of a data set, by which `evaluate` measures."""

import dataclasses
import pathlib

from keras_ddpm.cli import interrupt


@dataclasses.dataclass(frozen=True)
class Judge:
    """Train a judge for a data set, by which `evaluate --judge FOLDER` measures."""

    dataset: str
    """digits_8x8, colour_mnist, canvas_mnist, a TFDS name, or the path of an .npz file in the format of
    keras.datasets."""
    out: pathlib.Path | None = None
    """New folder to write. Default: judges/ and the data set's name."""
    arch: str = "conv3x3"
    """Architecture: conv3x3 or wide5x5."""
    epochs: int | None = None
    """Passes over the training images. Default: 10, or as many more as make 2,000 steps."""
    train_images: int = 0
    """Images of the training split to learn from, from its beginning; 0 for all that are not held out."""
    validation_images: int | None = None
    """Images held out from the end of the training split. Default: a tenth, at most 5,000; 0 for none."""
    image_size: int = 0
    """Side to which the middle square of each image is resized, as in training; 0 leaves images as they are."""
    seed: int = 0
    """Seed of the weights, the order and the distortions."""

    def run(self) -> None:
        from keras_ddpm.evaluation.judges.train_judge import train_judge

        interrupt.advise(lambda: "Nothing was written.")
        out = self.out or pathlib.Path("judges") / pathlib.Path(self.dataset).stem
        names = ("arch", "epochs", "train_images", "validation_images", "image_size", "seed")
        notes = train_judge(self.dataset, out, **{name: getattr(self, name) for name in names}, verbose=2).notes
        right = f"{100 * notes['test_accuracy']:.2f} % of the test images right"
        if notes["held_out_accuracy"] is not None:
            right += f", {100 * notes['held_out_accuracy']:.2f} % of {notes['held_out_images']} held-out ones"
        print(f"{out}: {right}")
