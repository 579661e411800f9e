"""One version that is served: a servable, with a queue for each signature."""

import asyncio
import concurrent.futures
import functools
import json
import logging
import pathlib

import numpy as np
from tensorflow.core.protobuf.meta_graph_pb2 import SignatureDef

from .batching import Batcher
from .errors import StatusError
from .merging import Limits
from .predict import Call
from .servable import Servable

logger = logging.getLogger(__name__)

SIZES = (1, 2, 4, 8, 16, 32, 64)


class Version:
    """A loaded model and its queues.

    Args:
        path: Numbered folder of a SavedModel.
        batch_rows: Most rows to merge; 0 merges nothing.
        queue: Requests that may wait, for each signature.
    """

    def __init__(self, path: pathlib.Path, *, batch_rows: int, queue: int):
        self.number = int(path.name)
        self.servable = Servable(path)
        self.signatures = self.servable.signatures
        self._batch_rows = batch_rows
        self._queue = queue
        # Each signature runs one batch at a time: with a thread for each, a quick one never stands behind a slow one.
        self._pool = concurrent.futures.ThreadPoolExecutor(max(1, len(self.signatures)), thread_name_prefix="session")
        self._sizes = read_sizes(self.servable)
        self._batchers: dict[str, Batcher] = {}

    async def run(self, call: Call, *, timeout: float) -> dict[str, np.ndarray]:
        """Run a checked call, together with others of its signature, for a client that waits `timeout` seconds.

        Raises:
            StatusError: see `Batcher.submit`.
        """
        if call.signature not in self._batchers:
            rows = min(self._batch_rows, self._sizes[-1]) if mergeable(self.signatures[call.signature]) else 0
            limits = Limits(rows, self._sizes, self._queue)
            run = functools.partial(self.servable.run, call.signature)
            self._batchers[call.signature] = Batcher(run, limits, self._pool)
        return await self._batchers[call.signature].submit(call.inputs, call.outputs, timeout=timeout)

    async def close(self) -> None:
        """Give the memory back, after the run that nobody waits for any more."""
        for batcher in self._batchers.values():
            await batcher.drain()
        self._pool.shutdown(wait=False)
        await asyncio.to_thread(self.servable.close)


def mergeable(signature: SignatureDef) -> bool:
    """Whether requests of a signature can be merged: every input and output has any number of rows."""
    shapes = [info.tensor_shape for side in (signature.inputs, signature.outputs) for info in side.values()]
    return all(shape.dim and shape.dim[0].size == -1 for shape in shapes)


def read_sizes(servable: Servable) -> tuple[int, ...]:
    """The batch sizes, rising, that a model says it was made for; powers of two up to 64 if it says nothing."""
    if "metadata" not in servable.signatures:
        return SIZES
    try:
        inputs = {"digit": np.zeros(1, "int32")}
        metadata = json.loads(servable.run("metadata", inputs, ["metadata"])["metadata"][0])
        sizes = tuple(sorted({*map(int, metadata["allowed_batch_sizes"]), int(metadata["max_batch"])}))
        if sizes[0] < 1:
            raise ValueError(f"batch sizes must be at least 1. Received: {sizes}")
        return sizes
    except (StatusError, ValueError, KeyError, TypeError) as error:
        logger.warning("the model's metadata do not say its batch sizes (%s): powers of two up to 64", error)
        return SIZES
