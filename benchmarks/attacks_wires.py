"""The two wires of a server as an attacker uses them: bytes in, code and bytes out, and which codes may come."""

import collections
import dataclasses
import http.client
import json
import threading

import grpc
import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2

PREDICT = "/tensorflow.serving.PredictionService/Predict"
REST_PREDICT = "/v1/models/ddpm:predict"
DEADLINE = 120
NO_MESSAGE = "no message of its type"  # what may be INTERNAL: gRPC says so of bytes that do not parse
FAULTS_KEPT = 20
ROUNDED = 2  # pixels that may be one grey level off in a batch of another size; alone, none may

EXPECTED = {
    *(f"gRPC {code}" for code in ("OK", "INVALID_ARGUMENT", "NOT_FOUND", "FAILED_PRECONDITION", "UNIMPLEMENTED")),
    *(f"gRPC {code}" for code in ("RESOURCE_EXHAUSTED", "DEADLINE_EXCEEDED")),
    *(f"REST {status}" for status in (200, 400, 404, 405, 411, 413, 415, 429, 431, 501, 503, 504)),
    "REST closed",  # before all of a body that is refused was read
}


@dataclasses.dataclass(frozen=True)
class Reply:
    """What came back: "gRPC NAME" or "REST status", the error's words, the bytes of a response."""

    code: str
    text: str = ""
    body: bytes = b""

    @property
    def fine(self):
        """Whether it is no error."""
        return self.code in ("gRPC OK", "REST 200")


class Tally:
    """What several threads saw: codes, and faults in words."""

    def __init__(self):
        self.codes = collections.Counter()
        self.faults = []
        self._lock = threading.Lock()

    def count(self, reply):
        """Count a reply; one that may not come is a fault."""
        self.note(reply.code)
        parsed = reply.code == "gRPC INTERNAL" and NO_MESSAGE in reply.text
        if not (reply.code in EXPECTED or parsed):
            self.fault(f"{reply.code}: {reply.text[:300]}")
        elif not reply.fine and not reply.text:
            self.fault(f"{reply.code} says nothing")
        return reply

    def note(self, name):
        """Count something."""
        with self._lock:
            self.codes[name] += 1

    def expect(self, reply, codes, what):
        """Count a reply; a code that is not of `codes` is a fault."""
        self.count(reply)
        if reply.code not in codes:
            self.fault(f"{what}: expected {' or '.join(codes)}, came {reply.code} {reply.text[:200]}")

    def compare(self, reply, image):
        """Hold a picture, drawn together with others, against the one drawn alone."""
        differences = np.abs(read_image(reply).astype(int) - image)
        if differences.max() > 1 or np.count_nonzero(differences) > ROUNDED:
            self.fault(f"{reply.code}: a wrong picture, {np.count_nonzero(differences)} pixels differ")
        elif differences.any():
            self.note("pixel rounded otherwise")

    def full(self):
        """Whether there are faults enough to stop."""
        return len(self.faults) >= FAULTS_KEPT

    def fault(self, text):
        """Keep a fault, if there are few."""
        with self._lock:
            if not self.full():
                self.faults.append(text)


class GrpcWire:
    """A connection that sends bytes as they are; `request` is what `predict` of this wire sends."""

    def __init__(self, port):
        options = [(f"grpc.max_{way}_message_length", -1) for way in ("send", "receive")]
        self.channel = grpc.insecure_channel(f"127.0.0.1:{port}", [*options, ("grpc.use_local_subchannel_pool", 1)])

    def send(self, message, *, path=PREDICT, timeout=DEADLINE):
        """Send bytes and wait."""
        try:
            return Reply("gRPC OK", body=self.channel.unary_unary(path)(message, timeout=timeout))
        except grpc.RpcError as error:
            return Reply(f"gRPC {error.code().name}", error.details() or "")

    def predict(self, inputs, *, signature="sample", **how):
        """Send a valid message, or one that differs from it in its arrays only."""
        return self.send(predict_message(inputs, signature=signature), **how)

    def close(self):
        """End the connection."""
        self.channel.close()


class RestWire:
    """HTTP, a connection for each request."""

    def __init__(self, port):
        self.port = port

    def send(self, body, *, path=REST_PREDICT, method="POST", headers=None):
        """Send bytes and wait."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE)
        try:
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            content = response.read()
        except ConnectionError as error:
            return Reply("REST closed", str(error))
        except (OSError, http.client.HTTPException) as error:
            return Reply(f"REST {type(error).__name__}", str(error))
        finally:
            connection.close()
        text = content.decode() or response.reason  # a response to HEAD has no body
        return Reply(f"REST {response.status}", "" if response.status == 200 else text, content)

    def predict(self, inputs, *, signature="sample"):
        """The same as JSON."""
        return self.send(json.dumps(predict_body(inputs, signature=signature)).encode())

    def close(self):
        """Nothing is kept."""


def predict_message(inputs, *, signature="sample"):
    """Bytes of a PredictRequest of arrays."""
    request = predict_pb2.PredictRequest()
    request.model_spec.name, request.model_spec.signature_name = "ddpm", signature
    for alias, array in inputs.items():
        request.inputs[alias].CopyFrom(tf.make_tensor_proto(array))
    return request.SerializeToString()


def predict_body(inputs, *, signature="sample"):
    """The same as what JSON can say."""
    return {"signature_name": signature, "inputs": {alias: array.tolist() for alias, array in inputs.items()}}


def read_response(body):
    """Bytes of a PredictResponse -> dict of alias -> array, by TensorFlow's own reader."""
    response = predict_pb2.PredictResponse.FromString(body)
    return {alias: tf.make_ndarray(tensor) for alias, tensor in response.outputs.items()}


def read_image(reply):
    """The image in a response of `sample` by either wire, uint8 (N, H, W, C)."""
    if reply.code == "gRPC OK":
        return read_response(reply.body)["image"]
    return np.array(json.loads(reply.body)["outputs"], "uint8")
