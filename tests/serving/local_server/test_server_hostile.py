"""Clients that hold what they are given: calls without a message, connections without a request, endless bodies."""

import contextlib
import gzip
import json
import logging
import socket
import struct
import threading
import time

import grpc
import pytest
from bare_calls import calling, http, refused, wait_until
from grpc_health.v1 import health_pb2, health_pb2_grpc
from small_model import request_arrays

from serving.local_server import server
from serving.local_server.wires import http_server

MODEL = "/v1/models/ddpm"
PREDICT = "/tensorflow.serving.PredictionService/Predict"
METADATA = "/tensorflow.serving.PredictionService/GetModelMetadata"
HEADERS = ((b":method", b"POST"), (b":scheme", b"http"), (b":authority", b"x"), (b"te", b"trailers"))
ASK_METADATA = b"\n\x06\n\x04ddpm\x12\rsignature_def"  # GetModelMetadataRequest for ddpm


@pytest.fixture(scope="module")
def shared(running):
    with running() as local:
        yield local


@pytest.fixture
def local(shared, monkeypatch):
    """A server for the tests that need no options; it does not wait for clients that still send."""
    monkeypatch.setattr(http_server, "LINGER", 0.1)
    return shared


def grey(caller):
    return int(caller.predict(request_arrays([3]))["image"][0, 0, 0, 0])


def healthy(caller):
    stub = health_pb2_grpc.HealthStub(caller.channel)
    return stub.Check(health_pb2.HealthCheckRequest(), timeout=5).status == health_pb2.HealthCheckResponse.SERVING


def frame(kind, flags, stream, content):
    return struct.pack(">I", len(content))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + content


def http2(streams, path, *, window, content):
    """A connection's bytes: calls that send `content`, of a client that lets the server send `window` bytes."""
    fields = (*HEADERS, (b":path", path.encode()), (b"content-type", b"application/grpc"))
    headers = b"".join(b"\0" + bytes([len(k)]) + k + bytes([len(v)]) + v for k, v in fields)
    yield b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0, struct.pack(">HI", 4, window))
    for stream in range(1, 2 * streams, 2):
        yield frame(1, 4, stream, headers) + (frame(0, 1 if not window else 0, stream, content) if content else b"")


@pytest.mark.parametrize("path, window, content", [
    (PREDICT, 65535, b""),
    (PREDICT, 65535, b"\0\0\0\1\0half"),
    (METADATA, 0, b"\0" + struct.pack(">I", len(ASK_METADATA)) + ASK_METADATA),
], ids=["no message", "half a message", "closed window"])  # fmt: skip
def test_calls_that_hold_every_place_end_with_the_timeout_and_health_answers_meanwhile(running, path, window, content):
    with running(queue=1, timeout=2) as local, calling(local) as caller, contextlib.ExitStack() as stack:
        for _ in range(4):
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", local.port)))
            connection.sendall(b"".join(http2(30, path, window=window, content=content)))
        wait_until(lambda: refused_or_none(caller) == "RESOURCE_EXHAUSTED", seconds=1.5)  # all places are taken
        assert healthy(caller)
        time.sleep(2.5)
        assert grey(caller) == 75


def refused_or_none(caller):
    try:
        caller.status()
    except grpc.RpcError as error:
        return error.code().name


def test_a_call_without_a_message_is_told_so(running):
    with running(timeout=0.5) as local, calling(local) as caller:
        never, call = threading.Event(), caller.channel.stream_unary(PREDICT)
        try:
            code, message = refused(call, iter(never.wait, None))
        finally:
            never.set()
        assert (code, message) == ("DEADLINE_EXCEEDED", "No message came within 0.5 s")


def test_stalled_requests_and_health_streams_do_not_hold_up_the_end(running):
    with contextlib.ExitStack() as stack:
        with running(timeout=60) as local:
            caller = stack.enter_context(calling(local))
            watch = health_pb2_grpc.HealthStub(caller.channel).Watch(health_pb2.HealthCheckRequest())
            assert next(watch).status == health_pb2.HealthCheckResponse.SERVING
            grpc_one = stack.enter_context(socket.create_connection(("127.0.0.1", local.port)))
            grpc_one.sendall(b"".join(http2(3, PREDICT, window=65535, content=b"\0\0\0\1\0half")))
            upload = stack.enter_context(socket.create_connection(("127.0.0.1", local.rest_api_port)))
            upload.sendall(b"POST /v1/models/ddpm:predict HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{")
            assert http(local, MODEL)[0] == 200  # so the upload has begun
            started = time.monotonic()
        assert time.monotonic() - started < 30  # of the 60 s that each may take


def raw(local, sent, *, seconds=20):
    """Everything that a server sends until it closes the connection."""
    with socket.create_connection(("127.0.0.1", local.rest_api_port), timeout=seconds) as connection:
        connection.sendall(sent)
        return b"".join(iter(lambda: connection.recv(2**16), b""))


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: "], ids=["idle", "half of the headers"])
def test_connections_without_a_request_are_closed(local, monkeypatch, sent):
    monkeypatch.setattr(http_server, "IDLE", 0.5)
    monkeypatch.setattr(http_server, "HEADERS", 0.5)
    started = time.monotonic()
    assert raw(local, sent) == b"" and time.monotonic() - started > 0.4


