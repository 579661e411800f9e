"""What bounds the local server: the size of answers, the number of calls, a thread for each signature, and its end."""

import asyncio
import pathlib
import shutil
import threading

import grpc
import pytest
from bare_calls import calling, http, refused, wait_until
from small_model import request_arrays
from tensorflow.core.framework import tensor_pb2
from tensorflow.core.protobuf import meta_graph_pb2

from serving.client import Client, errors
from serving.local_server import predict, server, tensors, version
from serving.local_server.options import Options
from serving.local_server.wires import grpc_services

PREDICT = "/v1/models/ddpm:predict"


def test_an_answer_over_the_limit_is_refused_on_both_wires_before_it_is_encoded(local, caller, monkeypatch):
    encoded = []
    monkeypatch.setattr(tensors, "MAX_RESPONSE", 1000)
    monkeypatch.setattr(predict, "write_response", lambda *args, **kwargs: encoded.append(args))
    monkeypatch.setattr("serving.local_server.wires.rest_json.write_body", lambda *args, **kwargs: encoded.append(args))
    two = request_arrays([3, 4])  # 784 bytes each
    expected = "A response must have at most 1000 bytes, this one has 1568. Ask for fewer rows."
    assert refused(caller.predict, two) == ("INVALID_ARGUMENT", expected)
    body = {"inputs": {name: array.tolist() for name, array in two.items()}}
    assert http(local, PREDICT, body) == (400, {"error": expected})
    assert not encoded


def test_an_answer_has_at_most_64_mib(caller):
    million = tensor_pb2.TensorProto(dtype="DT_INT32", tensor_shape={"dim": [{"size": 2**20}]}, int_val=[1])
    code, message = refused(caller.predict, {"digit": million}, signature="metadata")
    assert code == "INVALID_ARGUMENT" and message.startswith("A response must have at most 67108864 bytes")
    assert caller.predict(request_arrays([3]))["image"][0, 0, 0, 0] == 75


def test_strings_count_with_their_length(local, caller, monkeypatch):
    monkeypatch.setattr(tensors, "MAX_RESPONSE", 60)  # a PNG of one grey is longer, its pointer is not
    assert refused(caller.predict, request_arrays([3]), signature="sample_png")[0] == "INVALID_ARGUMENT"


def test_an_answer_that_grows_over_the_limit_on_the_wire_is_refused(caller, monkeypatch):
    monkeypatch.setattr(grpc_services, "MAX_RESPONSE", 1000)
    assert caller.predict(request_arrays([5]))["image"][0, 0, 0, 0] == 125  # one byte each
    assert refused(caller.predict, request_arrays([6]))[0] == "INVALID_ARGUMENT"  # 150: two bytes each


@pytest.mark.parametrize("wire", ["gRPC", "REST"])
def test_the_client_does_not_ask_again_for_what_is_too_large(local, wire, monkeypatch):
    monkeypatch.setattr(tensors, "MAX_RESPONSE", 1000)
    asked = []
    run = version.Version.run
    monkeypatch.setattr(version.Version, "run", lambda *args, **kwargs: asked.append(args) or run(*args, **kwargs))
    address = f"localhost:{local.port}" if wire == "gRPC" else f"http://localhost:{local.rest_api_port}"
    with Client(address, retries=3) as client, pytest.raises(errors.InvalidRequest, match="Ask for fewer rows"):
        client.predict("sample", request_arrays([3, 4]))
    assert len(asked) == 1


@pytest.fixture
def held(monkeypatch):
    """Answers of `pair` are written only once `held.go_on` is set; `held.begun` counts those that wait."""

    class Held:
        begun, go_on = threading.Semaphore(0), threading.Event()

    write = predict.write_response

    def slowly(outputs, **kwargs):
        if kwargs["signature"] == "pair":
            Held.begun.release()
            assert Held.go_on.wait(60)
        return write(outputs, **kwargs)

    monkeypatch.setattr(predict, "write_response", slowly)
    monkeypatch.setattr(grpc_services, "LARGE", 10)
    yield Held
    Held.go_on.set()


def test_while_a_large_answer_is_encoded_others_are_answered(caller, held):
    large = caller.start(request_arrays([3]), signature="pair", timeout=60)
    assert held.begun.acquire(timeout=60)
    assert caller.status() == {5: (30, 0, "")} and not large.done()
    held.go_on.set()
    assert large.code() == grpc.StatusCode.OK


def test_calls_beyond_the_limit_are_told_to_try_later(running, held, monkeypatch):
    monkeypatch.setattr(server, "CALLS", 1)
    monkeypatch.setattr(server, "CALLS_PER_PLACE", 1)
    with running(queue=1) as local, calling(local) as caller:
        begun = []
        for _ in range(2):
            begun.append(caller.start(request_arrays([1]), signature="pair", timeout=60))
            assert held.begun.acquire(timeout=60)
        assert refused(caller.predict, request_arrays([2]))[0] == "RESOURCE_EXHAUSTED"
        held.go_on.set()
        assert [future.code() for future in begun] == [grpc.StatusCode.OK] * 2
        # gRPC sees a little late who is gone.
        wait_until(lambda: caller.start(request_arrays([2])).code() == grpc.StatusCode.OK, seconds=60)


def test_a_quick_signature_does_not_stand_behind_slow_ones(monkeypatch):
    gate, slow = threading.Event(), "abcdefgh"

    class Servable:
        def __init__(self, path):
            self.signatures = {name: meta_graph_pb2.SignatureDef() for name in (*slow, "quick")}

        def run(self, signature, inputs, outputs, *, timeout):
            assert signature == "quick" or gate.wait(60)
            return {}

        def close(self):
            pass

    async def scenario():
        served = version.Version(pathlib.Path("1"), batch_rows=0, queue=4)
        tasks = [asyncio.ensure_future(served.run(predict.Call(name, {}, ()), timeout=60)) for name in slow]
        try:
            await asyncio.sleep(0)
            assert await served.run(predict.Call("quick", {}, ()), timeout=20) == {}
            assert not any(task.done() for task in tasks)
        finally:
            gate.set()
            await asyncio.gather(*tasks)
            await served.close()

    monkeypatch.setattr(version, "Servable", Servable)
    asyncio.run(scenario())


def test_the_end_does_not_wait_for_a_version_that_loads(base, tmp_path, monkeypatch):
    shutil.copytree(base / "5", tmp_path / "1")
    loading, go_on = threading.Event(), threading.Event()

    def load(path, **kwargs):
        if path.name == "2":
            loading.set()
            go_on.wait()
        return version.Version(path, **kwargs)

    monkeypatch.setattr(server, "Version", load)
    try:
        release = threading.Timer(60, go_on.set)
        with server.running(Options(model_base_path=tmp_path, port=0, rest_api_port=0, poll=0.1)):
            shutil.copytree(base / "5", tmp_path / "2")
            assert loading.wait(60)
            release.start()
        assert not go_on.is_set()  # those who wait for the version are let go after a minute
    finally:
        release.cancel()
        go_on.set()
