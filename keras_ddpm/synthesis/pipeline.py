"""The shards as an Apache Beam pipeline.

    numbers of shards -> ensure -> entries -----------------> the manifest
                           |                                      ^
                           failed -> again, twice -> failed ------'

A shard that fails is tried again after all others, on whatever worker Beam chooses; the others do not notice. What
fails three times is named in the manifest, which is then not complete. A worker that dies is the runner's to replace.
"""

import contextlib
import logging
import pathlib
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions

from keras_ddpm.shards import manifest, tfrecord
from keras_ddpm.shards.storage import Bucket, Folder, open_folder
from keras_ddpm.synthesis import shard
from keras_ddpm.synthesis.plan import Plan

ATTEMPTS = 3
FAILED = "failed"
RUNNER = "FnApiRunner"
"""Beam's own direct runner. "DirectRunner" is a switch that may first download another one."""


class Ensure(beam.DoFn):
    """From the number of a shard to its entry; to (number, reason) in the output "failed" if that goes wrong.

    Args:
        plan: What is drawn.
        out: Folder or bucket.
    """

    def __init__(self, plan: Plan, out: str):
        self.plan, self.out = plan, out

    def process(self, i: int) -> Iterator[Any]:
        try:
            entry, how = shard.ensure(self.plan, i, open_folder(self.out))
        except Exception as error:  # whatever goes wrong with one shard must not stop the others
            logging.info("shard %d failed", i, exc_info=True)
            yield beam.pvalue.TaggedOutput(FAILED, (i, " ".join(str(error).split())[:300] or repr(error)))
            return
        beam.metrics.Metrics.counter("keras_ddpm", how).inc()
        yield i, entry


def run(pipeline: beam.Pipeline) -> dict[str, int]:
    """Run what `build` made, and wait for it: how many shards were "written", "verified" and "repaired"."""
    result = pipeline.run()
    result.wait_until_finish()
    found = result.metrics().query(beam.metrics.MetricsFilter().with_namespace("keras_ddpm"))["counters"]
    return {counter.key.metric.name: counter.result for counter in found}


def build(plan: Plan, out: str, *, description: dict[str, Any], options: Sequence[str] = ()) -> beam.Pipeline:
    """The pipeline of a plan, which reads and writes nothing yet.

    Args:
        plan: What is drawn.
        out: Folder or bucket.
        description: What the manifest says beside the shards.
        options: Beam's own, such as "--runner=DataflowRunner".

    Raises:
        ValueError: for a runner that Beam does not know.
    """
    settings = PipelineOptions(list(options))
    if not any(option.partition("=")[0] == "--runner" for option in options):
        settings.view_as(StandardOptions).runner = RUNNER
    pipeline = beam.Pipeline(options=settings)
    todo = pipeline | "shards" >> beam.Create(range(plan.shards)) | "spread" >> beam.Reshuffle()
    finished = []
    for attempt in range(1, ATTEMPTS + 1):
        step = beam.ParDo(Ensure(plan, out)).with_outputs(FAILED, main="entries")
        done = todo | f"attempt {attempt}" >> step
        finished.append(done.entries)
        failed = done[FAILED]
        todo = failed | f"number {attempt}" >> beam.Keys() | f"spread {attempt}" >> beam.Reshuffle()
    entries = finished | "all" >> beam.Flatten()
    _ = (
        pipeline
        | "once" >> beam.Create([out])
        | "manifest"
        >> beam.Map(finish, plan, description, entries=beam.pvalue.AsList(entries), failed=beam.pvalue.AsList(failed))
    )
    return pipeline


def finish(out: str, plan: Plan, description: dict, *, entries: Iterable, failed: Iterable) -> None:
    """Write the manifest, and TFDS's description of a TFRecord data set; remove what killed workers left."""
    folder, missing = open_folder(out), sorted(failed)
    if missing:
        names = [{"shard": i, "reason": reason} for i, reason in missing]
        with contextlib.suppress(OSError):  # a full disk: the manifest stays as it was, not complete
            manifest.write(folder, {"complete": False, **description, FAILED: names})
        return
    shards = [entry for _, entry in sorted(entries, key=lambda pair: pair[0])]
    if plan.format == "tfrecord":
        write_info(folder, plan, shards)
    folder.remove_partials()
    manifest.write(folder, {"complete": True, **description, **manifest.total(shards), "shards": shards})


def write_info(folder: Folder | Bucket, plan: Plan, shards: list[dict]) -> None:
    """dataset_info.json and features.json, made by TFDS in a local folder."""
    with tempfile.TemporaryDirectory() as made:
        tfrecord.write_info(
            pathlib.Path(made),
            lengths=[entry["count"] for entry in shards],
            num_bytes=sum(entry["bytes"] for entry in shards),
            image_shape=plan.image_shape,
            num_classes=plan.num_classes,
            description=f"Digits drawn by keras_ddpm, preset {plan.name}. See {manifest.NAME}.",
        )
        for file in sorted(pathlib.Path(made).iterdir()):
            with folder.writing(file.name) as path:
                path.write_bytes(file.read_bytes())
