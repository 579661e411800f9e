"""A SavedModel as a server runs it: loaded into a session of TensorFlow's C++ runtime, and run by the names of tensors.

This is what TensorFlow Serving does. `tf.saved_model.load` is more forgiving: models that it runs can fail here.
Loading executes the graph (initialisers, and the warm-up records that the model brings): load only what you trust.

Each signature gets a pool of threads for its operations: in TensorFlow's one common pool a quick signature would wait
behind the operations of slow ones.
"""

import contextlib
import ctypes
import gc
import os
import pathlib
from collections.abc import Sequence

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

from . import errors, predict
from .errors import INVALID_ARGUMENT, StatusError

RECORDS = "assets.extra/tf_serving_warmup_requests"
MAX_RECORDS = 1000
FRAME = 16  # bytes of a TFRecord around its content


class Servable:
    """One version of a model, ready to run.

    Args:
        path: Folder of a SavedModel.

    Raises:
        StatusError: if a file is not a regular one, or a warm-up record does not run.
        Exception: whatever TensorFlow raises for a folder that is no complete SavedModel.
    """

    def __init__(self, path: str | os.PathLike):
        path = pathlib.Path(path)
        _check_files(path)
        config = tf.compat.v1.ConfigProto()
        self._pools = {name: i for i, name in enumerate(_signature_names(path), start=1)}  # 0 loads
        for _ in range(1 + len(self._pools)):
            config.session_inter_op_thread_pool.add()
        self.session = tf.compat.v1.Session(graph=tf.Graph(), config=config)
        try:
            with self.session.graph.as_default():
                loaded = tf.compat.v1.saved_model.loader.load(self.session, ["serve"], str(path))
            self.signatures = dict(loaded.signature_def)
            for request in read_warm_up(path):
                call = predict.read_request(request, self.signatures)
                self.run(call.signature, call.inputs, call.outputs)
        except BaseException:
            self.session.close()
            raise

    def run(
        self,
        signature: str,
        inputs: dict[str, np.ndarray],
        outputs: Sequence[str] | None = None,
        *,
        timeout: float | None = None,
    ) -> dict[str, np.ndarray]:
        """Run one signature; may be called by several threads at once.

        Args:
            signature: Name of a signature.
            inputs: dict of alias -> array, of the signature's types.
            outputs: Aliases to compute; None computes all.
            timeout: Seconds after which the graph is stopped; None waits for ever.

        Returns:
            dict of alias -> array.

        Raises:
            StatusError: with TensorFlow's code if the graph refuses or is stopped.
        """
        definition = self.signatures[signature]
        outputs = sorted(definition.outputs) if outputs is None else outputs
        feeds = {definition.inputs[alias].name: array for alias, array in inputs.items()}
        fetches = {alias: definition.outputs[alias].name for alias in outputs}
        options = tf.compat.v1.RunOptions(inter_op_thread_pool=self._pools.get(signature, 0))
        if timeout is not None:
            options.timeout_in_ms = max(1, round(timeout * 1000))
        try:
            return self.session.run(fetches, feeds, options=options)
        except tf.errors.OpError as error:
            raise errors.from_tensorflow(error) from error

    def close(self) -> None:
        """Give the memory back; nothing may be running."""
        self.session.close()
        self.session = None
        return_freed_memory()


def return_freed_memory() -> None:
    """Collect the cycles that a graph is made of, and ask the C library to give freed memory back to the system.

    glibc keeps what a thread has freed for that thread; loading in ever new threads would look like a leak.
    """
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):  # another C library
        ctypes.CDLL(None).malloc_trim(0)


def read_warm_up(folder: pathlib.Path) -> list[predict_pb2.PredictRequest]:
    """The warm-up requests of a SavedModel, run once when it is loaded: the first run of a graph is slow.

    Raises:
        StatusError: if there are too many, one is not for Predict, or the file is cut short.
    """
    path = folder / RECORDS
    if not path.exists():
        return []
    records = [record.numpy() for record in tf.data.TFRecordDataset(str(path)).take(MAX_RECORDS + 1)]
    if len(records) > MAX_RECORDS:
        raise StatusError(INVALID_ARGUMENT, f"Warm-up must have at most {MAX_RECORDS} records: {path} has more")
    read = sum(len(record) + FRAME for record in records)
    if read != path.stat().st_size:  # TensorFlow takes a file that ends within a record's first bytes for complete
        raise StatusError(INVALID_ARGUMENT, f"Warm-up must end with a record: {path} has bytes after {read}")
    logs = [prediction_log_pb2.PredictionLog.FromString(record) for record in records]
    for i, log in enumerate(logs):
        if not log.HasField("predict_log"):
            raise StatusError(INVALID_ARGUMENT, f"Warm-up record {i} of {path} must be a predict_log")
    return [log.predict_log.request for log in logs]


def _check_files(folder):
    """Refuse what would make the loader wait for ever, such as a named pipe."""
    for path in (folder / "saved_model.pb", folder / RECORDS, *(folder / "variables").glob("*")):
        if path.exists() and not path.is_file():
            raise StatusError(INVALID_ARGUMENT, f"{path} must be a regular file")


def _signature_names(folder):
    path = folder / "saved_model.pb"
    if not path.exists():  # the loader knows other files, and says what it misses
        return []
    graphs = saved_model_pb2.SavedModel.FromString(path.read_bytes()).meta_graphs
    return sorted({name for graph in graphs for name in graph.signature_def})
