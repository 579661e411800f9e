"""The command line: python -m serving status | metadata | sample | bench."""

import dataclasses
import json
import os
import pathlib
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
import tyro

from .client import TLS, Client
from .client.arguments import fresh_seeds
from .client.errors import ServingError, invalid


@dataclasses.dataclass(frozen=True)
class _Server:
    """Which model of which server."""

    server: str = "localhost:8500"
    """host:port for gRPC, http://host:port or https for REST."""
    model: str = "ddpm"
    version: int | None = None
    label: str | None = None
    """Label of a version, such as stable."""
    deadline: float | None = None
    """Seconds for a whole call. Default: enough for its images and steps."""
    root_certificate: pathlib.Path | None = None
    """PEM file; turns on TLS over gRPC."""
    client_key: pathlib.Path | None = None
    client_certificate: pathlib.Path | None = None

    def client(self, **options) -> Client:
        files = {name: getattr(self, name) for name in ("root_certificate", "client_key", "client_certificate")}
        tls = TLS(**files) if any(files.values()) else None
        chosen = {name: getattr(self, name) for name in ("model", "version", "label", "deadline")}
        return Client(self.server, tls=tls, **chosen, **options)


@dataclasses.dataclass(frozen=True)
class Status(_Server):
    """Print the model's versions and their states."""

    wait: float | None = None
    """Seconds to wait until a version is available."""

    def run(self) -> None:
        with self.client() as client:
            if self.wait is not None:
                client.wait_ready(self.wait)
            print("\n".join(map(str, client.status())))


@dataclasses.dataclass(frozen=True)
class Metadata(_Server):
    """Print what the model says about itself, and its signatures."""

    def run(self) -> None:
        with self.client() as client:
            print(json.dumps(client.metadata(), indent=2))
            for name, signature in client.signatures().items():
                print(f"{name}: {signature}")


@dataclasses.dataclass(frozen=True)
class Sample(_Server):
    """Draw digits into a PNG, a row for each digit."""

    digits: tyro.conf.Positional[tuple[int, ...]] = ()
    """One digit or several."""
    w: float | None = None
    """Guidance: 0 ignores the digit, 1 is the conditional model, more is more typical. Default: the model's."""
    n: int = 1
    """Images of each digit."""
    out: pathlib.Path = pathlib.Path("digits.png")
    attributes: dict[str, float] = dataclasses.field(default_factory=dict)
    """What else the model knows, name and number: --attributes thickness 0.8 slant -0.3. Default: its own choice."""
    seed: int | None = None
    """Seed of the first image; the others follow. Default: fresh."""
    scale: int = 2
    """Size of a pixel in the PNG."""

    def run(self) -> None:
        for name, value in (("digits", len(self.digits)), ("n", self.n), ("scale", self.scale)):
            if value < 1:
                raise invalid(name, "at least one", value)
        if options := sorted({"digit", "w", "seed", "deadline"} & set(self.attributes)):
            raise invalid("attributes", "attributes of the model", options[0])
        folder = self.out.parent
        if self.out.is_dir() or not folder.is_dir() or not os.access(folder, os.W_OK):  # before any work
            raise OSError(f"Cannot write {str(self.out)!r}: its folder must exist and be writable")
        digit = np.repeat(self.digits, self.n)
        first = int(fresh_seeds(1)[0]) % 2**32 if self.seed is None else self.seed
        seed = [first + i for i in range(digit.size)]  # Python integers: too large a seed is an error, no wrap
        with self.client() as client:
            drawn = client.sample(digit, self.w, seed=seed, **self.attributes)
        drawn.grid(columns=self.n, scale=self.scale).save(self.out, format="PNG")
        print(f"{self.out}: {digit.size} images, seeds {first} to {seed[-1]}")


@dataclasses.dataclass(frozen=True)
class Bench(_Server):
    """Measure latency and throughput with several clients at once; nothing is tried twice."""

    clients: int = 16
    seconds: float = 10.0
    n: int = 1
    """Images in a request."""

    def run(self) -> None:
        from .client.bench import measure

        for name, value in (("clients", self.clients), ("seconds", self.seconds), ("n", self.n)):
            if not 0 < value < 1e6:
                raise invalid(name, "more than 0", value)
        print(measure(lambda: self.client(retries=0), clients=self.clients, seconds=self.seconds, n=self.n))


COMMANDS: dict[str, Any] = {"status": Status, "metadata": Metadata, "sample": Sample, "bench": Bench}


def main(args: Sequence[str] | None = None) -> None:
    """Run one command; a mistake in it, or an error from the server, is one line and exit status 2."""
    command = tyro.extras.subcommand_cli_from_dict(COMMANDS, prog=f"python -m {__package__}", args=args)
    try:
        command.run()
    except (ServingError, ValueError, OSError) as error:
        print("error:", " ".join(str(error).split()), file=sys.stderr)  # a server's message may have several lines
        sys.exit(2)


if __name__ == "__main__":
    main()
