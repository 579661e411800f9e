"""Malformed requests over REST: broken JSON, wrong types, deep nesting, huge numbers, wrong paths and methods."""

import base64
import functools
import gzip
import json

import numpy as np

from benchmarks.attacks_doors import REST_PREDICT, predict_body
from benchmarks.attacks_grpc import valid_inputs

SIGNATURES = ("sample", "metadata", "metadata", "denoise", "trajectory")
ODD = (
    None, True, "3", "", [], {}, [[3]], [3, [4]], {"b64": "AAAA"}, {"b64": 5}, {"a": 1}, -1, 10, 2.5, 1e308, 2**63,
    -(2**63), 10**40, float("nan"), float("inf"), "NaN", "é" * 1000, [None], [True], ["x" * 10**4] + [""] * 1000,
    [[]] * 100,
)  # fmt: skip
PATHS = (
    "/", "/v1", "/v1/models", "/v1/models/", "/v1/models/nope", "/v1/models/nope:predict", "/v1/models/ddpm:nope",
    "/v1/models/ddpm/versions/0:predict", "/v1/models/ddpm/versions/-1", "/v1/models/ddpm/versions/9" + "9" * 18,
    "/v1/models/ddpm/versions/" + "9" * 5000, "/v1/models/ddpm/labels/x:predict", "/v1/models/ddpm:classify",
    "/v1/models/%ff%fe:predict", "/v1/models/%ed%a0%80", "/v1/models/ddpm%00", "/v1/models/ddpm/labels/%ff:predict",
    "/v1/models/../../etc/passwd", "//", "/v1/models/ddpm:predict/", "/v1/models/ddpm?x=%", "*", "/" + "a" * 7000,
)  # fmt: skip
METHODS = ("GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "BREW")
NESTING = (10, 60, 65, 200, 900, 960, 980, 990, 1000, 1100, 10**5)
HEADERS = (
    {}, {"Content-Type": "image/png"}, {"Content-Encoding": "gzip"}, {"Content-Encoding": "nope"},
    {"Expect": "nope"}, {"X-Long": "a" * 7000}, {"Connection": "close, upgrade"},
)  # fmt: skip


def malformed(random):
    """One request of the fuzzer.

    Args:
        random: NumPy generator.

    Returns:
        dict: arguments of `RestDoor.send`.
    """
    kind = random.choice(["values", "text", "nested", "keys", "path", "compressed"], p=[0.35, 0.3, 0.1, 0.1, 0.1, 0.05])
    signature = str(random.choice(SIGNATURES))
    body = predict_body(valid_inputs(random, signature), signature=signature)
    if kind == "path":
        return {
            "body": random.choice([None, b"", b"{}", _dump(body)]),
            "path": str(random.choice(PATHS)),
            "method": str(random.choice(METHODS)),
        }
    if kind == "text":
        return {"body": _mangle(_dump(body), random), "headers": HEADERS[random.integers(len(HEADERS))]}
    if kind == "nested":
        return {"body": _nested(body, random)}
    if kind == "compressed":
        return {"body": _bomb(int(random.choice([10, 10**6, 10**8]))), "headers": {"Content-Encoding": "gzip"}}
    (_odd_value if kind == "values" else _odd_keys)(body, random)
    return {"body": _dump(body)}


def check_right(truth, tally, request, answer):
    """A predict request that was answered must say what the model says to its numbers.

    Args:
        truth: attacks_target.Truth.
        tally: Tally.
        request: What `malformed` returned.
        answer: Answer to it.
    """
    if request.get("path", REST_PREDICT) != REST_PREDICT:
        return
    try:
        right = _agrees(truth, json.loads(request["body"]), json.loads(answer.body))
    except Exception as error:
        tally.fault(f"REST answered {request['body'][:200]!r}, but {type(error).__name__}: {error}"[:400])
    else:
        if not right:
            tally.fault(f"REST gave a wrong answer to {request['body'][:300]!r}")


def _agrees(truth, body, answer):
    signature = body.get("signature_name") or "serving_default"
    definition = truth.signatures[signature]
    if "instances" in body:
        rows, outputs = body["instances"], answer["predictions"]
        if not isinstance(rows[0], dict):
            rows = [{next(iter(definition.inputs)): row} for row in rows]
        columns = {alias: [row[alias] for row in rows] for alias in definition.inputs}
        if len(definition.outputs) > 1:
            outputs = {alias: [row[alias] for row in outputs] for alias in definition.outputs}
    else:
        columns, outputs = body["inputs"], answer["outputs"]
    if not isinstance(columns, dict):
        columns = {next(iter(definition.inputs)): columns}
    if len(definition.outputs) == 1:
        outputs = {next(iter(definition.outputs)): outputs}
    inputs = {alias: np.array(value, _numpy(definition.inputs[alias])) for alias, value in columns.items()}
    return truth.agrees(
        signature, inputs, {alias: _array(v, definition.outputs[alias]) for alias, v in outputs.items()}
    )


def _array(value, info):
    if info.dtype != 7:  # DT_STRING
        return np.array(value, _numpy(info))
    leaves = [base64.b64decode(leaf["b64"]) if isinstance(leaf, dict) else leaf.encode() for leaf in value]
    return np.array(leaves, object)


def _numpy(info):
    return {1: "float32", 3: "int32", 4: "uint8", 9: "int64"}[info.dtype]


def _odd_value(body, random):
    column = body["inputs"][str(random.choice(sorted(body["inputs"])))]
    odd = ODD[random.integers(len(ODD))]
    if random.random() < 0.5:
        column[random.integers(len(column))] = odd
    else:
        body["inputs"][str(random.choice(sorted(body["inputs"])))] = odd


def _odd_keys(body, random):
    odd = ODD[random.integers(len(ODD))]
    choice = random.integers(5)
    if choice == 0:
        body["signature_name"] = odd
    elif choice == 1:
        body["instances"] = odd
    elif choice == 2:
        body["instances"] = [odd, *body.pop("inputs")]
    elif choice == 3:
        body["inputs"]["é" * int(random.choice([1, 10**5]))] = odd
    else:
        del body["inputs"][str(random.choice(sorted(body["inputs"])))]


def _mangle(text, random):
    text = bytearray(text)
    choice = random.integers(4)
    if choice == 0:
        return bytes(text[: random.integers(len(text))])
    if choice == 1:
        return random.bytes(int(random.integers(0, 3000)))
    for place in random.integers(0, len(text), random.integers(1, 6)):
        text[place] = random.integers(256) if choice == 2 else ord(random.choice(list('{}[]",:0-9eE.\\ux')))
    return bytes(text)


@functools.cache
def _bomb(size):
    return gzip.compress(b"[" + b" " * size + b"]", 1)


def _nested(body, random):
    depth = int(random.choice(NESTING))
    opening, closing = [("[", "]"), ('{"a":', "}")][random.integers(2)]
    nest = opening * depth + "1" + closing * depth * random.integers(2)
    if random.random() < 0.5:
        return nest.encode()
    body["inputs"]["digit"] = "NEST"
    return _dump(body).replace(b'"NEST"', nest.encode())


def _dump(body):
    return json.dumps(body).encode()
