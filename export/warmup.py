"""Warm-up records: requests that a server runs before it calls a version available.

A TFRecord of PredictionLog in `assets.extra`: `sample` at each allowed batch size, the other signatures once.
One bad record fails the load, so `verify` runs each of them.
"""

import pathlib
from collections.abc import Iterator

import numpy as np
import tensorflow as tf

RECORDS = "assets.extra/tf_serving_warmup_requests"  # where TensorFlow Serving looks


def requests(metadata: dict) -> Iterator[tuple[str, dict]]:
    """What is run: pairs of a signature's name and its inputs, a dict of arrays."""

    def rows(n):
        numbers = np.arange(n)
        digit = (numbers % metadata["num_classes"]).astype("int32")
        return {"digit": digit, "w": np.full(n, metadata["w"], "float32"), "seed": numbers.astype("int64")}

    def asked(n):
        return rows(n) | not_given(n)

    def not_given(n):
        return {name: np.full(n, np.nan, "float32") for name in metadata.get("attributes", ())}

    one = rows(1)
    x_t = np.zeros((1, *metadata.get("latent_shape", metadata["image_shape"])), "float32")
    yield from (("sample", asked(n)) for n in metadata["allowed_batch_sizes"])
    yield from ((name, asked(1)) for name in ("serving_default", "sample_png", "trajectory"))
    yield "denoise", {"x_t": x_t, "t": np.zeros(1, "int32"), "digit": one["digit"], "w": one["w"], **not_given(1)}
    if "restore" in metadata:
        half = np.zeros((1, *metadata["image_shape"][:2]), "uint8")
        half[:, : half.shape[1] // 2] = 1
        yield "restore", {"image": np.zeros((1, *metadata["image_shape"]), "uint8"), "mask": half, **one}
    yield "metadata", {"digit": one["digit"]}


def write(folder: pathlib.Path, metadata: dict) -> None:
    """Write the records into a SavedModel's folder."""
    from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

    path = folder / RECORDS
    path.parent.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for signature, inputs in requests(metadata):
            request = predict_pb2.PredictRequest()
            request.model_spec.name, request.model_spec.signature_name = metadata["name"], signature
            for name, value in inputs.items():
                request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
            log = prediction_log_pb2.PredictionLog(predict_log=prediction_log_pb2.PredictLog(request=request))
            writer.write(log.SerializeToString())
