"""A student that draws in one call, or better in two or four: three stages, each from the weights of the one before.

    python train.py --config configs/mnist_fast.py --out runs/mnist_fast

Diffusion, then consistency tuning, then adversarial tuning, of a network of 0.35 million weights (docs/few_step.md).
Guidance is baked in at w = 1.
"""

import dataclasses

from keras_ddpm.config import Config, NetworkConfig, SamplingConfig, TrainingConfig

STUDENT = SamplingConfig(
    sampler="consistency", steps=1, w=1.0, guidance="none", guidance_interval=None, trained_steps=(1, 2, 4)
)


def get_config():
    diffusion = Config(
        name="diffusion",
        network=NetworkConfig(widths=(32, 64), depths=(1, 2)),
        training=TrainingConfig(epochs=16, learning_rate=3e-3, precision="float32", grid_every=4),
    )
    consistency = dataclasses.replace(
        diffusion,
        name="consistency",
        training=TrainingConfig(
            objective="consistency",
            epochs=4,
            learning_rate=5e-4,
            warmup_steps=100,
            weight_decay=0.0,
            p_uncond=0.0,
            ema_decay=0.999,
            precision="float32",
            grid_every=1,
        ),
        sampling=STUDENT,
    )
    adversarial = dataclasses.replace(
        consistency,
        name="mnist_fast",
        training=dataclasses.replace(
            consistency.training,
            objective="adversarial",
            epochs=40,
            grid_every=2,
            learning_rate=4e-4,
            cooldown=0.5,
            clip_norm=None,
        ),
    )
    return diffusion, consistency, adversarial
