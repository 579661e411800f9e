"""Attacks that are clients: too many of them, and such that leave half-way.

Each attack is a function of (target, truth, tally, scale); `attacks.watched` holds it against what must survive.
"""

import concurrent.futures
import contextlib
import random
import socket
import struct
import threading
import time

import grpc
import numpy as np

from benchmarks.attacks_doors import (
    PREDICT,
    GrpcDoor,
    RestDoor,
    predict_body,
    predict_message,
)

PAUSE = 0.2  # seconds, at most, before a client that was refused asks again
REST_SHARE = 4  # one client in so many uses REST
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
RESET = struct.pack("ii", 1, 0)  # SO_LINGER: closing sends RST


def flood(target, truth, tally, scale):
    """Many clients at once, each asking again and again, against a queue of 16."""
    doors = [RestDoor(target.rest_port) if i % REST_SHARE == 0 else GrpcDoor(target.port) for i in range(scale.clients)]
    messages = [predict_message(request).SerializeToString() for request in truth.requests]
    bodies = [predict_body(request) for request in truth.requests]
    together = threading.Barrier(scale.clients)

    def client(i):
        together.wait(60)
        end, asked = time.monotonic() + scale.seconds, i
        while time.monotonic() < end and not tally.full():
            asked = (asked + 1) % len(truth.requests)
            answer = tally.count(doors[i].send((bodies if isinstance(doors[i], RestDoor) else messages)[asked]))
            if not answer.fine:
                time.sleep(random.uniform(0, PAUSE))
            else:
                tally.compare(answer, truth.images[asked])

    with concurrent.futures.ThreadPoolExecutor(scale.clients) as pool:
        list(pool.map(client, range(scale.clients)))
    for door in doors:
        door.close()


def hang_up(target, truth, tally, scale):
    """Clients that cancel, close, reset or fall silent, before, within and after their request."""
    large = {alias: np.repeat(array, 16, 0) for alias, array in truth.requests[0].items()}
    message = predict_message(large, signature="trajectory").SerializeToString()
    body = http_request(predict_body(large))
    kinds = [_cancel, _close_channel, _too_short, _half_http2, _half_headers, _half_body, _no_end, _leave_before_answer]
    with contextlib.ExitStack() as silent:
        for _ in range(scale.silent):  # these stay until all the others are done
            _connect(target.rest_port, silent).sendall(body[: len(body) // 2])
            _connect(target.port, silent).sendall(PREFACE[:10])
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            jobs = [pool.submit(kinds[i % len(kinds)], target, message, body, tally) for i in range(scale.hang_ups)]
            for job in jobs:
                job.result()


def http_request(body, *, chunked=False):
    """A POST as bytes."""
    import json

    text = json.dumps(body).encode()
    length = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {len(text)}"
    return f"POST /v1/models/ddpm:predict HTTP/1.1\r\nHost: x\r\n{length}\r\n\r\n".encode() + text


def _cancel(target, message, body, tally):
    with grpc.insecure_channel(f"127.0.0.1:{target.port}", [("grpc.use_local_subchannel_pool", 1)]) as channel:
        call = channel.unary_unary(PREDICT).future(message, timeout=3600)
        time.sleep(random.uniform(0, 0.3))
        call.cancel()
    tally.note("cancelled")


def _close_channel(target, message, body, tally):
    channel = grpc.insecure_channel(f"127.0.0.1:{target.port}", [("grpc.use_local_subchannel_pool", 1)])
    calls = [channel.unary_unary(PREDICT).future(message, timeout=3600) for _ in range(3)]
    time.sleep(random.uniform(0, 0.3))
    channel.close()
    tally.note("channel closed")
    del calls


def _too_short(target, message, body, tally):
    """A deadline that is shorter than the work."""
    door = GrpcDoor(target.port)
    answer = door.send(message, timeout=random.uniform(0.001, 0.05))
    door.close()
    tally.count(answer)
    if answer.code not in ("gRPC DEADLINE_EXCEEDED", "gRPC RESOURCE_EXHAUSTED", "gRPC OK"):
        tally.fault(f"a short deadline: {answer.code}")


def _half_http2(target, message, body, tally):
    sent = PREFACE + random.randbytes(random.randrange(200))
    _send_and_leave(target.port, sent[: random.randrange(len(sent))], tally, "HTTP/2 broken off")


def _half_headers(target, message, body, tally):
    _send_and_leave(target.rest_port, body[: random.randrange(60)], tally, "headers broken off")


def _half_body(target, message, body, tally):
    _send_and_leave(target.rest_port, body[: random.randrange(100, len(body))], tally, "body broken off")


def _no_end(target, message, body, tally):
    head = http_request({}, chunked=True).rpartition(b"\r\n\r\n")[0] + b"\r\n\r\n"
    sent = head + random.choice([b"5\r\n12", b"5\r\n12345\r\n", b"zz\r\n", b"ffffffffffffffff\r\nx"])
    _send_and_leave(target.rest_port, sent, tally, "chunks broken off")


def _leave_before_answer(target, message, body, tally):
    _send_and_leave(target.rest_port, body, tally, "left before the answer")


def _send_and_leave(port, sent, tally, name):
    with contextlib.ExitStack() as stack, contextlib.suppress(ConnectionError):
        connection = _connect(port, stack)
        if random.random() < 0.5:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        connection.sendall(sent)
        time.sleep(random.uniform(0, 0.1))
    tally.note(name)


def _connect(port, stack):
    return stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=30))
