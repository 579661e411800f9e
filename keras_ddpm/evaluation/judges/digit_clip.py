"""A small CLIP of our own, trained on MNIST digits and degraded versions of them.

KerasCV's two encoders at a small size (width 128 and 4 layers over 7 x 7 patches of the 28 x 28 image; width 64 and 2
layers over the words), trained from scratch by `train_digit_clip`. It is the default, since it needs no download. Its
name is part of each of its figures, and it must never be presented as OpenAI's CLIP.

    logits = exp(s) normalise(E_image(x)) normalise(E_text(captions))^T        (B, 31)

With q the shares of the captions that fit each image, the loss is symmetric as in CLIP, but several captions may fit
one image and several images one caption:

    L = 1/2 [ - mean_i sum_c q_ic log softmax_c(logits)_ic
              - mean_c sum_i (q_ic / sum_j q_jc) log softmax_i(logits)_ic ]

Reference:
    Radford et al., arXiv 2103.00020. Yang et al., "Unified Contrastive Learning in Image-Text-Label Space",
    arXiv 2204.03610 (several positives per row).
"""

import functools
import json
import math
import pathlib
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_ddpm.evaluation.judges import clip_towers
from keras_ddpm.evaluation.judges.clip_captions import NOISE_CAPTION, SMALL_VOCABULARY, captions, token_ids
from keras_ddpm.saving.files import atomic, write_text
from keras_ddpm.types import Tensor

SHIPPED = pathlib.Path(__file__).parent / "weights"
NAME = "digit_clip"
# Mean and standard deviation, in [0, 1], of MNIST's training images.
MNIST_MEAN, MNIST_STD = 0.1307, 0.3081


def prepare_digits(images: np.ndarray) -> np.ndarray:
    """Standardises images for the digit CLIP.

    Args:
        images: uint8 array (B, 28, 28, 1).

    Returns:
        float32 array (B, 28, 28, 1).
    """
    return (np.asarray(images, dtype="float32") / 255.0 - MNIST_MEAN) / MNIST_STD


