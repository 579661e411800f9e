"""A model server that answers as a test tells it to, over gRPC and REST, with the real message classes."""

import base64
import concurrent.futures
import contextlib
import http.server
import json
import socket
import threading
import time

import grpc
import numpy as np
import tensorflow as tf
from google.protobuf import json_format
from tensorflow.core.framework import tensor_pb2
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from serving.local_server.tensors import to_proto

ROW = {"digit": ("int32", (-1,)), "w": ("float32", (-1,)), "seed": ("int64", (-1,))}
IMAGE = ("float32", (-1, 28, 28, 1))
PIXELS = ("uint8", (-1, 28, 28, 1))
SIGNATURES = {
    "sample": (ROW, {"image": ("uint8", (-1, 28, 28, 1))}),
    "sample_png": (ROW, {"image_bytes": ("string", (-1,))}),
    "trajectory": (ROW, {"x_t": ("float32", (-1, 2, 28, 28, 1)), "t": ("int32", (-1, 2))}),
    "denoise": (
        {"x_t": IMAGE, "t": ("int32", (-1,)), "digit": ("int32", (-1,)), "w": ("float32", (-1,))},
        {"eps": IMAGE, "x_0": IMAGE},
    ),
    "restore": ({"image": PIXELS, "mask": ("uint8", (-1, 28, 28)), **ROW}, {"image": PIXELS}),
    "metadata": ({"digit": ("int32", (-1,))}, {"metadata": ("string", (-1,))}),
    "__init": ({}, {}),
}
METADATA = {"image_shape": [28, 28, 1], "num_classes": 10, "T": 1000, "steps": 20, "w": 2.0, "max_batch": 4}
METADATA |= {"restore": {"steps": 10, "repeats": 4}}
HTTP = {"INVALID_ARGUMENT": 400, "NOT_FOUND": 404, "RESOURCE_EXHAUSTED": 429, "UNAVAILABLE": 503, "INTERNAL": 500}
HTTP |= {"DEADLINE_EXCEEDED": 504, "FAILED_PRECONDITION": 400}


class Fault(Exception):  # noqa: N818
    """Answer with a code and a message."""


class FakeModel:
    """What both servers answer, and what they were asked: a test sets what comes next, and reads what came."""

    def __init__(self):
        self.faults = []  # (code, message) for the next requests, one each; None for an answer
        self.results = {}  # signature -> function of the inputs, instead of the right outputs
        self.metadata = None  # bytes, instead of METADATA
        self.delay = 0.0  # seconds that each request takes
        self.states = ["AVAILABLE"]  # of version 1, one for each question; the last stays
        self.labels = ["stable"]
        self.content = False  # whether tensors are packed in `tensor_content`
        self.requests = []  # (signature, inputs) of all but `metadata`
        self.calls = []  # (request, seconds left) of all, over gRPC
        self.connections = []  # sockets, over REST

    def predict(self, name, inputs):
        if name == "metadata":
            said = json.dumps(METADATA).encode() if self.metadata is None else self.metadata
            return {"metadata": np.array([said] * len(inputs["digit"]), dtype=object)}
        self.requests.append((name, inputs))
        time.sleep(self.delay)
        if self.faults and (fault := self.faults.pop(0)):
            raise Fault(*fault)
        if name in self.results:
            return self.results[name](inputs)
        if name == "denoise":
            return {"eps": inputs["x_t"], "x_0": inputs["x_t"] + np.float32(np.nan)}
        image = self.image(np.maximum(inputs["digit"], 0), inputs["w"], inputs["seed"])
        if name == "restore":
            return {"image": np.where(inputs["mask"][..., None] == 1, image, inputs["image"])}
        if name == "sample":
            return {"image": image}
        if name == "sample_png":
            return {"image_bytes": np.array([b"\x89PNG\xff%d\0" % seed for seed in inputs["seed"]], dtype=object)}
        states = np.stack([image, image + 1.0], axis=1).astype("float32")
        return {"x_t": states, "t": np.tile(np.int32([999, -1]), (len(states), 1))}

    @staticmethod
    def image(digit, w, seed):
        """An image that tells what it was drawn from."""
        image = np.zeros((len(digit), 28, 28, 1), "uint8")
        image[:, 0, 0, 0], image[:, 0, 1, 0], image[:, 0, 2, 0] = digit, np.multiply(w, 10), np.asarray(seed) % 251
        return image

    def check_label(self, label):
        if label and label not in self.labels:
            raise Fault("INVALID_ARGUMENT", f"Unrecognized servable version label: {label}")

    def status(self):
        state = self.states[0] if len(self.states) == 1 else self.states.pop(0)
        if state == "MISSING":
            raise Fault("NOT_FOUND", "Could not find any versions of model ddpm")
        return state


