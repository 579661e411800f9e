"""Compare what a server draws with `keras_ddpm.sample`, picture by picture.

    python -m serving.deploy.compare localhost:8500 [--preset mnist]

The same digit, w and seed must give the same picture wherever it is drawn. Two machines may round the last bit
differently, so a pixel may differ by one grey level, as in `python -m export verify`.
"""

import dataclasses
import sys
from collections.abc import Sequence

import numpy as np
import tyro

import keras_ddpm
from keras_ddpm.presets import DEFAULT

from ..client import Client

DIGITS = tuple(range(10))
W = (0.0, 1.0, 2.0, 3.0, 1.0, 2.0, 0.0, 3.0, 2.0, 1.0)
SEEDS = tuple(range(100, 110))


@dataclasses.dataclass(frozen=True)
class Arguments:
    address: tyro.conf.Positional[str]
    """host:port of gRPC, or http://host:port of REST."""
    preset: str = DEFAULT
    """What the model was exported from."""


def compare(client: Client, *, preset: str = DEFAULT) -> tuple[int, int]:
    """Draw ten digits at the server, together and one alone, and the same ten here.

    Args:
        client: `Client` of the server.
        preset: What its model was exported from.

    Returns:
        Greatest difference, in grey levels, and the number of pixels that differ.

    Raises:
        ServingError: when no answer comes.
        ValueError: if there is no such preset.
    """
    model = client.metadata()
    served = client.sample(DIGITS, W, seed=SEEDS).images
    alone = client.sample(DIGITS[7], W[7], seed=SEEDS[7]).images
    given = {"sampler": model["sampler"], "steps": model["steps"], "temperature": model.get("temperature")}
    drawn = keras_ddpm.sample(DIGITS, W, seed=SEEDS, **given, preset=preset)
    pairs = ((served, drawn), (alone, drawn[7:8]))
    differences = np.concatenate([np.abs(a.astype(int) - b) for a, b in pairs])
    return int(differences.max()), int(np.count_nonzero(differences))


def main(args: Sequence[str] | None = None) -> None:
    """Run the command; pictures that differ are exit status 1."""
    options = tyro.cli(Arguments, prog="python -m serving.deploy.compare", description=__doc__, args=args)
    with Client(options.address) as client:
        greatest, pixels = compare(client.wait_ready(), preset=options.preset)
    print(f"{options.address}: {pixels} pixels of {len(DIGITS) + 1} pictures differ, by {greatest} grey levels at most")
    if greatest > 1:
        sys.exit(1)


if __name__ == "__main__":
    main()
