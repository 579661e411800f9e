"""Malformed requests: valid ones with something broken, and bytes that are no request at all, over both wires.

Some of them are still valid; what is answered then must be what the model replies in a session.
"""

import base64
import functools
import gzip
import json

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import types_pb2
from tensorflow_serving.apis import predict_pb2

from benchmarks.attacks_wires import PREDICT, REST_PREDICT, predict_body, predict_message, read_response

SERVICE = "/tensorflow.serving"
METHODS = (
    *(f"{SERVICE}.PredictionService/{name}" for name in ("Predict", "GetModelMetadata", "Classify", "MultiInference")),
    *(f"{SERVICE}.ModelService/{name}" for name in ("GetModelStatus", "HandleReloadConfigRequest")),
    f"{SERVICE}.PredictionService/Nope",
    "/grpc.health.v1.Health/Check",
    "/",
)
SHARES = {"metadata": 12, "denoise": 6, "sample": 2, "sample_png": 2, "trajectory": 2, "restore": 1}  # quick ones more
DTYPES = sorted(types_pb2.DataType.values())
SIZES = (-(2**63), -1, 0, 1, 3, 64, 65, 10**5, 2**20, 2**31, 2**40, 2**62, 2**63 - 1)
WORDS = ("", "ddpm", "nope", "a" * 5000, "é✓", "\0", "../../etc", "{}", "%s%n", "digit", "serving_default")
ODD = (
    None, True, "3", "", [], {}, [[3]], [3, [4]], {"b64": "AAAA"}, {"b64": 5}, {"a": 1}, -1, 10, 2.5, 1e308, 2**63,
    -(2**63), 10**40, float("nan"), float("inf"), "NaN", "é" * 1000, [None], [True], ["x" * 10**4] + [""] * 1000,
    [[]] * 100, "\ud800",
)  # fmt: skip
PATHS = (
    "/", "/v1", "/v1/models", "/v1/models/", "/v1/models/nope", "/v1/models/nope:predict", "/v1/models/ddpm:nope",
    "/v1/models/ddpm/versions/0:predict", "/v1/models/ddpm/versions/-1", "/v1/models/ddpm/versions/9" + "9" * 18,
    "/v1/models/ddpm/versions/" + "9" * 5000, "/v1/models/ddpm/labels/x:predict", "/v1/models/ddpm:classify",
    "/v1/models/%ff%fe:predict", "/v1/models/%ed%a0%80", "/v1/models/ddpm%00", "/v1/models/ddpm/labels/%ff:predict",
    "/v1/models/../../etc/passwd", "//", "/v1/models/ddpm:predict/", "/v1/models/ddpm?x=%", "*", "/" + "a" * 7000,
)  # fmt: skip
HTTP_METHODS = ("GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "BREW")
NESTING = (10, 60, 65, 200, 900, 960, 980, 990, 1000, 1100, 10**5)
HEADERS = (
    {}, {"Content-Type": "image/png"}, {"Content-Encoding": "gzip"}, {"Content-Encoding": "nope"},
    {"Expect": "nope"}, {"X-Long": "a" * 7000}, {"Connection": "close, upgrade"},
)  # fmt: skip


def valid(random):
    """A signature and inputs that it takes, 1 to 4 rows."""
    weights = np.array(list(SHARES.values()))
    signature = str(random.choice(list(SHARES), p=weights / weights.sum()))
    return signature, valid_inputs(random, signature)


def valid_inputs(random, signature):
    """Inputs that a signature takes, 1 to 4 rows."""
    n = int(random.integers(1, 5))
    digit, w = random.integers(0, 10, n).astype("int32"), random.normal(2, 1, n).astype("float32")
    if signature == "metadata":
        return {"digit": digit}
    if signature == "denoise":
        x_t = random.normal(size=(n, 28, 28, 1)).astype("float32")
        return {"digit": digit, "w": w, "t": random.integers(0, 10, n).astype("int32"), "x_t": x_t}
    request = {"digit": digit, "w": w, "seed": random.integers(0, 2**63 - 1, n)}
    if signature != "restore":
        return request
    image, mask = random.integers(0, 256, (n, 28, 28, 1)).astype("uint8"), np.zeros((n, 28, 28), "uint8")
    mask[:, :, 14:] = 1  # what is missing
    return request | {"image": image, "mask": mask, "digit": random.integers(-1, 10, n).astype("int32")}


def pick(random, choices):
    """One of some things of any type."""
    return choices[random.integers(len(choices))]


def grpc_request(random):
    """A malformed request: arguments of `GrpcWire.send`."""
    kind = random.choice(["broken", "flipped", "cut", "noise"], p=[0.6, 0.2, 0.1, 0.1])
    if kind == "noise":
        return {"message": random.bytes(int(random.integers(0, 2000))), "path": pick(random, METHODS)}
    signature, inputs = valid(random)
    message = predict_message(inputs, signature=signature)
    if kind == "broken":
        request = predict_pb2.PredictRequest.FromString(message)
        for _ in range(random.integers(1, 4)):
            pick(random, BREAKS)(request, random)
        return {"message": request.SerializeToString()}
    if kind == "cut":
        return {"message": message[: random.integers(len(message))]}
    message = bytearray(message)
    for place in random.integers(0, len(message), random.integers(1, 8)):
        message[place] = random.integers(256)
    return {"message": bytes(message)}


def random_tensors(random):
    """A request whose tensors hold random bytes, of the right length half of the time."""
    signature, inputs = valid(random)
    request = predict_pb2.PredictRequest.FromString(predict_message(inputs, signature=signature))
    for alias, tensor in request.inputs.items():
        right = random.random() < 0.5
        if not right:
            tensor.dtype = int(random.choice(DTYPES))
        tensor.ClearField("int_val")
        tensor.tensor_content = random.bytes(inputs[alias].nbytes if right else int(random.integers(1, 4096)))
    return {"message": request.SerializeToString()}


def rest_request(random):
    """A malformed request: arguments of `RestWire.send`."""
    kind = random.choice(["values", "text", "nested", "keys", "path", "compressed"], p=[0.35, 0.3, 0.1, 0.1, 0.1, 0.05])
    signature, inputs = valid(random)
    body = predict_body(inputs, signature=signature)
    if kind == "path":
        content = pick(random, (None, b"", b"{}", _dump(body)))
        return {"body": content, "path": pick(random, PATHS), "method": pick(random, HTTP_METHODS)}
    if kind == "text":
        return {"body": _mangled(_dump(body), random), "headers": pick(random, HEADERS)}
    if kind == "nested":
        return {"body": _nested(body, random)}
    if kind == "compressed":
        return {"body": _bomb(pick(random, (10, 10**6, 10**8))), "headers": {"Content-Encoding": "gzip"}}
    pick(random, JSON_BREAKS[:2] if kind == "values" else JSON_BREAKS[2:])(body, random)
    return {"body": _dump(body)}


def check_right(truth, tally, reply, *, message=None, body=None, path=None, **_):
    """A predict request that was answered must be one that can be read, and the reply the model's."""
    if path not in (None, PREDICT, REST_PREDICT):
        return
    try:
        signature, inputs, outputs = (
            _read_messages(message, reply) if body is None else _read_json(truth, json.loads(body), reply)
        )
        right = truth.agrees(signature, inputs, outputs)
    except Exception as error:
        tally.fault(f"{reply.code} to {(message or body)[:200]!r}, but {type(error).__name__}: {error}"[:400])
    else:
        if not right:
            tally.fault(f"a wrong reply of {signature} to {inputs}"[:400])


def _read_messages(message, reply):
    request = predict_pb2.PredictRequest.FromString(message)
    inputs = {  # by the runtime's reader, which takes more than `tf.make_ndarray`
        alias: tf.io.parse_tensor(tensor.SerializeToString(), tensor.dtype).numpy()
        for alias, tensor in request.inputs.items()
    }
    return request.model_spec.signature_name or "serving_default", inputs, read_response(reply.body)


def _read_json(truth, body, reply):
    signature = body.get("signature_name") or "serving_default"
    definition, content = truth.signatures[signature], json.loads(reply.body)
    sent, received = body.get("instances", body.get("inputs")), content.get("predictions", content.get("outputs"))
    sides = []
    for values, side in ((sent, definition.inputs), (received, definition.outputs)):
        if isinstance(values, list) and isinstance(values[0], dict) and set(values[0]) == set(side):
            values = {alias: [row[alias] for row in values] for alias in side}
        values = values if isinstance(values, dict) else {next(iter(side)): values}
        sides.append({alias: _array(value, side[alias].dtype) for alias, value in values.items()})
    return signature, *sides


def _array(value, dtype):
    if dtype != types_pb2.DT_STRING:
        return np.array(value, tf.as_dtype(dtype).as_numpy_dtype)
    return np.array(
        [base64.b64decode(leaf["b64"]) if isinstance(leaf, dict) else leaf.encode() for leaf in value], object
    )


def _dtype(request, random):
    _tensor(request, random).dtype = int(random.choice([*DTYPES, 77, -1]))


def _shape(request, random):
    shape = _tensor(request, random).tensor_shape
    shape.unknown_rank = random.random() < 0.2
    if random.random() < 0.5 or not shape.dim:
        for _ in range(random.choice([1, 2, 70, 300])):
            shape.dim.add(size=pick(random, SIZES), name=pick(random, WORDS))
    else:
        pick(random, shape.dim).size = pick(random, SIZES)


def _content(request, random):
    tensor = _tensor(request, random)
    content = tensor.tensor_content or b"\0\0\0\0"
    tensor.tensor_content = pick(random, (content[: len(content) // 2], content + b"x", content[:1000] * 1000))


def _values(request, random):
    tensor = _tensor(request, random)
    tensor.ClearField("tensor_content")
    number, n = float(random.choice([np.nan, np.inf, -1, 10, 2**31 - 1, 1e38])), int(random.choice([0, 1, 5, 65, 5000]))
    integer = int(number) if abs(number) < 2**31 else -5
    tensor.float_val[:], tensor.int_val[:], tensor.int64_val[:] = [number] * n, [integer] * n, [integer] * n
    tensor.string_val[:], tensor.bool_val[:] = [random.bytes(9)] * n, [True] * (n % 3)


def _names(request, random):
    name, old = pick(random, WORDS), pick(random, [*sorted(request.inputs), ""])
    if not old or random.random() < 0.5:
        request.inputs[name].CopyFrom(tf.make_tensor_proto([1]))
    else:
        request.inputs[name].CopyFrom(request.inputs[old])
        if name != old and random.random() < 0.7:
            del request.inputs[old]


def _spec(request, random):
    spec, word = request.model_spec, pick(random, WORDS)
    choice = random.integers(5)
    if choice == 0:
        request.ClearField("model_spec")
    elif choice == 1:
        spec.version.value = pick(random, SIZES)
    else:
        setattr(spec, ("name", "version_label", "signature_name")[choice - 2], word)


def _filter(request, random):
    request.output_filter.extend(pick(random, ("image", "eps", "metadata", *WORDS)) for _ in range(2))


def _tensor(request, random):
    return request.inputs[pick(random, sorted(request.inputs) or ["digit"])]


BREAKS = (_dtype, _shape, _content, _values, _names, _spec, _filter)
JSON_BREAKS = (
    lambda body, random: body["inputs"].update({pick(random, sorted(body["inputs"])): pick(random, ODD)}),
    lambda body, random: body["inputs"]["digit"].__setitem__(0, pick(random, ODD)),
    lambda body, random: body.update(signature_name=pick(random, ODD)),
    lambda body, random: body.update(instances=pick(random, ODD)),
    lambda body, random: body.update(instances=[pick(random, ODD), *body.pop("inputs")]),
    lambda body, random: body["inputs"].update({"é" * int(random.choice([1, 10**5])): pick(random, ODD)}),
    lambda body, random: body["inputs"].pop("digit"),
)


def _mangled(text, random):
    choice = random.integers(4)
    if choice == 0:
        return bytes(text[: random.integers(len(text))])
    if choice == 1:
        return random.bytes(int(random.integers(0, 3000)))
    text = bytearray(text)
    for place in random.integers(0, len(text), random.integers(1, 6)):
        text[place] = random.integers(256) if choice == 2 else ord(random.choice(list('{}[]",:0-9eE.\\ux')))
    return bytes(text)


@functools.cache
def _bomb(size):
    return gzip.compress(b"[" + b" " * size + b"]", 1)


def _nested(body, random):
    depth = pick(random, NESTING)
    opening, closing = pick(random, (("[", "]"), ('{"a":', "}")))
    nest = opening * depth + "1" + closing * depth * int(random.integers(2))
    if random.random() < 0.5:
        return nest.encode()
    body["inputs"]["digit"] = "NEST"
    return _dump(body).replace(b'"NEST"', nest.encode())


def _dump(body):
    return json.dumps(body).encode()
