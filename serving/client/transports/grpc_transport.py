"""TensorFlow Serving over gRPC: PredictionService and ModelService.

The message classes come with tensorflow-serving-api, which imports TensorFlow; hence this module is imported only for a
gRPC address, and the first time takes seconds.
"""

import math
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # TensorFlow's start-up messages are not ours

import grpc
import numpy as np
import tensorflow as tf
from google.protobuf import json_format
from tensorflow.core.framework import types_pb2
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from .. import errors
from ..model_spec import ModelSpec, VersionStatus
from ..signature import Call, Signature, dtype_name
from ..tls import TLS

CHANNEL = {
    "grpc.use_local_subchannel_pool": 1,  # two clients are two connections
    "grpc.initial_reconnect_backoff_ms": 100,  # by default 1 s: longer than the tries of a call
    "grpc.min_reconnect_backoff_ms": 1000,
    "grpc.max_reconnect_backoff_ms": 2000,
}
MAX_METADATA = 2**20  # bytes, of which JSON takes about a hundred times as much; a model's has some thousand
AS_REST = {"preserving_proto_field_name": True, "always_print_fields_with_no_presence": True}  # a message as JSON


class GrpcTransport:
    """See `Transport`.

    Args:
        address: "host:port", or any target gRPC knows.
        spec: The model.
        tls: `TLS`, or None for an open connection.
        max_message_bytes: Largest message to send or to take.
    """

    def __init__(self, address: str, spec: ModelSpec, *, tls: TLS | None, max_message_bytes: int):
        self.spec, self.max_message_bytes = spec, max_message_bytes
        limits = {"grpc.max_send_message_length": max_message_bytes}
        limits["grpc.max_receive_message_length"] = max_message_bytes
        options = list((CHANNEL | limits).items())
        if tls is None:
            self.channel = grpc.insecure_channel(address, options=options)
        else:
            self.channel = grpc.secure_channel(address, grpc.ssl_channel_credentials(*tls.read()), options=options)
        self.predictions = prediction_service_pb2_grpc.PredictionServiceStub(self.channel)
        self.models = model_service_pb2_grpc.ModelServiceStub(self.channel)

    def predict(self, call: Call, seconds: float) -> dict[str, np.ndarray]:
        """See `Transport`."""
        size = sum(array.nbytes for array in call.inputs.values())
        if size > self.max_message_bytes:  # a message of 2 GiB cannot even be made
            raise errors.TooLarge(f"{size} bytes to send. `max_message_bytes` is {self.max_message_bytes}")
        request = predict_pb2.PredictRequest()
        self._fill(request.model_spec)
        request.model_spec.signature_name = call.name
        for key, array in call.inputs.items():
            dtype = "string" if array.dtype == object else array.dtype
            request.inputs[key].CopyFrom(tf.make_tensor_proto(array, dtype=dtype))
        response = _ask(self.predictions.Predict, request, seconds)
        with errors.reading_response():
            found = dict(response.outputs)
            return {key: _to_array(key, found[key], spec, call.rows) for key, spec in call.outputs.items()}

    def signatures(self, seconds: float) -> dict[str, Signature]:
        """See `Transport`."""
        request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
        self._fill(request.model_spec)
        response = _ask(self.predictions.GetModelMetadata, request, seconds)
        signatures = get_model_metadata_pb2.SignatureDefMap()
        with errors.reading_response():
            if response.ByteSize() > MAX_METADATA:
                raise ValueError(f"{response.ByteSize()} bytes of metadata")
            if not dict(response.metadata)["signature_def"].Unpack(signatures):
                raise ValueError("`signature_def` has another type")
            found = json_format.MessageToDict(signatures, **AS_REST)["signature_def"]
            return {name: Signature.from_json(definition) for name, definition in found.items()}

    def status(self, seconds: float) -> list[VersionStatus]:
        """See `Transport`."""
        request = get_model_status_pb2.GetModelStatusRequest()
        self._fill(request.model_spec, label=False)
        response = _ask(self.models.GetModelStatus, request, seconds)
        name = get_model_status_pb2.ModelVersionStatus.State.Name
        with errors.reading_response():
            return [
                VersionStatus(version.version, name(version.state), version.status.error_message)
                for version in response.model_version_status
            ]

    def after_fork(self) -> "GrpcTransport":
        """See `Transport`; gRPC's threads do not exist in a child process.

        Raises:
            ServingError: always.
        """
        message = "A gRPC client cannot be used after a fork: make one in the child process, or use REST"
        raise errors.ServingError(message, code="FAILED_PRECONDITION")

    def close(self) -> None:
        """See `Transport`."""
        self.channel.close()

    def _fill(self, model_spec, *, label=True):
        model_spec.name = self.spec.model
        if self.spec.version is not None:
            model_spec.version.value = self.spec.version
        elif label and self.spec.label is not None:
            model_spec.version_label = self.spec.label


def _to_array(name, tensor, spec, rows):
    """Decode a TensorProto, once it is what was asked for and carries every value that it claims.

    Deviation: TensorFlow would repeat the last value of a typed field that is too short, so that a message of 30 bytes
    could take gigabytes; no server is known to send such results.
    """
    shape = tuple(dim.size for dim in tensor.tensor_shape.dim)
    spec.check_output(name, dtype_name(types_pb2.DataType.Name(tensor.dtype)), shape, rows=rows)
    count = math.prod(shape)
    if tensor.tensor_content:
        carried = len(tensor.tensor_content) / spec.numpy_dtype().itemsize
    else:
        fields = [values for field, values in tensor.ListFields() if field.name.endswith("_val")]
        carried = max(map(len, fields), default=0)
    if carried != count:
        raise ValueError(f"`{name}` claims {count} values and carries {carried:g}")
    return tf.make_ndarray(tensor)


def _ask(method, request, seconds):
    try:
        return method(request, timeout=seconds)
    except grpc.RpcError as error:
        code, details = error.code().name, error.details() or "no details"
        if code == "RESOURCE_EXHAUSTED" and "message larger than max" in details:
            raise errors.TooLarge(f"{details}. See `max_message_bytes`", code=code) from error
        raise errors.from_code(code, details) from error
    except ValueError as error:  # gRPC's answer on a closed channel
        raise errors.client_closed() from error
