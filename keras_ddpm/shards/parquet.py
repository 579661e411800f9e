"""Shards as Parquet files, which Hugging Face's `datasets` and pandas read.

An image is a struct of its PNG and no path, as `datasets` keeps images; its description of the columns lies in the
file's metadata, so that `load_dataset` decodes them.
"""

import json
import os
from collections.abc import Iterable, Iterator
from typing import Any

from keras_ddpm.shards.batch import ROWS, Batch, from_rows, to_pngs


def write(path: str | os.PathLike, batches: Iterable[Batch], *, image_shape: tuple, num_classes: int) -> None:
    """Write batches as Parquet, a row group each; see `tfrecord.write`."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = _schema(num_classes)
    with pq.ParquetWriter(path, schema, compression="none") as file:  # PNG is compressed already
        for batch in batches:
            pngs = [{"bytes": png, "path": None} for png in to_pngs(batch.images)]
            columns = [pa.array(pngs, schema.field("image").type), pa.array(batch.labels), pa.array(batch.seeds)]
            file.write_batch(pa.record_batch(columns, schema=schema))


def read(path: str | os.PathLike, *, image_shape: tuple, num_classes: int) -> Iterator[Batch]:
    """The images of a file that `write` wrote, in batches."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        for rows in file.iter_batches(ROWS):
            pngs = rows.column("image").field("bytes").to_pylist()
            yield from_rows(list(zip(pngs, rows.column("label").to_pylist(), rows.column("seed").to_pylist())))


def _schema(num_classes) -> Any:
    import pyarrow as pa

    columns = {
        "image": {"_type": "Image"},
        "label": {"names": [str(label) for label in range(num_classes)], "_type": "ClassLabel"},
        "seed": {"dtype": "int64", "_type": "Value"},
    }
    image = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    described = {"huggingface": json.dumps({"info": {"features": columns}})}
    return pa.schema([("image", image), ("label", pa.int64()), ("seed", pa.int64())], metadata=described)
