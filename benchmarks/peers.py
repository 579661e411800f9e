"""The same job by diffusers: images/s of training and of sampling, ours beside theirs, in one run.

    python -m benchmarks.peers                     # needs: pip install "keras-ddpm[peers]"

Theirs is a `UNet2DModel` with the residual blocks, attention at 7 x 7 and class embedding that it offers, at the width
whose number of weights is nearest to ours. It trains with AdamW on eps, the library's usual objective, and samples with
its DPM-Solver++, 20 steps, both halves of the guidance in one batch. Training is measured in float32 and in bfloat16,
ours by Keras's policy and theirs by autocast, since which of them is faster depends on the processor; sampling in
float32. Each side runs in a process of its own, one after the other, on all cores, with random weights in theirs: the
time does not depend on them.
"""

import dataclasses
import functools
import multiprocessing
import time
from collections.abc import Callable

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
    seconds: float = 8.0
    """Time to measure each batch size for, at least."""


def main() -> None:
    arguments = tyro.cli(Arguments, description=__doc__)
    context = multiprocessing.get_context("spawn")
    heads = " | ".join(f"sampling, batch {batch}" for batch in arguments.batches)
    trained = "training, float32 | training, bfloat16"
    print(f"{machine.describe()}; images/s; training in batches of {arguments.training_batch}")
    print(f"| model | weights | steps | {trained} | {heads} |\n" + "|---" * (5 + len(arguments.batches)) + "|")
    for preset in arguments.presets:
        rates: dict = {}
        model: str | int = preset
        for side in (ours, theirs):
            receiver, sender = context.Pipe(duplex=False)
            process = context.Process(target=side, args=(sender, model, arguments))
            process.start()
            sender.close()
            name, model, steps, *rates[side] = receiver.recv()
            process.join()
            print(f"| {name} | {model:,} | {steps} | " + " | ".join(f"{r:.1f}" for r in rates[side]) + " |", flush=True)
        ratios = [f"{a / b:.1f} x" for a, b in zip(rates[ours], rates[theirs])]
        print("| ratio | | | " + " | ".join(ratios) + " |", flush=True)
        best = [max(rates[side][: len(PRECISIONS)]) for side in (ours, theirs)]
        print(f"Training, each side in its faster precision: {best[0] / best[1]:.2f} x", flush=True)


def ours(sender, preset, arguments) -> None:
    """Send (name, weights, steps, images/s of training in each precision, images/s of each batch size)."""
    import keras
    import tensorflow as tf

    from keras_ddpm import presets
    from keras_ddpm.sampling_request import w_of_class
    from keras_ddpm.training.ddpm import DDPM

    generator = presets.load_preset(preset)
    config, shape, classes = presets.read_config(preset)
    w = w_of_class(config.sampling.w, CLASSES)
    rates = [
        rate(functools.partial(_draw, generator, w, batch), batch, at_least=arguments.seconds)
        for batch in arguments.batches
    ]
    batch = tuple(tf.constant(array) for array in _batch(arguments.training_batch))
    trained = []
    for precision in PRECISIONS:
        model = DDPM(presets.build_network(config, shape, classes, dtype=precision), generator.diffusion)
        model.compile(optimizer=keras.optimizers.AdamW(1e-3, global_clipnorm=1.0), jit_compile=False)
        step = tf.function(model.train_step)
        trained.append(train_rate(lambda step=step: float(step(batch)["loss"]), arguments))
    sender.send((f"keras_ddpm, {preset}", generator.network.count_params(), generator.steps, *trained, *rates))


def theirs(sender, size, arguments) -> None:
    """The same of diffusers, with about `size` weights. TensorFlow and PyTorch do not share a process."""
    import torch

    network = min((unet(width) for width in range(8, 97, 8)), key=lambda net: abs(_size(net) - size))
    rates = [
        rate(functools.partial(_denoise, network, batch), batch, at_least=arguments.seconds)
        for batch in arguments.batches
    ]
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3)
    images, labels = _batch(arguments.training_batch)
    x_0, labels = torch.from_numpy(images.transpose(0, 3, 1, 2).copy()), torch.from_numpy(labels).long()
    scheduler = _scheduler()

    def step(precision):
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
    trained = [train_rate(functools.partial(step, precision), arguments) for precision in PRECISIONS]
    sender.send(("diffusers, UNet2DModel", _size(network), STEPS, *trained, *rates))


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
