"""Guides: scores of images that know what a picture should look like, for `guidance.by_score` and for fine-tuning.

    score(x_0 (B, H, W, C) in [-1, 1], condition) -> (B,)

A guide never judges itself: what it has guided looks better to it than it is. Measure with another judge.
"""

from collections.abc import Callable, Mapping

import keras
from keras import ops

from keras_ddpm.config import choose
from keras_ddpm.saving.serialization import PACKAGE
from keras_ddpm.types import Tensor


@keras.saving.register_keras_serializable(PACKAGE)
class ClipGuide:
    """log of the share of CLIP's captions that say the digit is there, and sharp; 0 for an unknown digit.

        logits = exp(s) cos(E_image(x_0), E_text(captions)),  score = log sum_{photo d, clear d} softmax(logits)

    The shipped digit CLIP, not OpenAI's: 28 x 28 grey digits.

    Reference: Radford et al., arXiv 2103.00020, section 2; Nichol et al. (guidance by CLIP), arXiv 2112.10741,
    section 2.4.
    """

    def __init__(self):
        from keras_ddpm.evaluation.judges import clip_captions, clip_towers, digit_clip

        self.evaluator = digit_clip.load_digit_clip()  # here, since no layers can be made while a graph is traced
        self.captions = clip_towers.text_features(self.evaluator, clip_captions.captions())

    def __call__(self, x_0: Tensor, condition: Mapping[str, Tensor]) -> Tensor:
        from keras_ddpm.evaluation.judges import clip_towers, digit_clip

        standardised = ((x_0 + 1.0) / 2.0 - digit_clip.MNIST_MEAN) / digit_clip.MNIST_STD
        with clip_towers.float32_policy():
            features = clip_towers.encode_image(self.evaluator.image_encoder, standardised)
        logits = clip_towers.cosine_logits(features, self.captions, logit_scale=self.evaluator.logit_scale)
        kinds = ops.reshape(ops.log_softmax(logits, axis=-1), (-1, 3, 10))  # photo, blurry, clear
        sharp = ops.logaddexp(kinds[:, 0], kinds[:, 2])  # (B, 10)
        return ops.sum(sharp * ops.one_hot(condition["label"], 10), axis=-1)  # an unknown digit has no column

    def get_config(self) -> dict:
        return {}

    @classmethod
    def from_config(cls, config: dict) -> "ClipGuide":
        return cls(**config)


GUIDES = {"clip": ClipGuide}


def load(name: str, image_shape, num_classes: int) -> Callable:
    """A guide for the images of a model.

    Raises:
        ValueError: for an unknown guide, or other images than it knows.
    """
    guide = choose(GUIDES, name, "guide")
    check_digits(f"`guide` {name!r}", image_shape, num_classes)
    return guide()


def check_digits(what: str, image_shape, num_classes: int) -> None:
    """Raise unless the images of a model are those that CLIP's captions are of.

    Args:
        what: What asks CLIP, as the error calls it.
        image_shape, num_classes: Those of the model.

    Raises:
        ValueError: for other images.
    """
    from keras_ddpm.evaluation.arrays import DIGITS

    if (tuple(image_shape), num_classes) != DIGITS:
        raise ValueError(
            f"{what} knows digits of 28 x 28 pixels. Received: {num_classes} classes of {tuple(image_shape)}"
        )
