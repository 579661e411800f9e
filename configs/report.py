"""The report's configuration, to the letter: the one that gave blobs.

    python train.py --config configs/report.py --out runs/report

Linear betas 1e-4 ... 0.02 over T = 100 steps, eps-prediction, a four-level U-Net 28-14-7-4-2 with the embeddings of
time and class at the bottleneck alone, Adam, no average of the weights, unclipped ancestral sampling with w = 3.
Building it warns: x_T is not noise. Expect tangles of strokes on grey.

Deviation: weight decay is decoupled (AdamW); the times of a batch are spread evenly (see `DDPM.draw_t`); the images on
which checkpoints are chosen are 5,000 of the training split, since nothing is chosen on test images. The report gives
neither the widths of its network nor the patience of its early stopping: 128 channels at the bottleneck follow
from its embeddings, and half of it at each finer level trains 30 epochs in about an hour on one core.
"""

from keras_ddpm.config import Config, DataConfig, DiffusionConfig, NetworkConfig, SamplingConfig, TrainingConfig


def get_config():
    return Config(
        name="report",
        data=DataConfig(validation_images=5_000),
        network=NetworkConfig(
            widths=(8, 16, 32, 64, 128),
            depths=(1, 1, 1, 1, 1),
            attention=(False,) * 5,
            patch=1,
            embed_dim=128,
            conditioning="bottleneck",
            activation="gelu",
        ),
        diffusion=DiffusionConfig(schedule="linear", T=100, prediction="eps", weighting="uniform"),
        training=TrainingConfig(
            epochs=50,
            batch_size=128,
            learning_rate=5e-4,
            learning_rate_schedule="constant",
            weight_decay=1e-5,
            clip_norm=None,
            p_uncond=0.1,
            ema_decay=0.0,
            validation_noise="fresh",
            plateau_patience=3,
            stop_patience=10,
            precision="float32",
        ),
        sampling=SamplingConfig(sampler="ddpm", steps=100, w=3.0, guidance_interval=None, threshold="none"),
    )
