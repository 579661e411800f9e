"""Warm-up records: requests that a model carries in its own folder, run once when it is loaded.

The first run of a graph is slow (memory, kernels chosen); better that no user waits for it. As in TensorFlow Serving, a
record that cannot be run fails the load.
"""

import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from serving.refusal import INVALID_ARGUMENT, RefusalError

RECORDS = "assets.extra/tf_serving_warmup_requests"
MAX_RECORDS = 1000


def read_warm_up(folder):
    """The warm-up requests of a SavedModel.

    Args:
        folder: Path of a SavedModel.

    Returns:
        list of PredictRequest; empty if the folder has no records.

    Raises:
        RefusalError: if there are too many, or one that is not for Predict.
    """
    path = folder / RECORDS
    if not path.exists():
        return []
    records = [record.numpy() for record in tf.data.TFRecordDataset(str(path)).take(MAX_RECORDS + 1)]
    if len(records) > MAX_RECORDS:
        raise RefusalError(INVALID_ARGUMENT, f"Warm-up must have at most {MAX_RECORDS} records: {path} has more")
    logs = [prediction_log_pb2.PredictionLog.FromString(record) for record in records]
    for i, log in enumerate(logs):
        if not log.HasField("predict_log"):
            raise RefusalError(INVALID_ARGUMENT, f"Warm-up record {i} of {path} must be a predict_log")
    return [log.predict_log.request for log in logs]
