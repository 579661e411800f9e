"""Attacks that are requests: random bytes, a fuzzer, sizes and guidance that cannot be.

Each attack is a function of (target, truth, tally, scale); `attacks.watched` holds it against what must survive.
"""

import concurrent.futures
import itertools

import numpy as np

from benchmarks import attacks_grpc, attacks_rest
from benchmarks.attacks_doors import PREDICT, GrpcDoor, RestDoor, predict_body, predict_message

THREADS = 8
LARGE_N = 100_000
DIMENSIONS = 10**6
LONG_STRING = 10**6


def bytes_as_tensors(target, truth, tally, scale):
    """Random bytes in the tensors of requests that are valid otherwise."""
    _shoot(target, truth, tally, scale.requests // 10, attacks_grpc.random_tensors, None)


def fuzz(target, truth, tally, scale):
    """A fuzzer on both doors, until so many requests were refused; valid by chance does not count."""
    _shoot(target, truth, tally, scale.requests, attacks_grpc.malformed, attacks_rest.malformed)


def sizes(target, truth, tally, scale):
    """No rows, more than the largest batch, 100,000, different lengths, and small messages that claim to be large."""
    grpc, rest = GrpcDoor(target.port), RestDoor(target.rest_port)
    random = np.random.default_rng(0)
    for signature, n in itertools.product(
        ("sample", "sample_png", "trajectory", "denoise", "metadata"), (0, 65, LARGE_N)
    ):
        one = attacks_grpc.valid_inputs(random, signature)
        if signature == "denoise" and n == LARGE_N:
            continue  # 300 MB, which no door takes: 16 MiB and a byte are tried below
        inputs = {alias: np.repeat(array[:1], n, 0) for alias, array in one.items()}
        answer = grpc.send(predict_message(inputs, signature=signature).SerializeToString())
        _must_be(tally, answer, "gRPC INVALID_ARGUMENT", f"{signature}, N = {n}")
        answer = rest.send(predict_body(inputs, signature=signature))
        _must_be(tally, answer, "REST 400", f"{signature}, N = {n}")
        if signature == "metadata":
            continue  # one input
        uneven = inputs | {"digit": one["digit"][:1].repeat(2)}
        answer = grpc.send(predict_message(uneven, signature=signature).SerializeToString())
        _must_be(tally, answer, "gRPC INVALID_ARGUMENT", f"{signature}, lengths that differ")
    for name, message in _large_claims(scale.many):
        _must_be(tally, grpc.send(message), "gRPC INVALID_ARGUMENT", name)
    for name, body in _large_json():
        _must_be(tally, rest.send(body), "REST 400", name)
    _must_be(tally, grpc.send(bytes(2**24 + 1)), "gRPC RESOURCE_EXHAUSTED", "16 MiB and a byte")
    _must_be(tally, rest.send(bytes(2**24 + 1)), ("REST 413", "REST closed"), "16 MiB and a byte")
    grpc.close()


def guidance(target, truth, tally, scale):
    """NaN and infinite w, one row among good ones, while good requests wait to be merged with it."""
    grpc, rest = GrpcDoor(target.port), RestDoor(target.rest_port)

    def ask(i):
        bad = (np.nan, np.inf, -np.inf)[i % 3]
        inputs = {alias: np.repeat(array, 1 + i % 4, 0) for alias, array in truth.requests[i % 8].items()}
        inputs["w"][-1] = bad
        answer = grpc.send(predict_message(inputs).SerializeToString())
        _must_be(tally, answer, "gRPC INVALID_ARGUMENT", f"w = {bad}")
        _must_be(tally, rest.send(predict_body(inputs)), "REST 400", f"w = {bad}")

    _at_once(ask, max(THREADS, scale.requests // 100))
    grpc.close()


def _shoot(target, truth, tally, count, make_grpc, make_rest):
    """Send malformed requests from some threads until `count` were refused."""

    def shoot(i):
        random = np.random.default_rng(i)
        by_rest = make_rest is not None and i % 2
        door = RestDoor(target.rest_port) if by_rest else GrpcDoor(target.port)
        refused = 0
        while refused < -(-count // THREADS) and not tally.full():
            if by_rest:
                request = make_rest(random)
                answer = tally.count(door.send(**request))
            else:
                method, request = make_grpc(random)
                answer = tally.count(door.send(request, method=method))
            refused += not answer.fine
            if answer.fine and by_rest:
                attacks_rest.check_right(truth, tally, request, answer)
            elif answer.fine and method == PREDICT:
                attacks_grpc.check_right(truth, tally, request, answer)
        door.close()

    _at_once(shoot, THREADS)


def _at_once(function, count):
    with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(function, range(count)))


def _must_be(tally, answer, codes, what):
    tally.count(answer)
    if answer.code not in ((codes,) if isinstance(codes, str) else codes):
        tally.fault(f"{what}: expected {codes}, came {answer.code} {answer.text[:200]}")


def _large_claims(many):
    """Messages that ask for much more than they carry."""
    shapes = {"2^40 elements": [2**40], "2^63 - 1 rows": [2**63 - 1], "a million dimensions": [2**62] * DIMENSIONS}
    shapes |= {"none of 2^124": [2**62, 2**62, 0], "300 dimensions of one": [1] * 300}
    for name, shape in shapes.items():
        request = predict_message({"digit": np.int32([3])}, signature="metadata")
        del request.inputs["digit"].tensor_shape.dim[:]
        for size in shape:
            request.inputs["digit"].tensor_shape.dim.add(size=size)
        yield name, request.SerializeToString()
    request = predict_message({"digit": np.int32([10])}, signature="sample")
    request.inputs["digit"].tensor_shape.dim[0].size = many
    request.inputs["digit"].int_val[:] = np.full(many, 5, "int32")
    yield f"{many} digits", request.SerializeToString()
    request = predict_message({"digit": np.int32([3])}, signature="metadata")
    for i in range(LARGE_N):
        request.inputs[f"{i}"].dtype = 3
    yield "100,000 inputs", request.SerializeToString()


def _large_json():
    """Bodies that NumPy or Python would make much of."""
    long = "x" * LONG_STRING
    for name, digits in (("a long string among short ones", [long] + [""] * 10**4), ("lists", [[]] * 10**6)):
        yield name, {"signature_name": "metadata", "inputs": {"digit": digits}}
    yield "a number of 4000 digits", b'{"signature_name": "metadata", "inputs": {"digit": [' + b"9" * 4000 + b"]}}"
    yield "brackets", b"[" * 10**7