@keras.saving.register_keras_serializable(package="keras_ddpm")
class DigitClip(keras.Model):
    """The two towers and the temperature, as one trainable model from images to logits over the captions.

    Args:
        width, layers, heads: Size of the image tower.
        text_width, text_layers, text_heads: Size of the text tower.
        patch: Side of a patch in pixels; divides 28.
        embed_dim: Dimension D of both towers' output.
    """

    def __init__(
        self,
        width=128,
        layers=4,
        *,
        heads=4,
        text_width=64,
        text_layers=2,
        text_heads=2,
        patch=7,
        embed_dim=64,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.sizes = dict(
            width=width,
            layers=layers,
            heads=heads,
            text_width=text_width,
            text_layers=text_layers,
            text_heads=text_heads,
            patch=patch,
            embed_dim=embed_dim,
        )
        self.caption_ids = token_ids([*captions(), NOISE_CAPTION], SMALL_VOCABULARY)  # (31, L)
        self.image_encoder, self.text_encoder = _towers(self.sizes, context=self.caption_ids.shape[1])
        self.logit_scale = self.add_weight(
            shape=(), initializer=keras.initializers.Constant(math.log(1 / 0.07)), name="logit_scale"
        )
        self.built = True

    def call(self, images: np.ndarray) -> Tensor:
        f = clip_towers.encode_image(self.image_encoder, images)  # (B, D)
        g = clip_towers.encode_text(self.text_encoder, self.caption_ids)  # (31, D)
        # The paper bounds the temperature: logits are at most 100 times a cosine.
        return clip_towers.cosine_logits(f, g, logit_scale=ops.minimum(self.logit_scale, math.log(100.0)))

    def get_config(self) -> dict:
        return {**super().get_config(), **self.sizes}


def _towers(sizes, *, context):
    """KerasCV's two encoders, built."""
    try:
        from keras_cv.models import feature_extractor
    except ImportError as error:
        raise ImportError("The CLIP metric needs keras-cv: pip install 'keras-cv==0.9.0' keras-nlp") from error
    image_encoder = feature_extractor.CLIPImageEncoder(
        input_resolution=28,
        patch_size=sizes["patch"],
        width=sizes["width"],
        num_layers=sizes["layers"],
        heads=sizes["heads"],
        output_dim=sizes["embed_dim"],
        name="image_encoder",
    )
    text_encoder = feature_extractor.CLIPTextEncoder(
        transformer_width=sizes["text_width"],
        transformer_layers=sizes["text_layers"],
        transformer_heads=sizes["text_heads"],
        vocab_size=len(SMALL_VOCABULARY),
        embed_dim=sizes["embed_dim"],
        context_length=context,
        name="text_encoder",
    )
    image_encoder.build((None, 28, 28, 1))
    text_encoder.build((None, context))
    return image_encoder, text_encoder


def contrastive_loss(targets: Any, logits: Any) -> Any:
    """Symmetric cross-entropy between images and captions, several of which may fit.

    Args:
        targets: float tensor (B, P), q; rows sum to one.
        logits: float tensor (B, P).

    Returns:
        Scalar tensor.
    """
    targets = ops.cast(targets, logits.dtype)
    per_image = ops.mean(ops.categorical_crossentropy(targets, logits, from_logits=True))
    mass = ops.sum(targets, axis=0)  # (P,); zero if no image in the batch fits the caption
    share = targets / ops.maximum(mass, 1e-6)
    occurs = ops.cast(mass > 0, logits.dtype)
    per_caption = -ops.sum(share * ops.log_softmax(logits, axis=0)) / ops.sum(occurs)
    return (per_image + per_caption) / 2


def as_evaluator(model: DigitClip, *, name: str = NAME) -> clip_towers.ClipEvaluator:
    """A trained model as an evaluator.

    Args:
        model: A `DigitClip`.
        name: The name printed with every figure.

    Returns:
        A `clip_towers.ClipEvaluator`.
    """
    return clip_towers.ClipEvaluator(
        name=name,
        image_encoder=model.image_encoder,
        text_encoder=model.text_encoder,
        logit_scale=min(float(ops.convert_to_numpy(model.logit_scale)), math.log(100.0)),
        vocabulary=SMALL_VOCABULARY,
        prepare=prepare_digits,
    )


def save(model: DigitClip, directory: str | pathlib.Path, *, notes: dict) -> None:
    """Writes `digit_clip.weights.h5` and `digit_clip.json`.

    Not a `.keras` file, which KerasCV's encoders cannot be loaded from: their `get_config` and `__init__` disagree.

    Args:
        model: A `DigitClip`.
        directory: Folder to write into, created if missing.
        notes: How the weights were made.
    """
    directory = pathlib.Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    bare = DigitClip(**model.sizes)  # a compiled model would also write its optimizer, three times the size
    bare.set_weights(model.get_weights())
    with atomic(directory / f"{NAME}.weights.h5") as partial:
        bare.save_weights(partial)
    config = {"name": NAME, "sizes": model.sizes, "vocabulary": SMALL_VOCABULARY, "notes": notes}
    write_text(directory / f"{NAME}.json", json.dumps(config, indent=2) + "\n")


@functools.lru_cache(maxsize=2)
def load_digit_clip(directory: str | pathlib.Path = SHIPPED) -> clip_towers.ClipEvaluator:
    """Loads the digit CLIP, by default the shipped one, in float32.

    Args:
        directory: Folder with `digit_clip.weights.h5` and `digit_clip.json`.

    Returns:
        A `clip_towers.ClipEvaluator` named "digit_clip".

    Raises:
        FileNotFoundError: if a file is missing.
        ValueError: if the weights were trained with other captions.
    """
    config, weights = (pathlib.Path(directory) / f"{NAME}{end}" for end in (".json", ".weights.h5"))
    if not (config.exists() and weights.exists()):
        raise FileNotFoundError(
            f"There must be {config.name} and {weights.name} in {directory}. Train them with "
            "`python -m keras_ddpm.evaluation.judges.train_digit_clip --out DIRECTORY`"
        )
    settings = json.loads(config.read_text())
    if settings["vocabulary"] != SMALL_VOCABULARY:
        raise ValueError(f"{config} was trained with other captions: train again with train_digit_clip")
    with clip_towers.float32_policy():
        model = DigitClip(**settings["sizes"])
    model.load_weights(weights)
    return as_evaluator(model)
