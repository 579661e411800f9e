"""The same job by diffusers: images/s of training and of sampling, ours beside theirs, in one run.

    python -m benchmarks.training.peers                     # needs: pip install "keras-ddpm[peers]"

Theirs is a `UNet2DModel` with the residual blocks, attention at 7 x 7 and class embedding that it offers, at the width
whose number of weights is nearest to ours. It trains with AdamW on eps, the library's usual objective, and samples with
its DPM-Solver++, 20 steps, both halves of the guidance in one batch. Training is measured in float32 and in bfloat16,
ours by Keras's policy and theirs by autocast, since which of them is faster depends on the processor; sampling in
float32. Ours trains as `train.py --parts` does, with a part of each batch on each core. Each measurement runs in a
process of its own, one after the other, on all cores, with random weights in theirs: the time does not depend on them.
"""

import dataclasses
import functools
import multiprocessing
import time
from collections.abc import Callable
from concurrent import futures
from typing import Any

import numpy as np
import tyro

from benchmarks import machine
from benchmarks.sampling import rate
from keras_ddpm.cli.run import run

T, STEPS, CLASSES, SHAPE = 1_000, 20, 10, (28, 28, 1)
PRECISIONS = ("float32", "mixed_bfloat16")


@dataclasses.dataclass(frozen=True)
class Arguments:
    presets: tuple[str, ...] = ("mnist", "mnist_fast")
    """Ours: presets, each beside a network of theirs of as many weights."""
    batches: tuple[int, ...] = (1, 16, 256)
    """Batch sizes to sample with."""
    training_batch: int = 128
    steps: int = 12
    """Training steps that are measured, after three more."""
    parts: int = machine.cores()
    """Parts of a batch that ours trains on side by side. Default: as many as there are cores."""
    seconds: float = 8.0
    """Time to measure each batch size for, at least."""


def main() -> None:
    arguments = tyro.cli(Arguments, description=__doc__)
    heads = " | ".join(f"sampling, batch {batch}" for batch in arguments.batches)
    trained = "training, float32 | training, bfloat16"
    print(
        f"{machine.describe()}; images/s; training in batches of {arguments.training_batch}, ours in {arguments.parts}"
    )
    print(f"| model | weights | steps | {trained} | {heads} |\n" + "|---" * (5 + len(arguments.batches)) + "|")
    for preset in arguments.presets:
        name, size, steps, *drawn = apart(sample_ours, preset, arguments)
        rates = [[*(apart(train_ours, preset, precision, arguments) for precision in PRECISIONS), *drawn]]
        line(name, size, steps, rates[0])
        width, size, *drawn = apart(sample_theirs, size, arguments)
        rates += [[*(apart(train_theirs, width, precision, arguments) for precision in PRECISIONS), *drawn]]
        line("diffusers, UNet2DModel", size, STEPS, rates[1])
        ratios = [f"{a / b:.1f} x" for a, b in zip(*rates)]
        print("| ratio | | | " + " | ".join(ratios) + " |")
        best = [max(each[: len(PRECISIONS)]) for each in rates]
        print(f"Training, each side in its faster precision: {best[0] / best[1]:.2f} x", flush=True)


def line(name: str, size: int, steps: int, rates: list[float]) -> None:
    """Print one line of the table."""
    print(f"| {name} | {size:,} | {steps} | " + " | ".join(f"{rate:.1f}" for rate in rates) + " |", flush=True)


def apart(function: Callable, *arguments: Any) -> Any:
    """What a function returns in a new process. TensorFlow and PyTorch do not share one."""
    with futures.ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def sample_ours(preset: str, arguments: Arguments) -> tuple:
    """(name, weights, steps, images/s of each batch size)."""
    from keras_ddpm import presets
    from keras_ddpm.checks.sampling import w_of_class

    generator = presets.load_preset(preset)
    w = w_of_class(presets.read_config(preset)[0].sampling.w, CLASSES)
    rates = [
        rate(functools.partial(_draw, generator, w, batch), batch, at_least=arguments.seconds)
        for batch in arguments.batches
    ]
    return f"keras_ddpm, {preset}", generator.network.count_params(), generator.steps, *rates


