"""A bare gRPC caller for the local server's tests: messages in, messages out, nothing checked on the way."""

import contextlib
import json
import time
import urllib.error
import urllib.request

import grpc
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from serving.local_server.tensors import to_array, to_proto


class Caller:
    """Stubs of one server."""

    def __init__(self, channel):
        self.channel = channel
        self.prediction = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        self.model = model_service_pb2_grpc.ModelServiceStub(channel)

    def predict(self, inputs, *, timeout=20, **spec):
        """Predict -> dict of alias -> array."""
        response = self.prediction.Predict(predict_request(inputs, **spec), timeout=timeout)
        return {alias: to_array(tensor) for alias, tensor in response.outputs.items()}

    def start(self, inputs, *, timeout=20, **spec):
        """Predict without waiting -> grpc future."""
        return self.prediction.Predict.future(predict_request(inputs, **spec), timeout=timeout)

    def status(self, **spec):
        """GetModelStatus -> dict of version -> (state, error code, error message)."""
        request = get_model_status_pb2.GetModelStatusRequest()
        fill_spec(request.model_spec, **spec)
        found = self.model.GetModelStatus(request, timeout=20).model_version_status
        return {s.version: (s.state, s.status.error_code, s.status.error_message) for s in found}

    def metadata(self, fields=("signature_def",), **spec):
        """GetModelMetadata -> (response, SignatureDefMap)."""
        request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=fields)
        fill_spec(request.model_spec, **spec)
        response = self.prediction.GetModelMetadata(request, timeout=20)
        signatures = get_model_metadata_pb2.SignatureDefMap()
        assert response.metadata["signature_def"].Unpack(signatures)
        return response, signatures


@contextlib.contextmanager
def calling(server, *, host=None):
    """A Caller of a LocalServer."""
    options = [("grpc.max_receive_message_length", 2**26), ("grpc.use_local_subchannel_pool", 1)]
    with grpc.insecure_channel(host or f"localhost:{server.port}", options) as channel:
        yield Caller(channel)


def predict_request(inputs, *, outputs=(), **spec):
    """PredictRequest of arrays or of TensorProtos."""
    request = predict_pb2.PredictRequest(output_filter=outputs)
    fill_spec(request.model_spec, **spec)
    for alias, array in inputs.items():
        request.inputs[alias].CopyFrom(array if hasattr(array, "tensor_shape") else to_proto(array))
    return request


def fill_spec(spec, *, model="ddpm", signature="", version=None, label=None):
    """Fill a ModelSpec."""
    spec.name, spec.signature_name = model, signature
    if version is not None:
        spec.version.value = version
    if label is not None:
        spec.version_label = label


def refused(function, *args, **kwargs):
    """Call, and return the code's name and the message of the error that must come."""
    try:
        function(*args, **kwargs)
    except grpc.RpcError as error:
        return error.code().name, error.details()
    raise AssertionError("no error came")


def wait_until(condition, *, seconds=20):
    """Ask again and again until a function gives something true, and return that."""
    end = time.monotonic() + seconds
    while not (met := condition()):
        assert time.monotonic() < end, "it never came"
        time.sleep(0.02)
    return met


def http(server, path, body=None, *, method=None):
    """GET, or POST if there is a body -> (status, parsed JSON)."""
    data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{server.rest_api_port}{path}", data, method=method)
    try:
        with urllib.request.urlopen(request, timeout=20) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)
