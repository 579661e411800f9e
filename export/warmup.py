"""Warm-up records: requests that a server runs before it calls a version available.

A TFRecord of PredictionLog in `assets.extra`: `sample` at each allowed batch size, the other signatures once.
One bad record fails the load, so `verify` runs each of them.
"""

import numpy as np
import tensorflow as tf

from serving.local_server.servable import RECORDS


def requests(facts):
    """What is run: pairs of a signature's name and its inputs, a dict of arrays."""

    def rows(n):
        numbers = np.arange(n)
        digit = (numbers % facts["num_classes"]).astype("int32")
        return {"digit": digit, "w": np.full(n, facts["w"], "float32"), "seed": numbers.astype("int64")}

    one = rows(1)
    x_t = np.zeros((1, *facts["image_shape"]), "float32")
    yield from (("sample", rows(n)) for n in facts["allowed_batch_sizes"])
    yield from ((name, one) for name in ("serving_default", "sample_png", "trajectory"))
    yield "denoise", {"x_t": x_t, "t": np.zeros(1, "int32"), "digit": one["digit"], "w": one["w"]}
    yield "metadata", {"digit": one["digit"]}


def write(folder, facts):
    """Write the records into a SavedModel's folder."""
    from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

    path = folder / RECORDS
    path.parent.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for signature, inputs in requests(facts):
            request = predict_pb2.PredictRequest()
            request.model_spec.name, request.model_spec.signature_name = facts["name"], signature
            for name, value in inputs.items():
                request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
            log = prediction_log_pb2.PredictionLog(predict_log=prediction_log_pb2.PredictLog(request=request))
            writer.write(log.SerializeToString())