def train_ours(preset: str, precision: str, arguments: Arguments) -> float:
    """Images/s of a train step."""
    import keras
    import tensorflow as tf

    from keras_ddpm import presets
    from keras_ddpm.diffusion import Diffusion
    from keras_ddpm.networks.build import build_network
    from keras_ddpm.networks.call import in_parts
    from keras_ddpm.training.ddpm import DDPM
    from keras_ddpm.training.distribution.side_by_side import claim_cores

    claim_cores(arguments.parts)
    config, shape, classes = presets.read_config(preset)
    network = build_network(config, shape, classes, dtype=precision)
    model = DDPM(network, Diffusion.from_names(**vars(config.diffusion)))
    model.compile(optimizer=keras.optimizers.AdamW(1e-3, global_clipnorm=1.0), jit_compile=False)
    step, batch = tf.function(model.train_step), tuple(tf.constant(a) for a in _batch(arguments.training_batch))
    with in_parts(arguments.parts):
        return train_rate(lambda: float(step(batch)["loss"]), arguments)


def sample_theirs(size: int, arguments: Arguments) -> tuple:
    """(width with about `size` weights, weights, images/s of each batch size)."""
    networks = {width: unet(width) for width in range(8, 97, 8)}
    width = min(networks, key=lambda width: abs(_size(networks[width]) - size))
    rates = [
        rate(functools.partial(_denoise, networks[width], batch), batch, at_least=arguments.seconds)
        for batch in arguments.batches
    ]
    return width, _size(networks[width]), *rates


def train_theirs(width: int, precision: str, arguments: Arguments) -> float:
    """Images/s of a train step of the network of a width."""
    import torch

    network = unet(width)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3)
    images, labels = _batch(arguments.training_batch)
    x_0, labels = torch.from_numpy(images.transpose(0, 3, 1, 2).copy()), torch.from_numpy(labels).long()
    scheduler = _scheduler()

    def step():
        t, eps = torch.randint(0, T, (len(x_0),)), torch.randn_like(x_0)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision != "float32"):
            predicted = network(scheduler.add_noise(x_0, eps, t), t, class_labels=labels).sample
        loss = torch.nn.functional.mse_loss(predicted.float(), eps)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        return loss.item()

    network.train()
    return train_rate(step, arguments)


def unet(width: int):
    """diffusers' U-Net of one width: 28, 14 and 7 pixels, attention at the last."""
    import diffusers

    return diffusers.UNet2DModel(
        sample_size=SHAPE[0],
        in_channels=1,
        out_channels=1,
        layers_per_block=2,
        block_out_channels=(width, 2 * width, 2 * width),
        down_block_types=("DownBlock2D", "DownBlock2D", "AttnDownBlock2D"),
        up_block_types=("AttnUpBlock2D", "UpBlock2D", "UpBlock2D"),
        norm_num_groups=8,
        num_class_embeds=CLASSES + 1,
    )


def train_rate(step: Callable, arguments) -> float:
    """Images/s: the median step, after three."""
    times = []
    for _ in range(3 + arguments.steps):
        start = time.perf_counter()
        step()
        times.append(time.perf_counter() - start)
    return arguments.training_batch / float(np.median(times[3:]))


def _draw(generator, w, n):
    digit = np.arange(n) % CLASSES
    return generator.image(0, w[0], 0) if n == 1 else generator.images(digit, w[digit], np.arange(n))


def _denoise(network, n):
    """n images by diffusers' own loop."""
    import torch

    scheduler, x = _scheduler(), torch.randn(n, 1, *SHAPE[:2])
    labels = torch.arange(n) % CLASSES
    labels = torch.cat([labels, torch.full_like(labels, CLASSES)])
    network.eval()
    scheduler.set_timesteps(STEPS)
    with torch.inference_mode():
        for t in scheduler.timesteps:
            given, null = network(torch.cat([x, x]), t, class_labels=labels).sample.chunk(2)
            x = scheduler.step(null + 1.5 * (given - null), t, x).prev_sample
    return ((x.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8).numpy()


def _scheduler():
    import diffusers

    return diffusers.DPMSolverMultistepScheduler(num_train_timesteps=T, beta_schedule="squaredcos_cap_v2")


def _size(network) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def _batch(n):
    generator = np.random.default_rng(0)
    return generator.uniform(-1, 1, (n, *SHAPE)).astype("float32"), (np.arange(n) % CLASSES).astype("int32")


if __name__ == "__main__":
    run(main)
