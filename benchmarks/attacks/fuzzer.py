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

from benchmarks.attacks.wires import PREDICT, REST_PREDICT, predict_body, predict_message, read_response

DRAW = ("digit", "w", "seed")
SIGNATURES = {  # how often each is asked, quick ones more, and for what
    "metadata": (12, ("digit",)),
    "denoise": (6, ("digit", "w", "t", "x_t")),
    "sample": (2, DRAW),
    "sample_png": (2, DRAW),
    "trajectory": (2, DRAW),
    "restore": (1, (*DRAW, "image", "mask")),
}
DTYPES = sorted(types_pb2.DataType.values())
SIZES = (-(2**63), -1, 0, 1, 3, 64, 65, 10**5, 2**20, 2**31, 2**40, 2**62, 2**63 - 1)
NUMBERS = (float("nan"), float("inf"), -1, 10, 2**31 - 1, 1e38)
WORDS = ("", "ddpm", "nope", "a" * 5000, "é✓", "\0", "../../etc", "{}", "%s%n", "digit", "serving_default")
ODD = (
    None, True, "3", "", [], {}, [[3]], [3, [4]], {"b64": "AAAA"}, {"b64": 5}, {"a": 1}, -1, 10, 2.5, 1e308, 2**63,
    -(2**63), 10**40, float("nan"), float("inf"), "NaN", "é" * 1000, [None], [True], ["x" * 10**4] + [""] * 1000,
    [[]] * 100, "\ud800",
)  # fmt: skip
METHODS = (
    PREDICT, "/tensorflow.serving.PredictionService/GetModelMetadata", "/tensorflow.serving.PredictionService/Classify",
    "/tensorflow.serving.PredictionService/MultiInference", "/tensorflow.serving.PredictionService/Nope",
    "/tensorflow.serving.ModelService/GetModelStatus", "/tensorflow.serving.ModelService/HandleReloadConfigRequest",
    "/grpc.health.v1.Health/Check", "/",
)  # fmt: skip
PATHS = (
    "/", "/v1", "/v1/models", "/v1/models/", "/v1/models/nope", "/v1/models/nope:predict", "/v1/models/ddpm:nope",
    "/v1/models/ddpm/versions/0:predict", "/v1/models/ddpm/versions/-1", "/v1/models/ddpm/versions/9" + "9" * 18,
    "/v1/models/ddpm/versions/" + "9" * 5000, "/v1/models/ddpm/labels/x:predict", "/v1/models/ddpm:classify",
    "/v1/models/%ff%fe:predict", "/v1/models/%ed%a0%80", "/v1/models/ddpm%00", "/v1/models/ddpm/labels/%ff:predict",
    "/v1/models/../../etc/passwd", "//", "/v1/models/ddpm:predict/", "/v1/models/ddpm?x=%", "*", "/" + "a" * 7000,
)  # fmt: skip
HTTP_METHODS = ("GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "BREW")
HEADERS = (
    {}, {"Content-Type": "image/png"}, {"Content-Encoding": "gzip"}, {"Content-Encoding": "nope"},
    {"Expect": "nope"}, {"X-Long": "a" * 7000}, {"Connection": "close, upgrade"},
)  # fmt: skip
NESTING = (10, 60, 65, 200, 900, 960, 980, 990, 1000, 1100, 10**5)
BYTES, SYNTAX = bytes(range(256)), b'{}[]",:0-9eE.\\ux'


def valid_inputs(random, signature):
    """Inputs that a signature takes, 1 to 4 rows."""
    n, numbers = random.randint(1, 4), np.random.default_rng(random.getrandbits(64))
    unknown = signature == "restore"  # whose digit may be -1
    inputs = {
        "digit": numbers.integers(-unknown, 10, n).astype("int32"),
        "w": numbers.normal(2, 1, n).astype("float32"),
        "seed": numbers.integers(0, 2**63 - 1, n),
        "t": numbers.integers(0, 10, n).astype("int32"),
        "x_t": numbers.normal(size=(n, 28, 28, 1)).astype("float32"),
        "image": numbers.integers(0, 256, (n, 28, 28, 1)).astype("uint8"),
        "mask": np.tile(np.arange(28) >= 14, (n, 28, 1)).astype("uint8"),  # the right half is missing
    }
    return {alias: inputs[alias] for alias in SIGNATURES[signature][1]}


def random_tensors(random):
    """A request whose tensors hold random bytes, of the right type and length half of the time."""
    signature, inputs = _valid(random)
    tensors = {alias: tf.make_tensor_proto(array) for alias, array in inputs.items()}
    for alias, tensor in tensors.items():
        right = random.random() < 0.5
        if not right:
            tensor.dtype = random.choice(DTYPES)
        tensor.ClearField("int_val")
        tensor.tensor_content = random.randbytes(inputs[alias].nbytes if right else random.randrange(1, 4096))
    return {"content": predict_message(tensors, signature=signature)}


def grpc_request(random):
    """A malformed request: arguments of `GrpcWire.send`."""
    signature, inputs = _valid(random)
    message = predict_message(inputs, signature=signature)
    match random.choices(("broken", "mangled", "noise"), (60, 30, 10))[0]:
        case "mangled":
            return {"content": _mangled(message, random, BYTES)}
        case "noise":
            return {"content": _noise(random), "path": random.choice(METHODS)}
    request = predict_pb2.PredictRequest.FromString(message)
    for _ in range(random.randint(1, 3)):
        _break(request, random)
    return {"content": request.SerializeToString()}


def rest_request(random):
    """A malformed request: arguments of `RestWire.send`."""
    signature, inputs = _valid(random)
    body = predict_body(inputs, signature=signature)
    shares = {"values": 35, "keys": 10, "mangled": 22, "noise": 8, "nested": 10, "path": 10, "compressed": 5}
    match random.choices(list(shares), shares.values())[0]:
        case "mangled":
            content = _mangled(_dump(body), random, random.choice((BYTES, SYNTAX)))
            return {"content": content, "headers": random.choice(HEADERS)}
        case "noise":
            return {"content": _noise(random), "headers": random.choice(HEADERS)}
        case "nested":
            return {"content": _nested(body, random)}
        case "path":
            content = random.choice((None, b"", b"{}", _dump(body)))
            return {"content": content, "path": random.choice(PATHS), "method": random.choice(HTTP_METHODS)}
        case "compressed":
            return {"content": _bomb(random.choice((10, 10**6, 10**8))), "headers": {"Content-Encoding": "gzip"}}
        case part:
            random.choice(JSON_BREAKS[part])(body, random)
            return {"content": _dump(body)}


def check_right(truth, tally, reply, *, content, path=PREDICT, **_):
    """A predict request that was answered must be one that can be read, and the reply the model's."""
    if path not in (PREDICT, REST_PREDICT):
        return
    try:
        signature, inputs, outputs = READERS[reply.code](content, reply.body, truth.signatures)
        right = truth.agrees(signature, inputs, outputs)
    except Exception as error:
        tally.fault(f"{reply.code} to {content[:200]!r}, but {type(error).__name__}: {error}"[:400])
    else:
        if not right:
            tally.fault(f"a wrong reply of {signature} to {inputs}"[:400])


def _read_messages(request, response, signatures):
    request = predict_pb2.PredictRequest.FromString(request)
    inputs = {  # by the runtime's reader, which takes more than `tf.make_ndarray`
        alias: tf.io.parse_tensor(tensor.SerializeToString(), tensor.dtype).numpy()
        for alias, tensor in request.inputs.items()
    }
    return request.model_spec.signature_name or "serving_default", inputs, read_response(response)


def _read_json(request, response, signatures):
    request, outputs = json.loads(request), json.loads(response)["outputs"]
    signature = request.get("signature_name") or "serving_default"
    specs = signatures[signature]
    outputs = outputs if len(specs.outputs) > 1 else dict.fromkeys(specs.outputs, outputs)
    sides = (request["inputs"], specs.inputs), (outputs, specs.outputs)
    return signature, *({alias: _array(side[alias], spec[alias].dtype) for alias in side} for side, spec in sides)


def _array(value, dtype):
    if dtype == types_pb2.DT_STRING:
        value = [base64.b64decode(leaf["b64"]) if isinstance(leaf, dict) else leaf.encode() for leaf in value]
    return np.array(value, tf.as_dtype(dtype).as_numpy_dtype)


READERS = {"gRPC OK": _read_messages, "REST 200": _read_json}


def _valid(random):
    """A signature and inputs that it takes."""
    [signature] = random.choices(list(SIGNATURES), [share for share, _ in SIGNATURES.values()])
    return signature, valid_inputs(random, signature)


def _break(request, random):
    """Break one part of a PredictRequest."""
    name, old = random.choice(WORDS), random.choice(sorted(request.inputs) or ["digit"])
    tensor, spec, n = request.inputs[old], request.model_spec, random.choice((0, 1, 5, 65, 5000))
    spec_part = random.choice(("no spec", "version", "name", "version_label", "signature_name"))
    match random.choice(("dtype", "shape", "content", "values", "inputs", "filter", spec_part)):
        case "dtype":
            tensor.dtype = random.choice((*DTYPES, 77, -1))
        case "shape":
            dims = tensor.tensor_shape.dim
            tensor.tensor_shape.unknown_rank = random.random() < 0.2
            if random.random() < 0.5 or not dims:
                for _ in range(random.choice((1, 2, 70, 300))):
                    dims.add(size=random.choice(SIZES), name=name)
            else:
                random.choice(dims).size = random.choice(SIZES)
        case "content":
            content = tensor.tensor_content or bytes(4)
            wrong = content[: len(content) // 2], content + b"x", content[:1000] * 1000
            tensor.tensor_content = random.choice(wrong)
        case "values":
            tensor.ClearField("tensor_content")
            tensor.float_val[:] = [random.choice(NUMBERS)] * n
            tensor.int_val[:] = tensor.int64_val[:] = [random.choice((-5, -1, 10, 2**31 - 1))] * n
            tensor.string_val[:], tensor.bool_val[:] = [random.randbytes(9)] * n, [True] * (n % 3)
        case "inputs":
            request.inputs[name].CopyFrom(random.choice((tensor, tf.make_tensor_proto([1]))))
            if name != old and random.random() < 0.35:
                del request.inputs[old]
        case "filter":
            request.output_filter.extend(random.choice(("image", "eps", "metadata", *WORDS)) for _ in range(2))
        case "no spec":
            request.ClearField("model_spec")
        case "version":
            spec.version.value = random.choice(SIZES)
        case field:
            setattr(spec, field, name)


JSON_BREAKS = {
    "values": (
        lambda body, random: body["inputs"].update({random.choice(sorted(body["inputs"])): random.choice(ODD)}),
        lambda body, random: body["inputs"]["digit"].__setitem__(0, random.choice(ODD)),
    ),
    "keys": (
        lambda body, random: body.update(signature_name=random.choice(ODD)),
        lambda body, random: body.update(instances=random.choice(ODD)),
        lambda body, random: body.update(instances=[random.choice(ODD), *body.pop("inputs")]),
        lambda body, random: body["inputs"].update({"é" * random.choice((1, 10**5)): random.choice(ODD)}),
        lambda body, random: body["inputs"].pop("digit"),
    ),
}


def _noise(random):
    return random.randbytes(random.randrange(3000))


def _mangled(content, random, alphabet):
    """Bytes cut short, or some of them replaced."""
    if random.random() < 1 / 3:
        return content[: random.randrange(len(content))]
    content = bytearray(content)
    for _ in range(random.randint(1, 7)):
        content[random.randrange(len(content))] = random.choice(alphabet)
    return bytes(content)


@functools.cache
def _bomb(size):
    return gzip.compress(b"[" + b" " * size + b"]", 1)


def _nested(body, random):
    """A body that is brackets, or has them in the place of a value."""
    depth, (opening, closing) = random.choice(NESTING), random.choice((("[", "]"), ('{"a":', "}")))
    nest = opening * depth + "1" + closing * depth * random.randrange(2)
    body["inputs"]["digit"] = "NEST"
    return random.choice((b'"NEST"', _dump(body))).replace(b'"NEST"', nest.encode())


def _dump(body):
    return json.dumps(body).encode()
