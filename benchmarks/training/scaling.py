"""When the network between devices is the limit of data-parallel training: a calculation, nothing is timed.

KERAS_BACKEND=jax python -m benchmarks.training.scaling

Each step all devices sum their gradients, float32, one for each of P weights. In a ring of N devices each one sends and
receives 2 (N - 1) / N of them, so at most

    bytes = 2 * 4 P        seconds = bytes / bandwidth

however many devices there are. Computing takes 3 F a step for each of a device's b images, F operations of one forward
pass (the backward pass costs two), counted by XLA in the traced network. If nothing overlaps, the network takes as long
as the computation at

    b = 8 P operations_per_second / (3 F bandwidth)

images a device. With more, computing is the limit; with fewer, the network.
"""

import dataclasses
import math

import keras
import numpy as np
import tyro

from configs import mnist
from keras_ddpm.cli.run import run
from keras_ddpm.config import Config, NetworkConfig
from keras_ddpm.networks.build import build_network

GIGABIT = 1e9 / 8  # bytes a second
LARGE = NetworkConfig(widths=(360, 712), depths=(3, 7), embed_dim=512)  # 100 million weights


@dataclasses.dataclass(frozen=True)
class Arguments:
    operations: float = 50e12
    """Operations a second that a device really reaches in training: an assumption, to be replaced by a measured one."""
    gigabits: tuple[float, ...] = (1, 10, 100, 400)
    """Bandwidths of the network between devices, Gbit/s each way."""


def sizes(config: Config) -> tuple[int, float]:
    """The weights P of a configuration's network, and the operations F of one image's forward pass.

    Raises:
        ValueError: on another backend than JAX, whose tracer counts the operations.
    """
    if keras.backend.backend() != "jax":
        raise ValueError(f"XLA counts the operations: set KERAS_BACKEND=jax. Received: {keras.backend.backend()!r}")
    import jax

    network = build_network(config, (28, 28, 1), 10)
    values = [variable.value for variable in network.variables]

    def forward(values, x_t, t, label):
        with keras.StatelessScope(state_mapping=list(zip(network.variables, values))):
            return network(x_t, t, {"label": label})

    inputs = (np.zeros((1, 28, 28, 1), "float32"), np.ones(1, "float32"), np.zeros(1, "int32"))
    cost = jax.jit(forward).lower(values, *inputs).cost_analysis()
    return sum(math.prod(weight.shape) for weight in network.trainable_weights), float(cost["flops"])


def bytes_a_step(weights: int, devices: float = math.inf) -> float:
    """Bytes that each of a ring of devices sends in a step.

    Example:
        >>> bytes_a_step(1_000, 2)
        4000.0
    """
    return 8.0 * weights * (1.0 - 1.0 / devices)


def images_at_the_limit(weights: int, forward: float, *, operations: float, bandwidth: float) -> float:
    """Images a device and step at which the network takes as long as the computation.

    Args:
        weights: P.
        forward: Operations F of one image's forward pass.
        operations: A device's operations a second.
        bandwidth: Bytes a second, each way.
    """
    return bytes_a_step(weights) / bandwidth * operations / (3.0 * forward)


def main() -> None:
    arguments = tyro.cli(Arguments, description=__doc__)
    print(f"calculated for devices of {arguments.operations:.0e} operations a second")
    columns = [f"{gigabits:g} Gbit/s" for gigabits in arguments.gigabits]
    print(f"| network | weights | GFLOP forward | bytes a step | {' | '.join(columns)} |")
    print("|---" * (4 + len(columns)) + "|")
    large = dataclasses.replace(mnist.get_config(), network=LARGE)
    for name, config in (("mnist", mnist.get_config()), ("large", large)):
        weights, forward = sizes(config)
        limits = []
        for gigabits in arguments.gigabits:
            bandwidth = gigabits * GIGABIT
            images = images_at_the_limit(weights, forward, operations=arguments.operations, bandwidth=bandwidth)
            limits.append(f"{images:,.0f} images, {1e3 * bytes_a_step(weights) / bandwidth:.1f} ms")
        cells = (name, f"{weights:,}", f"{forward / 1e9:.3f}", f"{bytes_a_step(weights) / 1e6:,.1f} MB", *limits)
        print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    run(main)
