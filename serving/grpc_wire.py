"""TensorFlow Serving over gRPC: PredictionService and ModelService.

The message classes come with tensorflow-serving-api, which imports TensorFlow; hence only whoever makes a `GrpcWire`
imports this module, and making one takes seconds the first time.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # TensorFlow's start-up messages are not ours

import grpc
import tensorflow as tf
from tensorflow.core.framework import types_pb2
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from serving import errors
from serving.signature import Signature, TensorSpec
from serving.status import VersionStatus

CHANNEL = {
    "grpc.use_local_subchannel_pool": 1,  # two clients are two connections
    "grpc.initial_reconnect_backoff_ms": 100,  # by default 1 s: longer than the tries of a call
    "grpc.min_reconnect_backoff_ms": 1000,
    "grpc.max_reconnect_backoff_ms": 2000,
}


class GrpcWire:
    """A connection to one model of one server.

    Args:
        address: "host:port", or any target gRPC knows.
        target: `Target`.
        tls: `TLS`, or None for an open connection.
        max_message_bytes: Largest message to send or to take.
    """

    def __init__(self, address, target, *, tls, max_message_bytes):
        self.target = target
        limits = {"grpc.max_send_message_length": max_message_bytes}
        limits["grpc.max_receive_message_length"] = max_message_bytes
        options = list((CHANNEL | limits).items())
        if tls is None:
            self.channel = grpc.insecure_channel(address, options=options)
        else:
            self.channel = grpc.secure_channel(address, grpc.ssl_channel_credentials(*tls.read()), options=options)
        self.predictions = prediction_service_pb2_grpc.PredictionServiceStub(self.channel)
        self.models = model_service_pb2_grpc.ModelServiceStub(self.channel)

    def predict(self, name, inputs, signature, timeout):
        """Outputs of a signature, dict of name -> array; inputs are arrays of the right dtypes."""
        request = predict_pb2.PredictRequest()
        self._fill(request.model_spec)
        request.model_spec.signature_name = name
        for key, array in inputs.items():
            request.inputs[key].CopyFrom(tf.make_tensor_proto(array, dtype=signature.inputs[key].dtype))
        response = _ask(self.predictions.Predict, request, timeout)
        try:
            return {key: tf.make_ndarray(tensor) for key, tensor in response.outputs.items()}
        except (TypeError, ValueError) as error:
            raise errors.ServingError(f"The server's answer cannot be read: {error}", code="INTERNAL") from error

    def signatures(self, timeout):
        """dict of name -> `Signature`."""
        request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
        self._fill(request.model_spec)
        response = _ask(self.predictions.GetModelMetadata, request, timeout)
        signatures = get_model_metadata_pb2.SignatureDefMap()
        response.metadata["signature_def"].Unpack(signatures)
        return {
            name: Signature(_specs(definition.inputs), _specs(definition.outputs))
            for name, definition in signatures.signature_def.items()
        }

    def status(self, timeout):
        """List of `VersionStatus`."""
        request = get_model_status_pb2.GetModelStatusRequest()
        self._fill(request.model_spec, label=False)
        response = _ask(self.models.GetModelStatus, request, timeout)
        name = get_model_status_pb2.ModelVersionStatus.State.Name
        return [
            VersionStatus(version.version, name(version.state), version.status.error_message)
            for version in response.model_version_status
        ]

    def close(self):
        """End the connection; requests under way fail."""
        self.channel.close()

    def _fill(self, spec, *, label=True):
        spec.name = self.target.model
        if self.target.version is not None:
            spec.version.value = self.target.version
        elif label and self.target.label is not None:
            spec.version_label = self.target.label


def _specs(infos):
    specs = {}
    for name, info in infos.items():
        sizes = None if info.tensor_shape.unknown_rank else [dim.size for dim in info.tensor_shape.dim]
        specs[name] = TensorSpec.from_wire(types_pb2.DataType.Name(info.dtype), sizes)
    return specs


def _ask(method, request, timeout):
    try:
        return method(request, timeout=timeout)
    except grpc.RpcError as error:
        code, details = error.code().name, error.details() or "no details"
        if code == "RESOURCE_EXHAUSTED" and "message larger than max" in details:
            raise errors.TooLarge(f"{details}. See `max_message_bytes`", code=code) from error
        raise errors.from_code(code, details) from error
    except ValueError as error:  # gRPC's answer on a closed channel
        raise errors.closed() from error
