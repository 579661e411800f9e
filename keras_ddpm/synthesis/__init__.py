"""Synthetic data sets: `synthesize` draws any number of labelled images into shards, as an Apache Beam pipeline.

    plan.py        what is drawn: every image follows from its place in the data set
    shard.py       one shard, from the plan to a file: no Beam in it
    filters.py     what is drawn and not kept, on request
    pipeline.py    the shards as a pipeline
    api.py         all checks, then the pipeline

An image depends on (digit, w, seed) alone, and shard i is the seeds [iN, (i+1)N) after the first. So any worker can
write any shard at any time, twice if need be, and the data set is the same.
"""

import importlib
from typing import Any

_NAMES = {"synthesize": "api", "Plan": "plan"}

__all__ = [*_NAMES]


def __getattr__(name: str) -> Any:
    if name not in _NAMES:
        raise AttributeError(f"module 'keras_ddpm.synthesis' has no attribute {name!r}")
    return getattr(importlib.import_module(f"keras_ddpm.synthesis.{_NAMES[name]}"), name)
