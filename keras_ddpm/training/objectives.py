"""What is trained: functions from a network and a configuration to a Keras model, by the name of the objective."""

from keras_ddpm import guides, samplers
from keras_ddpm.codec import Codec
from keras_ddpm.config import choose
from keras_ddpm.training.autoencoder import AutoencoderTraining
from keras_ddpm.training.ddpm import DDPM
from keras_ddpm.training.losses.adversarial import AdversarialTuning
from keras_ddpm.training.losses.consistency import ConsistencyTuning
from keras_ddpm.training.losses.diffusion_gan import DiffusionGAN
from keras_ddpm.training.losses.draft import DraftTuning
from keras_ddpm.training.losses.perceptual import PerceptualTuning
from keras_ddpm.training.losses.score_weighted import ScoreWeightedTuning
from keras_ddpm.training.optimizer import make_optimizer, use_xla
from keras_ddpm.training.times import CURRICULA, TIMES
from keras_ddpm.training.train_step import AveragedModel

ADVERSARIAL_BETAS = (0.0, 0.95)  # the opponent moves, so old gradients mislead
TUNING = ("consistency", "adversarial", "perceptual", "draft", "clip_weighted")
"""Objectives that start from a trained model."""


def make_model(network, diffusion, config, *, steps: int, codec: Codec | None = None) -> AveragedModel:
    """The model of a configuration's objective, compiled.

    Args:
        network: Built network, with the weights to start from.
        diffusion: `Diffusion`.
        config: `Config`.
        steps: Optimizer steps of the whole run.
        codec: `Codec` whose latents are diffused; None for images.

    Raises:
        ValueError: for a name or a number that cannot be used, or images that the objective's CLIP does not know.
    """
    training = config.training
    common = {
        "p_uncond": _p_uncond(config),
        "ema_decay": training.ema_decay,
        "times": choose(TIMES, training.times, "times"),
        "curriculum": choose(CURRICULA, training.curriculum, "curriculum"),
        "steps": steps,
        "seed": training.seed,
        "codec": codec,
    }
    model = choose(OBJECTIVES, training.objective, "objective")(network, diffusion, config, common)
    betas = ADVERSARIAL_BETAS if isinstance(model, AdversarialTuning) else (0.9, 0.999)
    model.compile(optimizer=make_optimizer(training, steps, betas=betas), jit_compile=use_xla(training.jit))
    return model


def _p_uncond(config):
    """One probability for the label; with attributes a dict of one for each condition."""
    training, attributes = config.training, config.data.attributes
    each = {"label": training.p_uncond, **dict.fromkeys(attributes, training.p_drop_attribute)}
    return each if attributes else training.p_uncond


def _diffusion(network, diffusion, config, common):
    return DDPM(network, diffusion, **common)


def _perceptual(network, diffusion, config, common):
    return PerceptualTuning(network, diffusion, **common)


def _consistency(network, diffusion, config, common):
    ours = config.few_step
    return ConsistencyTuning(network, diffusion, halvings=ours.halvings, at_noise=ours.at_noise, **common)


def _adversarial(network, diffusion, config, common):
    names = ("levels", "gamma", "mismatch", "renoised", "calls", "noised", "anchor")
    return AdversarialTuning(network, diffusion, **{n: getattr(config.few_step, n) for n in names}, **common)


def _diffusion_gan(network, diffusion, config, common):
    ours, weight = config.few_step, config.training.adversarial_weight
    given = {"gamma": ours.gamma, "mismatch": ours.mismatch, "adversarial_weight": weight}
    return DiffusionGAN(network, diffusion, **given, **common)


def _draft(network, diffusion, config, common):
    training, drawn = config.training, config.sampling
    given = {name: getattr(training, name) for name in ("reward_weight", "reward_steps")}
    given["sampler"] = samplers.with_eta(choose(samplers.SAMPLERS, drawn.sampler, "sampler"), drawn.eta)
    return DraftTuning(network, diffusion, score=_clip(network, config), **given, **common)


def _clip_weighted(network, diffusion, config, common):
    return ScoreWeightedTuning(network, diffusion, score=_clip(network, config), **common)


def _clip(network, config):
    """CLIP's score, for an objective that asks it."""
    asking = f"`objective` {config.training.objective!r} asks CLIP, which"
    guides.check_digits(asking, network.image_shape, network.num_classes)
    return guides.ClipGuide()


def _autoencoder(network, diffusion, config, common):
    shared = {name: common[name] for name in ("ema_decay", "seed")}
    return AutoencoderTraining(network, kl_weight=config.autoencoder.kl_weight, **shared)


OBJECTIVES = {
    "diffusion": _diffusion,
    "perceptual": _perceptual,
    "consistency": _consistency,
    "adversarial": _adversarial,
    "diffusion_gan": _diffusion_gan,
    "draft": _draft,
    "clip_weighted": _clip_weighted,
    "autoencoder": _autoencoder,
}
