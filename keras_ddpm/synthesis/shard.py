"""One shard, from the plan to a file with its entry.

A shard has the same bytes in every run on one kind of machine, in whichever process and after whichever shard. Two
things see to that: each batch has the same number of rows (an image depends on its own seed, but to float rounding also
on the size of the batch), and the generator is one that nothing else has called, with one compiled graph.
"""

import concurrent.futures
import functools
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

import numpy as np

from keras_ddpm.saving.files import sha256
from keras_ddpm.shards import manifest
from keras_ddpm.shards.batch import Batch
from keras_ddpm.shards.formats import FORMATS
from keras_ddpm.shards.storage import Bucket, Folder
from keras_ddpm.synthesis import filters
from keras_ddpm.synthesis.plan import Plan

Draw = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
"""From digits, w and seeds, each (B,), to images uint8 (B, H, W, C)."""
T = TypeVar("T")
ROW = 256  # bytes of a row beside its pixels, at most


def ensure(plan: Plan, i: int, folder: Folder | Bucket) -> tuple[dict[str, Any], str]:
    """Shard i as it should be: verified if it is there, written if not.

    Args:
        plan: What is drawn.
        i: Which shard, 0 ... plan.shards - 1.
        folder: Where to.

    Returns:
        Its entry in the manifest, and "verified", "written" or "repaired".

    Raises:
        OSError: if it cannot be written.
    """
    entry = manifest.read_entry(folder, plan.place(i))
    if entry is not None and manifest.holds(folder, entry):
        return entry, "verified"
    return write(plan, i, folder), "written" if entry is None else "repaired"


def write(plan: Plan, i: int, folder: Folder | Bucket, *, draw: Draw | None = None) -> dict[str, Any]:
    """Draw shard i and write it, batch by batch.

    Args:
        plan, i, folder: See `ensure`.
        draw: Draws a batch; None for the preset's generator, which is loaded once in a process.

    Returns:
        Its entry in the manifest.

    Raises:
        OSError: if it cannot be written; there is no file of it then.
    """
    start, end = plan.rows(i)
    size = (end - start) * (int(np.prod(plan.image_shape)) + ROW)
    draw, chosen = draw or drawer(plan), filters.of_plan(plan)
    labels, removed = np.zeros(plan.num_classes, "int64"), dict.fromkeys(chosen, 0)
    with folder.writing(plan.file(i), size=size) as path:
        drawn = ahead(batches(plan, i, draw))
        kept = keep(drawn, chosen, labels=labels, removed=removed)
        shape = {"image_shape": plan.image_shape, "num_classes": plan.num_classes}
        FORMATS[plan.format].write(path, kept, **shape)
        entry = {
            "file": plan.file(i),
            "count": int(labels.sum()),
            "labels": labels.tolist(),
            "seeds": [plan.seed + start, plan.seed + end - 1],
            "removed": removed,
            "bytes": path.stat().st_size,
            "sha256": sha256(path),
        }
    manifest.write_entry(folder, plan.place(i), entry)
    return entry


def batches(plan: Plan, i: int, draw: Draw) -> Iterator[Batch]:
    """The images of shard i. All are drawn in batches of `plan.batch` rows: the last one repeats its rows."""
    start, end = plan.rows(i)
    for first in range(start, end, plan.batch):
        places = np.arange(first, min(first + plan.batch, end))
        digits, seeds = plan.digits(places), plan.seed + places
        full = np.resize(digits, plan.batch), np.resize(seeds, plan.batch)
        images = draw(full[0], np.asarray(plan.w, "float32")[full[0]], full[1])
        yield Batch(images[: len(places)], digits, seeds)


def keep(drawn: Iterable[Batch], chosen: dict, *, labels: np.ndarray, removed: dict[str, int]) -> Iterator[Batch]:
    """The rows that pass all filters; counts the labels of those, and what each filter removes of the rest."""
    for batch in drawn:
        for name, passes in chosen.items():
            if len(batch.labels):
                passed = passes(batch.images, batch.labels)
                removed[name] += int((~passed).sum())
                batch = batch.only(passed)
        labels += np.bincount(batch.labels, minlength=len(labels))
        yield batch


def ahead(items: Iterator[T]) -> Iterator[T]:
    """The same items, the next of which is made in a thread while the last is worked on."""
    with concurrent.futures.ThreadPoolExecutor(1) as thread:
        item = thread.submit(next, items, None)
        while (found := item.result()) is not None:
            item = thread.submit(next, items, None)
            yield found


def drawer(plan: Plan) -> Draw:
    """The preset's own function of digits, w and seeds. Each process loads it once, for shards alone."""
    return _load(plan.preset, plan.sampler, plan.steps, plan.runtime, plan.weights)


@functools.lru_cache(maxsize=1)
def _load(preset, sampler, steps, runtime, weights):
    if runtime is not None:
        from keras_ddpm import runtimes

        return runtimes.load(preset, runtime, sampler=sampler, steps=steps).images
    from keras_ddpm.presets import load_preset

    return load_preset(preset, sampler=sampler, steps=steps).images