def test_at_the_limit_of_connections_the_longest_idle_one_gives_way(local, monkeypatch):
    monkeypatch.setattr(http_server, "MAX_CONNECTIONS", 4)
    with contextlib.ExitStack() as stack:
        idle = [
            stack.enter_context(socket.create_connection(("127.0.0.1", local.rest_api_port), timeout=20))
            for _ in range(4)
        ]
        assert http(local, MODEL)[0] == 200
        assert idle[0].recv(1) == b""
        idle[3].sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert idle[3].recv(12) == b"HTTP/1.1 200"


def test_that_no_descriptor_is_left_for_a_connection_is_logged_once(caplog):
    handle = server._log_once_when_full()
    for _ in range(100):
        handle(None, {"message": "accept", "exception": OSError(24, "Too many open files"), "socket": object()})
    assert [record.message for record in caplog.records] == [
        "cannot accept a connection: [Errno 24] Too many open files (said once)"
    ]


def upload(connection, size):
    connection.sendall(f"POST {MODEL}:predict HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n\r\n".encode())
    connection.sendall(b" " * (size - 1))


def test_the_bodies_that_are_held_at_once_are_bounded(local, monkeypatch):
    monkeypatch.setattr(http_server, "MAX_BODIES", 10_000)
    with socket.create_connection(("127.0.0.1", local.rest_api_port)) as connection:
        upload(connection, 9_000)
        full = (503, {"error": "The server holds many large bodies now. Try later."})
        wait_until(lambda: http(local, f"{MODEL}:predict", b" " * 5_000) == full)  # the first is on its way
    wait_until(lambda: http(local, f"{MODEL}:predict", b" " * 5_000)[0] == 400)  # the room is given back


def test_compressed_bodies_are_refused(local):
    body = gzip.compress(b'{"inputs": {}}')
    head = f"POST {MODEL}:predict HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\nContent-Length: {len(body)}\r\n\r\n"
    answer = raw(local, head.encode() + body)
    assert answer.startswith(b"HTTP/1.1 415 ") and answer.endswith(b'{"error": "The body must not be compressed"}')


@pytest.mark.parametrize("sent, status", [
    (b"\x16\x03\x01\x02\x00\x01\r\n\r\n", 400),
    (b"GET / HTTP/9.9\r\n\r\n", 505),
    (b"GET / HTTP/1.1\r\n\r\n", 400),
    (b"POST /v1/models/ddpm:predict HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", 400),
    (b"POST /v1/models/ddpm:predict HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{", 411),
    (b"GET / HTTP/1.1\r\nHost: x\r\nX-Long: " + b"x" * 2**17, 431),
    (b"GET /v1/models/%ed%a0%80 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 400),
])  # fmt: skip
def test_what_is_not_http_or_not_unicode_gets_an_error_in_json(local, sent, status):
    head, _, body = raw(local, sent).partition(b"\r\n\r\n")
    assert head.startswith(f"HTTP/1.1 {status} ".encode()) and set(json.loads(body)) == {"error"}
    assert http(local, MODEL)[0] == 200


@pytest.mark.parametrize("body", [
    {"signature_name": "\ud800", "inputs": [1]},
    {"signature_name": "metadata", "inputs": {"\ud800": [1]}},
])  # fmt: skip
def test_a_lone_surrogate_as_a_name_is_the_clients_error(local, body):
    status, answer = http(local, f"{MODEL}:predict", body)
    assert status == 400 and "\ud800" in answer["error"]


def test_clients_that_vanish_leave_no_traceback(local, caplog):
    reset = struct.pack("ii", 1, 0)  # SO_LINGER: closing sends RST
    requests = (
        b"POST /v1/models/ddpm:predict HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{",
        b"GET /v1/models/ddpm/metadata HTTP/1.1\r\nHost: x\r\n\r\n" * 50,
        b"GET /v1/mod",
    )
    for sent in requests * 5:
        with socket.create_connection(("127.0.0.1", local.rest_api_port)) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
            connection.sendall(sent)
    assert http(local, MODEL)[0] == 200
    assert not [record for record in caplog.records if record.exc_info or record.levelno >= logging.ERROR]


@pytest.mark.parametrize("host, reached", [
    ("127.0.0.1", ["127.0.0.1"]),
    ("::1", ["::1"]),
    ("[::1]", ["::1"]),
    ("::", ["127.0.0.1", "::1"]),
    ("0.0.0.0", ["127.0.0.1", "::1"]),
])  # fmt: skip
def test_a_host_means_the_same_addresses_for_grpc_and_for_rest(running, host, reached):
    with running(host=host) as local:
        for port in (local.port, local.rest_api_port):
            for address in ("127.0.0.1", "::1"):
                assert connects(address, port) == (address in reached), (host, address)
        with calling(local, host=server.address(reached[0], local.port)) as caller:
            assert grey(caller) == 75


def connects(host, port):
    try:
        socket.create_connection((host, port), timeout=5).close()
    except ConnectionRefusedError:
        return False
    return True


def test_a_client_that_sends_its_next_request_early_gets_both_answers(local):
    two = b"GET /v1/models/ddpm HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    answers = raw(local, two)
    assert answers.count(b"HTTP/1.1 200 ") == 2 and answers.index(b"model_version_status") < answers.index(b"<!doctype")
