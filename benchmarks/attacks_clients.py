"""Attacks that are clients: sizes and guidance out of range, too many clients, and such that leave half-way.

Each attack is a function of (target, truth, tally, scale); `attacks.watched` holds it against what must survive.
"""

import concurrent.futures
import contextlib
import itertools
import json
import random
import socket
import struct
import threading
import time

import numpy as np
from tensorflow_serving.apis import predict_pb2

from benchmarks import attacks_fuzz
from benchmarks.attacks_wires import PREDICT, REST_PREDICT, GrpcWire, RestWire, predict_body, predict_message

THREADS = 8
LARGE_N = 100_000
PAUSE = 0.2  # seconds, at most, before a client that was refused asks again
REST_SHARE = 4  # one client in so many uses REST
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
RESET = struct.pack("ii", 1, 0)  # SO_LINGER: closing sends RST
INVALID = {GrpcWire: ("gRPC INVALID_ARGUMENT",), RestWire: ("REST 400",)}


def random_bytes(target, truth, tally, scale):
    """Random bytes in the tensors of requests that are valid otherwise."""
    _shoot(target, truth, tally, scale.requests // 10, [attacks_fuzz.random_tensors])


def fuzz(target, truth, tally, scale):
    """A fuzzer on both wires, until so many requests were refused; valid by chance does not count."""
    _shoot(target, truth, tally, scale.requests, [attacks_fuzz.grpc_request, attacks_fuzz.rest_request])


def _shoot(target, truth, tally, count, makers):
    """Send malformed requests from some threads until `count` were refused; one maker for each wire."""

    def shoot(i):
        generator, make, refused = np.random.default_rng(i), makers[i % len(makers)], 0
        wire = RestWire(target.rest_port) if i % len(makers) else GrpcWire(target.port)
        while refused < -(-count // THREADS) and not tally.full():
            request = make(generator)
            reply = tally.count(wire.send(**request))
            if reply.fine:
                attacks_fuzz.check_right(truth, tally, reply, **request)
            refused += not reply.fine
        wire.close()

    _at_once(shoot, THREADS)


def sizes(target, truth, tally, scale):
    """No rows, more than the largest batch, 100,000, different lengths, and small messages that claim to be large."""
    wires = GrpcWire(target.port), RestWire(target.rest_port)
    generator = np.random.default_rng(0)
    for signature, n in itertools.product(attacks_fuzz.SHARES, (0, 65, LARGE_N)):
        one = attacks_fuzz.valid_inputs(generator, signature)
        sent = {alias: array for alias, array in one.items() if n < LARGE_N or array.ndim == 1}  # images are too many
        asked = {alias: np.repeat(array[:1], n, 0) for alias, array in sent.items()}
        uneven = one | {"digit": np.zeros(7, "int32")}
        for wire, inputs in itertools.product(wires, [asked, uneven] if len(one) > 1 else [asked]):
            reply = wire.predict(inputs, signature=signature)
            tally.expect(reply, INVALID[type(wire)], f"{signature}, N = {n}")
    for name, message in _large_claims(scale.many):
        tally.expect(wires[0].send(message), INVALID[GrpcWire], name)
    for name, body in _large_json():
        tally.expect(wires[1].send(body), INVALID[RestWire], name)
    tally.expect(wires[0].send(bytes(2**24 + 1)), ("gRPC RESOURCE_EXHAUSTED",), "16 MiB and a byte")
    tally.expect(wires[1].send(bytes(2**24 + 1)), ("REST 413", "REST closed"), "16 MiB and a byte")
    wires[0].close()


def guidance(target, truth, tally, scale):
    """NaN and infinite w, one row among good ones, while good requests wait to be merged with it."""
    wires = GrpcWire(target.port), RestWire(target.rest_port)

    def ask(i):
        inputs = {alias: np.repeat(array, 1 + i % 4, 0) for alias, array in truth.requests[i % 8].items()}
        inputs["w"][-1] = (np.nan, np.inf, -np.inf)[i % 3]
        for wire in wires:
            tally.expect(wire.predict(inputs), INVALID[type(wire)], f"w = {inputs['w'][-1]}")

    _at_once(ask, max(THREADS, scale.requests // 100))
    wires[0].close()


def flood(target, truth, tally, scale):
    """Many clients at once, each asking again and again, against a queue of 16."""
    wires = [RestWire(target.rest_port) if i % REST_SHARE == 0 else GrpcWire(target.port) for i in range(scale.clients)]
    together = threading.Barrier(scale.clients)

    def client(i):
        together.wait(60)
        end, asked = time.monotonic() + scale.seconds, i
        while time.monotonic() < end and not tally.full():
            asked += 1
            if not truth.ask(wires[i], tally, asked).fine:
                time.sleep(random.uniform(0, PAUSE))
        wires[i].close()

    _at_once(client, scale.clients, threads=scale.clients)


def hang_up(target, truth, tally, scale):
    """Clients that cancel, close, reset or fall silent, before, within and after their request."""
    large = {alias: np.repeat(array, 16, 0) for alias, array in truth.requests[0].items()}
    message, body = predict_message(large, signature="trajectory"), http_request(predict_body(large))
    head = body[: body.index(b"\r\n\r\n") + 4].replace(b"Content-Length: ", b"Transfer-Encoding: chunked\r\nX: ")

    def broken_off(name, port, make):
        with contextlib.suppress(ConnectionError), _connect(port) as connection:
            if random.random() < 0.5:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            connection.sendall(make())
            time.sleep(random.uniform(0, 0.1))
        tally.note(name)

    chunks, rest = (b"5\r\n12", b"zz\r\n", b"f" * 16 + b"\r\nx"), target.rest_port
    raw = {
        "HTTP/2 broken off": (target.port, lambda: PREFACE[: random.randrange(24)] + random.randbytes(200)),
        "headers broken off": (rest, lambda: body[: random.randrange(60)]),
        "body broken off": (rest, lambda: body[: random.randrange(100, len(body))]),
        "chunks broken off": (rest, lambda: head + random.choice(chunks)),
        "left before the answer": (rest, lambda: body),
    }
    kinds = [
        *(lambda item=item: broken_off(item[0], *item[1]) for item in raw.items()),
        lambda: _cancel(target, message, tally),
        lambda: _too_short(target, message, tally),
    ]
    with contextlib.ExitStack() as silent:
        for _ in range(scale.silent):  # these stay until all the others are done
            silent.enter_context(_connect(target.rest_port)).sendall(body[: len(body) // 2])
            silent.enter_context(_connect(target.port)).sendall(PREFACE[:10])
        _at_once(lambda i: kinds[i % len(kinds)](), scale.hang_ups)


def http_request(body):
    """A POST as bytes."""
    text = json.dumps(body).encode()
    return f"POST {REST_PREDICT} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(text)}\r\n\r\n".encode() + text


def _cancel(target, message, tally):
    """Cancel a call, and close a channel under two others."""
    wire = GrpcWire(target.port)
    calls = [wire.channel.unary_unary(PREDICT).future(message, timeout=3600) for _ in range(3)]
    time.sleep(random.uniform(0, 0.3))
    calls[0].cancel()
    wire.close()
    tally.note("cancelled")


def _too_short(target, message, tally):
    """A deadline that is shorter than the work."""
    wire = GrpcWire(target.port)
    reply = wire.send(message, timeout=random.uniform(0.001, 0.05))
    wire.close()
    tally.expect(reply, [f"gRPC {code}" for code in ("DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED", "OK")], "a deadline")


def _connect(port):
    return socket.create_connection(("127.0.0.1", port), timeout=30)


def _at_once(function, count, *, threads=THREADS):
    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
        list(pool.map(function, range(count)))


def _large_claims(many):
    """Messages that ask for much more than they carry."""
    shapes = {"2^40 elements": [2**40], "2^63 - 1 rows": [2**63 - 1], "a million dimensions": [2**62] * 10**6}
    shapes |= {"none of 2^124": [2**62, 2**62, 0], "300 dimensions of one": [1] * 300}
    one = predict_message({"digit": np.int32([3])}, signature="metadata")
    for name, shape in shapes.items():
        request = predict_pb2.PredictRequest.FromString(one)
        del request.inputs["digit"].tensor_shape.dim[:]
        for size in shape:
            request.inputs["digit"].tensor_shape.dim.add(size=size)
        yield name, request.SerializeToString()
    request = predict_pb2.PredictRequest.FromString(predict_message({"digit": np.int32([10])}))
    request.inputs["digit"].tensor_shape.dim[0].size = many
    request.inputs["digit"].int_val[:] = np.full(many, 5, "int32")
    yield f"{many} digits", request.SerializeToString()
    request = predict_pb2.PredictRequest.FromString(one)
    for i in range(LARGE_N):
        request.inputs[f"{i}"].dtype = 3
    yield "100,000 inputs", request.SerializeToString()


def _large_json():
    """Bodies that NumPy or Python would make much of."""
    long = ["x" * 10**6] + [""] * 10**4
    for name, digits in (("a long string among short ones", long), ("lists", [[]] * 10**6)):
        yield name, json.dumps({"signature_name": "metadata", "inputs": {"digit": digits}}).encode()
    yield "a number of 4000 digits", b'{"signature_name": "metadata", "inputs": {"digit": [' + b"9" * 4000 + b"]}}"
    yield "brackets", b"[" * 10**7
