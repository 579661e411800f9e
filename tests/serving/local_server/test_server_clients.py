"""The local server as a whole: readiness, the same answers over both wires, abuse, clients that leave."""

import concurrent.futures
import contextlib
import json
import random
import socket
import time

import grpc
import numpy as np
import pytest
from bare_calls import calling, http, predict_request, refused
from grpc_health.v1 import health_pb2, health_pb2_grpc
from ovmsclient import make_grpc_client, make_http_client
from ovmsclient.tfs_compat.base.errors import InvalidInputError, ModelNotFoundError
from small_model import request_arrays


@pytest.fixture(scope="module")
def local(running):
    with running(queue=16) as local:
        yield local


def grey(caller, digits, **spec):
    return caller.predict(request_arrays(digits), **spec)["image"][:, 0, 0, 0].tolist()


@pytest.mark.parametrize("service", ["", "tensorflow.serving.PredictionService"])
def test_health_is_serving_once_a_version_is_there(caller, service):
    stub = health_pb2_grpc.HealthStub(caller.channel)
    answer = stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=20)
    assert answer.status == health_pb2.HealthCheckResponse.SERVING


@pytest.mark.parametrize("content", [False, True])
def test_numbers_travel_in_typed_fields_unless_asked_otherwise(running, content):
    with running(tensor_content=content) as local, calling(local) as caller:
        response = caller.prediction.Predict(predict_request(request_arrays([3])), timeout=20)
        image = response.outputs["image"]
        assert (len(image.tensor_content), len(image.int_val)) == ((784, 0) if content else (0, 784))


@pytest.mark.parametrize("rows", [64, 3, 0])
def test_many_clients_at_once_get_their_own_rows(running, rows):
    requests = [[random.Random(i).randrange(10) for _ in range(1 + i % 5)] for i in range(60)]
    with (
        running(batch_rows=rows) as local,
        calling(local) as caller,
        concurrent.futures.ThreadPoolExecutor(20) as pool,
    ):
        answers = list(pool.map(lambda digits: grey(caller, digits), requests))
    assert answers == [[25 * digit for digit in digits] for digits in requests]


def test_a_full_queue_says_so_on_both_wires(running):
    with running(queue=1) as local, calling(local) as caller:
        slow = request_arrays([1], seed=2**62)
        running_one = caller.start(slow, signature="slow", timeout=2)
        time.sleep(0.3)
        waiting = caller.start(slow, signature="slow", timeout=2)
        time.sleep(0.3)
        code, message = refused(caller.predict, slow, signature="slow")
        assert (code, message) == ("RESOURCE_EXHAUSTED", "The queue is full: 1 requests wait already. Try later.")
        body = {"signature_name": "slow", "inputs": {name: array.tolist() for name, array in slow.items()}}
        assert http(local, "/v1/models/ddpm:predict", body) == (429, {"error": message})
        assert grey(caller, [2]) == [50]  # another signature has a queue of its own
        assert {future.code().name for future in (running_one, waiting)} == {"DEADLINE_EXCEEDED"}


def test_clients_that_hang_up_leave_no_work_behind(caller):
    slow = request_arrays([1], seed=2**62)
    first = caller.start(slow, signature="slow", timeout=1)
    time.sleep(0.2)
    waiting = [caller.start(slow, signature="slow", timeout=3600) for _ in range(15)]
    time.sleep(0.2)
    for future in waiting:
        future.cancel()
    assert first.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    started = time.monotonic()
    assert caller.predict(request_arrays([3]), signature="slow")["digit"].tolist() == [3]
    assert time.monotonic() - started < 600  # each of the fifteen would have run for an hour


def test_a_rest_client_that_hangs_up_leaves_the_queue(running):
    slow = request_arrays([1], seed=2**62)
    body = json.dumps({"signature_name": "slow", "inputs": {name: array.tolist() for name, array in slow.items()}})
    head = f"POST /v1/models/ddpm:predict HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
    with running(queue=1) as local, calling(local) as caller:
        first = caller.start(slow, signature="slow", timeout=2)
        time.sleep(0.2)
        with socket.create_connection(("127.0.0.1", local.rest_api_port)) as connection:
            connection.sendall((head + body).encode())
            time.sleep(0.2)
            assert refused(caller.predict, slow, signature="slow")[0] == "RESOURCE_EXHAUSTED"
        time.sleep(0.2)
        last = caller.start(request_arrays([4]), signature="slow")
        assert first.code() == grpc.StatusCode.DEADLINE_EXCEEDED and last.code() == grpc.StatusCode.OK


def test_stopping_finishes_what_runs_and_refuses_what_comes(running):
    with contextlib.ExitStack() as stack:
        with running() as local:
            caller = stack.enter_context(calling(local))
            begun = caller.start(request_arrays([7], seed=3 * 10**5), signature="slow")
            grey(caller, [1])  # a later call on the same connection has its answer, so the first has begun
        assert begun.result().model_spec.version.value == 5
        assert refused(grey, caller, [1])[0] == "UNAVAILABLE"


def test_a_message_over_16_mib_is_refused_by_grpc(caller):
    large = {**request_arrays([3]), "w": np.zeros(2**22 + 1, "float32")}
    request = predict_request({name: array for name, array in large.items() if name != "w"})
    request.inputs["w"].dtype = 1
    request.inputs["w"].tensor_content = large["w"].tobytes()
    assert refused(caller.prediction.Predict, request, timeout=60)[0] == "RESOURCE_EXHAUSTED"


@pytest.mark.parametrize("make", [make_grpc_client, make_http_client])
def test_an_independent_client_works_and_understands_the_errors(local, make):
    client = make(f"localhost:{local.port if make is make_grpc_client else local.rest_api_port}")
    assert client.get_model_status("ddpm", 5)[5]["state"] == "AVAILABLE"
    metadata = client.get_model_metadata("ddpm", 5)
    if make is make_grpc_client:
        assert metadata["model_version"] == 5 and metadata["inputs"]["digit"] == {"shape": [-1], "dtype": "DT_INT32"}
    else:  # it unpacks the camelCase of another server, and hands TensorFlow Serving's own spelling through
        assert metadata["model_spec"]["version"] == "5"
    np.testing.assert_array_equal(client.predict(request_arrays([3, 7]), "ddpm", 5)[:, 0, 0, 0], [75, 175])
    with pytest.raises(ModelNotFoundError):
        client.predict(request_arrays([3]), "ddpm", 9)
    with pytest.raises(ModelNotFoundError):
        client.get_model_status("nope", 5)
    with pytest.raises(InvalidInputError, match=r"must be in 0\.\.9"):
        client.predict(request_arrays([11]), "ddpm", 5)
