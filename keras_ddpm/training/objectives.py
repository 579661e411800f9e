"""What is trained: functions from a network and a configuration to a Keras model, by the name of the objective."""

from keras_ddpm.config import choose
from keras_ddpm.training.adversarial import AdversarialTuning
from keras_ddpm.training.consistency import ConsistencyTuning
from keras_ddpm.training.ddpm import DDPM
from keras_ddpm.training.optimizer import make_optimizer, use_xla
from keras_ddpm.training.times import TIMES

ADVERSARIAL_BETAS = (0.0, 0.95)  # the opponent moves, so old gradients mislead


def make_model(network, diffusion, config, *, steps: int) -> DDPM:
    """The model of a configuration's objective, compiled.

    Args:
        network: Built network, with the weights to start from.
        diffusion: `Diffusion`.
        config: `Config`.
        steps: Optimizer steps of the whole run.

    Raises:
        ValueError: for a name or a number that cannot be used.
    """
    training = config.training
    common = {
        "p_uncond": _p_uncond(config),
        "ema_decay": training.ema_decay,
        "times": choose(TIMES, training.times, "times"),
        "seed": training.seed,
    }
    model = choose(OBJECTIVES, training.objective, "objective")(network, diffusion, config, steps, common)
    betas = ADVERSARIAL_BETAS if training.objective == "adversarial" else (0.9, 0.999)
    model.compile(optimizer=make_optimizer(training, steps, betas=betas), jit_compile=use_xla(training.jit))
    return model


def _p_uncond(config):
    """One probability for the label; with attributes a dict of one for each condition."""
    training, attributes = config.training, config.data.attributes
    each = {"label": training.p_uncond, **dict.fromkeys(attributes, training.p_drop_attribute)}
    return each if attributes else training.p_uncond


def _diffusion(network, diffusion, config, steps, common):
    return DDPM(network, diffusion, **common)


def _consistency(network, diffusion, config, steps, common):
    ours = config.few_step
    return ConsistencyTuning(network, diffusion, steps=steps, halvings=ours.halvings, at_noise=ours.at_noise, **common)


def _adversarial(network, diffusion, config, steps, common):
    ours = config.few_step
    names = ("levels", "gamma", "mismatch", "renoised", "noised", "anchor")
    return AdversarialTuning(network, diffusion, steps=steps, **{n: getattr(ours, n) for n in names}, **common)


OBJECTIVES = {"diffusion": _diffusion, "consistency": _consistency, "adversarial": _adversarial}
