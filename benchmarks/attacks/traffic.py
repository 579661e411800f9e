"""Attacks that are clients: malformed requests, sizes and guidance out of range, too many clients, and such that leave.

Each attack is a function of (target, truth, tally, scale); `watch.watched` holds it against what must survive.
"""

import concurrent.futures
import contextlib
import functools
import itertools
import json
import random
import socket
import struct
import time

import numpy as np
from tensorflow.core.framework import tensor_pb2, types_pb2

from benchmarks.attacks import fuzzer
from benchmarks.attacks.target import clients
from benchmarks.attacks.wires import FULL, INVALID, LATE, PREDICT, REST_PREDICT, predict_body, predict_message

THREADS = 8
LARGE_N = 100_000
PAUSE = 0.2  # seconds, at most, before a client of the flood asks again
REST_SHARE = 4  # one of so many uses REST
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
RESET = struct.pack("ii", 1, 0)  # SO_LINGER: closing sends RST


def random_bytes(target, truth, tally, scale):
    """Random bytes in the tensors of requests that are valid otherwise."""
    _shoot(target, truth, tally, scale.requests // 10, [fuzzer.random_tensors])


def fuzz(target, truth, tally, scale):
    """A fuzzer on both wires, until so many requests were refused; valid by chance does not count."""
    _shoot(target, truth, tally, scale.requests, [fuzzer.grpc_request, fuzzer.rest_request])


def _shoot(target, truth, tally, count, makers):
    """Send malformed requests from some threads until `count` were refused; one maker for each wire."""

    def shoot(i):
        generator, refused = random.Random(i), 0
        with target.wires() as wires:
            wire, make = wires[i % len(makers)], makers[i % len(makers)]
            while refused < -(-count // THREADS) and not tally.full():
                request = make(generator)
                reply = tally.count(wire.send(**request))
                if reply.fine:
                    fuzzer.check_right(truth, tally, reply, **request)
                refused += not reply.fine

    _at_once(shoot, THREADS)


def sizes(target, truth, tally, scale):
    """No rows, more than the largest batch, 100,000, different lengths, and small messages that claim to be large."""
    generator = random.Random(0)
    with target.wires() as wires:
        for signature, n in itertools.product(fuzzer.SIGNATURES, (0, 65, LARGE_N)):
            one = fuzzer.valid_inputs(generator, signature)
            sent = {alias: array for alias, array in one.items() if n < LARGE_N or array.ndim == 1}  # images: too many
            asked = {alias: np.repeat(array[:1], n, 0) for alias, array in sent.items()}
            uneven = one | {"digit": np.zeros(7, "int32")}
            for wire, inputs in itertools.product(wires, [asked, uneven] if len(one) > 1 else [asked]):
                tally.count(wire.predict(inputs, signature=signature), INVALID, f" to {signature}, N = {n}")
        for wire, contents in zip(wires, (_large_claims(scale.many), _large_json())):
            for name, content in contents:
                tally.count(wire.send(content), INVALID, f" to {name}")
            reply = wire.send(bytes(2**24 + 1))
            tally.count(reply, ("gRPC RESOURCE_EXHAUSTED", "REST 413", "REST closed"), " to 16 MiB and a byte")


def _large_claims(many):
    """Messages that ask for much more than they carry."""

    def tensor(*shape, values=(3,)):
        dims = {"dim": [{"size": size} for size in shape]}
        return tensor_pb2.TensorProto(dtype=types_pb2.DT_INT32, tensor_shape=dims, int_val=values)

    inputs = {
        "2^40 elements": {"digit": tensor(2**40)},
        "2^63 - 1 rows": {"digit": tensor(2**63 - 1)},
        "a million dimensions": {"digit": tensor(*[2**62] * 10**6)},
        "none of 2^124": {"digit": tensor(2**62, 2**62, 0)},
        "300 dimensions of one": {"digit": tensor(*[1] * 300)},
        "100,000 inputs": {"digit": tensor(1)} | dict.fromkeys(map(str, range(LARGE_N)), tensor(values=())),
    }
    for name, tensors in inputs.items():
        yield name, predict_message(tensors, signature="metadata")
    yield f"{many} digits", predict_message({"digit": tensor(many, values=np.full(many, 5, "int32"))})


def _large_json():
    """Bodies that NumPy or Python would make much of."""
    digits = {"a long string among short ones": ["x" * 10**6] + [""] * 10**4, "lists": [[]] * 10**6}
    for name, values in digits.items():
        yield name, json.dumps({"signature_name": "metadata", "inputs": {"digit": values}}).encode()
    yield "a number of 4000 digits", b'{"signature_name": "metadata", "inputs": {"digit": [' + b"9" * 4000 + b"]}}"
    yield "brackets", b"[" * 10**7


def guidance(target, truth, tally, scale):
    """NaN and infinite w, one row among good ones, while good requests wait to be merged with it."""
    with target.wires() as wires:

        def ask(i):
            inputs = {alias: np.repeat(array, 1 + i % 4, 0) for alias, array in truth.requests[i % 8].items()}
            inputs["w"][-1] = (np.nan, np.inf, -np.inf)[i % 3]
            for wire in wires:
                tally.count(wire.predict(inputs), INVALID, f" to w = {inputs['w'][-1]}")

        _at_once(ask, max(THREADS, scale.requests // 100))


def flood(target, truth, tally, scale):
    """Many clients at once, each asking again and again, against a queue of 16."""
    with clients(target, truth, tally, scale.clients, rest=REST_SHARE, pause=PAUSE, may=FULL + LATE):
        time.sleep(scale.seconds)


def hang_up(target, truth, tally, scale):
    """Clients that cancel, close, reset or fall silent, before, within and after their request."""
    large = {alias: np.repeat(array, 16, 0) for alias, array in truth.requests[0].items()}
    message, body = predict_message(large, signature="trajectory"), json.dumps(predict_body(large)).encode()
    head = f"POST {REST_PREDICT} HTTP/1.1\r\nHost: x\r\n"
    post = f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
    chunked = f"{head}Transfer-Encoding: chunked\r\n\r\n".encode()
    chunks = b"5\r\n12", b"zz\r\n", b"f" * 16 + b"\r\nx"
    unfinished = (  # name, port, and what is sent before the client leaves
        ("HTTP/2 broken off", target.port, lambda: PREFACE[: random.randrange(24)] + random.randbytes(200)),
        ("headers broken off", target.rest_port, lambda: post[: random.randrange(60)]),
        ("body broken off", target.rest_port, lambda: post[: random.randrange(100, len(post))]),
        ("chunks broken off", target.rest_port, lambda: chunked + random.choice(chunks)),
        ("left before the answer", target.rest_port, lambda: post),
    )
    ways = [
        *(functools.partial(_leave, tally, *way) for way in unfinished),
        functools.partial(_give_up, tally, target, message),
    ]
    with contextlib.ExitStack() as silent:
        for _ in range(scale.silent):  # these stay until all the others are done
            silent.enter_context(_connect(target.rest_port)).sendall(post[: len(post) // 2])
            silent.enter_context(_connect(target.port)).sendall(PREFACE[:10])
        _at_once(lambda i: ways[i % len(ways)](), scale.hang_ups)


def _leave(tally, name, port, make):
    """Send something, and close or reset the connection."""
    with contextlib.suppress(ConnectionError), _connect(port) as connection:
        if random.random() < 0.5:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        connection.sendall(make())
        time.sleep(random.uniform(0, 0.1))
    tally.note(name)


def _give_up(tally, target, message):
    """Ask with a deadline shorter than the work, cancel a call, and close the connection under two others."""
    with target.wires() as (wire, _):
        reply = wire.send(message, timeout=random.uniform(0.001, 0.05))
        tally.count(reply, ("gRPC OK", "gRPC DEADLINE_EXCEEDED", *FULL), " to a short deadline")
        calls = [wire.channel.unary_unary(PREDICT).future(message, timeout=3600) for _ in range(3)]
        time.sleep(random.uniform(0, 0.3))
        calls[0].cancel()
    tally.note("cancelled")


def _connect(port):
    return socket.create_connection(("127.0.0.1", port), timeout=30)


def _at_once(function, count):
    with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(function, range(count)))