def signature_map():
    """SIGNATURES as the message that holds them."""
    message = get_model_metadata_pb2.SignatureDefMap()
    for name, sides in SIGNATURES.items():
        definition = message.signature_def[name]
        for infos, specs in zip((definition.inputs, definition.outputs), sides):
            for key, (dtype, shape) in specs.items():
                infos[key].dtype = tf.as_dtype(dtype).as_datatype_enum
                infos[key].tensor_shape.CopyFrom(tf.TensorShape([None if n < 0 else n for n in shape]).as_proto())
    return message


class GrpcService(prediction_service_pb2_grpc.PredictionServiceServicer, model_service_pb2_grpc.ModelServiceServicer):
    def __init__(self, model):
        self.model = model

    def Predict(self, request, context):
        self.model.calls.append((request, context.time_remaining()))
        inputs = {name: tf.make_ndarray(tensor) for name, tensor in request.inputs.items()}
        response = predict_pb2.PredictResponse()
        with answering(context):
            for name, array in self.model.predict(request.model_spec.signature_name, inputs).items():
                response.outputs[name].CopyFrom(self.tensor(array))
        return response

    def tensor(self, array):
        return array if isinstance(array, tensor_pb2.TensorProto) else to_proto(array, content=self.model.content)

    def GetModelMetadata(self, request, context):
        with answering(context):
            self.model.check_label(request.model_spec.version_label)
        response = get_model_metadata_pb2.GetModelMetadataResponse()
        response.metadata["signature_def"].Pack(signature_map())
        return response

    def GetModelStatus(self, request, context):
        response = get_model_status_pb2.GetModelStatusResponse()
        with answering(context):
            state = self.model.status()
            response.model_version_status.add(
                version=1, state=get_model_status_pb2.ModelVersionStatus.State.Value(state)
            )
        return response


@contextlib.contextmanager
def answering(context):
    try:
        yield
    except Fault as fault:
        code, message = fault.args
        context.abort(grpc.StatusCode[code], message)


class RestHandler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    model = None

    def setup(self):
        super().setup()
        self.model.connections.append(self.connection)

    def do_GET(self):
        self.answer(self.metadata if self.path.endswith("/metadata") else self.status)

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.answer(lambda: self.predict(body))

    def answer(self, ask):
        try:
            status, answer = 200, ask()
        except Fault as fault:
            status, answer = HTTP[fault.args[0]], {"error": fault.args[1]}
        encoded = json.dumps(answer).encode()
        with contextlib.suppress(OSError):  # the client may have gone
            self.send_response(status)
            self.send_header("Content-Length", str(len(encoded)))
            self.end_headers()
            self.wfile.write(encoded)

    def predict(self, body):
        specs = SIGNATURES[body["signature_name"]][0]
        inputs = {name: np.asarray(value, specs[name][0]) for name, value in body["inputs"].items()}
        outputs = self.model.predict(body["signature_name"], inputs)
        listed = {name: self.listed(name, array) for name, array in outputs.items()}
        return {"outputs": listed if len(listed) > 1 else next(iter(listed.values()))}

    @staticmethod
    def listed(name, array):
        if array.dtype != object:
            return array.tolist()
        encode = _base64 if name.endswith("_bytes") else lambda item: item.decode(errors="replace")
        return np.frompyfunc(encode, 1, 1)(array).tolist()

    def metadata(self):
        self.model.check_label(self.path.split("/labels/")[-1].split("/")[0] if "/labels/" in self.path else "")
        names = {"preserving_proto_field_name": True, "always_print_fields_with_no_presence": True}
        found = json_format.MessageToDict(signature_map(), **names)
        return {"model_spec": {"name": "ddpm"}, "metadata": {"signature_def": found}}

    def status(self):
        one = {"version": "1", "state": self.model.status(), "status": {"error_code": "OK", "error_message": ""}}
        return {"model_version_status": [one]}

    def log_message(self, *args):
        pass


def _base64(item):
    return {"b64": base64.b64encode(item).decode()}


@contextlib.contextmanager
def grpc_server(model, *, port=0):
    """Address of a gRPC server of a model."""
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(8))
    service = GrpcService(model)
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(service, server)
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(service, server)
    port = server.add_insecure_port(f"localhost:{port}")
    server.start()
    try:
        yield f"localhost:{port}"
    finally:
        server.stop(0).wait()


@contextlib.contextmanager
def rest_server(model, *, context=None, port=0):
    """URL of a REST server of a model."""
    handler = type("Handler", (RestHandler,), {"model": model})
    server = http.server.ThreadingHTTPServer(("localhost", port), handler)
    server.daemon_threads = True
    if context:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    try:
        yield f"{'https' if context else 'http'}://localhost:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        for connection in model.connections:  # kept ones too
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


SERVERS = {"grpc": grpc_server, "rest": rest_server}
