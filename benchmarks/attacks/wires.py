"""The two wires of a server as an attacker uses them: bytes in, code and bytes out, and which codes may come."""

import collections
import contextlib
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
FAULTS_KEPT = 20
ROUNDED = 2  # pixels that may be one grey level off in a batch of another size

FINE = ("gRPC OK", "REST 200")
INVALID = ("gRPC INVALID_ARGUMENT", "REST 400")
FULL = ("gRPC RESOURCE_EXHAUSTED", "REST 429")
LATE = ("gRPC DEADLINE_EXCEEDED", "REST 504")
EXPECTED = {
    *(FINE + INVALID + FULL),
    *(f"gRPC {code}" for code in ("NOT_FOUND", "FAILED_PRECONDITION", "UNIMPLEMENTED", "DEADLINE_EXCEEDED")),
    *(f"REST {status}" for status in (404, 405, 411, 413, 415, 431, 501, 503, 504)),
    "REST closed",  # before all of a body that is refused was read
}
NO_MESSAGE = "no message of its type"  # what may be INTERNAL too: gRPC says so of bytes that do not parse


@dataclasses.dataclass(frozen=True)
class Reply:
    """What came back: "gRPC NAME" or "REST status", the error's words, the bytes of a response."""

    code: str
    text: str = ""
    body: bytes = b""

    @property
    def fine(self):
        """Whether it is no error."""
        return self.code in FINE

    def image(self):
        """The image in a response of `sample`, uint8 (N, H, W, C)."""
        if self.code == "gRPC OK":
            return read_response(self.body)["image"]
        return np.array(json.loads(self.body)["outputs"], "uint8")


class Tally:
    """What several threads saw: codes, and faults in words."""

    def __init__(self):
        self.codes = collections.Counter()
        self.faults = []
        self._lock = threading.Lock()

    def count(self, reply, codes=None, what=""):
        """Count a reply and return it; a code that may not come is a fault, and so is an error without words.

        Args:
            reply: `Reply`.
            codes: Those that may come; None: all that a request of any bytes may get.
            what: Words that follow the code in a fault.
        """
        self.note(reply.code)
        unparsed = codes is None and reply.code == "gRPC INTERNAL" and NO_MESSAGE in reply.text
        if not (reply.code in (EXPECTED if codes is None else codes) or unparsed):
            self.fault(f"{reply.code}{what}: {reply.text[:300]}")
        elif not reply.fine and not reply.text:
            self.fault(f"{reply.code} says nothing")
        return reply

    def compare(self, reply, image, rounded=ROUNDED):
        """Hold a picture against the one drawn alone; so many pixels may be a grey level off."""
        drawn = reply.image().astype(int)
        if drawn.shape != image.shape or np.abs(drawn - image).max() > 1 or np.sum(drawn != image) > rounded:
            self.fault(f"{reply.code}: a wrong picture")
        elif np.any(drawn != image):
            self.note("pixel rounded otherwise")

    def answered(self):
        """Number of replies that are no errors."""
        return sum(self.codes[code] for code in FINE)

    def note(self, name):
        """Count something."""
        with self._lock:
            self.codes[name] += 1

    def fault(self, text):
        """Keep a fault, if there are few."""
        with self._lock:
            if not self.full():
                self.faults.append(text)

    def full(self):
        """Whether there are faults enough to stop."""
        return len(self.faults) >= FAULTS_KEPT


class GrpcWire:
    """A connection that sends bytes as they are."""

    def __init__(self, port):
        options = [(f"grpc.max_{way}_message_length", -1) for way in ("send", "receive")]
        self.channel = grpc.insecure_channel(f"127.0.0.1:{port}", [*options, ("grpc.use_local_subchannel_pool", 1)])

    def send(self, content, *, path=PREDICT, timeout=DEADLINE):
        """Send a message and wait."""
        try:
            return Reply("gRPC OK", body=self.channel.unary_unary(path)(content, timeout=timeout))
        except grpc.RpcError as error:
            return Reply(f"gRPC {error.code().name}", error.details() or "")

    def predict(self, inputs, *, signature="sample"):
        """Send a valid request, or one that differs from it in its arrays only."""
        return self.send(predict_message(inputs, signature=signature))

    def close(self):
        """End the connection."""
        self.channel.close()


class RestWire:
    """HTTP, a connection for each request."""

    def __init__(self, port):
        self.port = port

    def send(self, content, *, path=REST_PREDICT, method="POST", headers=None):
        """Send a body and wait."""
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE)) as connection:
            try:
                connection.request(method, path, content, headers or {})
                response = connection.getresponse()
                body = response.read()
            except ConnectionError as error:
                return Reply("REST closed", str(error))
            except (OSError, http.client.HTTPException) as error:
                return Reply(f"REST {type(error).__name__}", str(error))
        text = body.decode() or response.reason  # a response to HEAD has no body
        return Reply(f"REST {response.status}", "" if response.status == 200 else text, body)

    def predict(self, inputs, *, signature="sample"):
        """Send what `GrpcWire.predict` does."""
        return self.send(json.dumps(predict_body(inputs, signature=signature)).encode())


def predict_message(inputs, *, signature="sample"):
    """Bytes of a PredictRequest of arrays, or of TensorProtos."""
    request = predict_pb2.PredictRequest(model_spec={"name": "ddpm", "signature_name": signature})
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
