"""The attacks of `benchmarks.attacks`, each a small one, and that the watch over them sees what breaks."""

import itertools
import json

import numpy as np
import pytest
from bare_calls import calling, refused
from small_model import request_arrays, write_model
from tensorflow.core.framework import tensor_pb2

from benchmarks import attacks, attacks_fuzz
from benchmarks.attacks_target import Target, Truth
from benchmarks.attacks_wires import GrpcWire, Reply, RestWire, Tally, predict_body, predict_message
from serving.local_server import rest_json, server, tensors
from serving.local_server.errors import StatusError
from serving.local_server.options import Options


@pytest.fixture(scope="module")
def scale(small_preset):
    return attacks.Scale(
        preset=small_preset,
        requests=240,
        clients=40,
        seconds=2,
        hang_ups=32,
        silent=5,
        kills=1,
        half_copies=2,
        reloads=1,
        steady=3,
        many=2**21,
    )


@pytest.fixture(scope="module")
def target(exported):
    target = Target(exported)
    yield target
    assert target.stop() == 0


@pytest.fixture(scope="module")
def truth(target):
    truth = Truth(target.base / "1")
    yield truth
    truth.close()


@pytest.mark.slow
@pytest.mark.parametrize("name", attacks.ATTACKS)
def test_the_server_survives(target, truth, scale, name):
    outcome = attacks.watched(name, target, truth, scale)
    assert not outcome.faults, "\n".join(outcome.faults)
    assert outcome.honest and outcome.codes
    if name == "fuzz":
        assert sum(outcome.codes.values()) >= scale.requests


@pytest.mark.parametrize("reply, said", [
    (Reply("gRPC UNKNOWN", "x"), "gRPC UNKNOWN: x"),
    (Reply("gRPC INTERNAL", "ValueError: x"), "gRPC INTERNAL: ValueError: x"),
    (Reply("REST 500", "x"), "REST 500: x"),
    (Reply("gRPC NOT_FOUND"), "gRPC NOT_FOUND says nothing"),
])  # fmt: skip
def test_a_code_that_may_not_come_is_a_fault(reply, said):
    tally = Tally()
    tally.count(reply)
    assert tally.faults == [said]


def test_what_is_no_message_may_be_internal():
    tally = Tally()
    tally.count(Reply("gRPC INTERNAL", "The request is no message of its type: x"))
    assert not tally.faults


@pytest.mark.slow
def test_a_wrong_picture_is_a_fault(target, truth):
    wire = GrpcWire(target.port)
    reply, tally = wire.predict(truth.requests[1]), Tally()
    wire.close()
    tally.compare(reply, truth.images[1])
    assert not tally.faults
    tally.compare(reply, truth.images[2])
    assert "a wrong picture" in tally.faults[0]


@pytest.mark.slow
def test_a_wrong_answer_to_an_odd_request_is_a_fault(target, truth):
    tally, wires = Tally(), (GrpcWire(target.port), RestWire(target.rest_port))
    replies = [wire.predict(truth.requests[1]) for wire in wires]
    wires[0].close()
    for i in (1, 2):
        assert len(tally.faults) == 0
        attacks_fuzz.check_right(truth, tally, replies[0], message=predict_message(truth.requests[i]))
        attacks_fuzz.check_right(truth, tally, replies[1], body=json.dumps(predict_body(truth.requests[i])))
    assert len(tally.faults) == 2


@pytest.mark.slow
def test_files_memory_and_exceptions_that_stay_are_faults(target, truth, scale, monkeypatch):
    monkeypatch.setattr(attacks, "SETTLING", 0.5)
    monkeypatch.setattr(attacks, "MEMORY", -(2**20))
    wires = []

    def leak(target, truth, tally, scale):
        wires.extend(GrpcWire(target.port) for _ in range(10))
        for wire in wires:
            wire.send(b"")  # connects, and stays
        with target._log.open("a") as log:
            log.write("\nTraceback (most recent call last)\n  File x\nValueError: y\n")

    faults = attacks.watched("bytes", target, truth, scale, attack=leak).faults
    for wire in wires:
        wire.close()
    assert len(faults) == 3
    assert faults[0].startswith("files: ") and faults[1].startswith("memory: ")
    assert faults[2] == "in the log 1 times: ValueError: y"


def test_a_tensor_of_many_dimensions_is_refused():
    tensor = tensor_pb2.TensorProto(dtype="DT_INT32")
    for _ in range(65):
        tensor.tensor_shape.dim.add(size=2**62)
    with pytest.raises(ValueError, match="at most 64 dimensions"):
        tensors.to_array(tensor)


@pytest.mark.slow
def test_strings_among_numbers_take_no_more_memory_than_they_have(truth):
    body = b'{"signature_name": "metadata", "inputs": {"digit": ["%s"%s]}}' % (b"x" * 10**7, b',""' * 10**6)
    with pytest.raises(StatusError, match="`digit` must be of type int32") as caught:  # 40 TB, if all were as long
        rest_json.read_body(body, truth.signatures)
    assert len(caught.value.message) < 200


@pytest.mark.slow
@pytest.mark.parametrize("number", [2**200, 10**400])
def test_a_number_of_hundreds_of_digits_is_refused(truth, number):
    body = f'{{"inputs": {{"digit": [3], "w": [{number}], "seed": [1]}}}}'.encode()
    if number == 10**400:
        with pytest.raises(StatusError, match="`w` must be of type float"):
            rest_json.read_body(body, truth.signatures)
    else:
        assert np.isinf(rest_json.read_body(body, truth.signatures)[0].inputs["w"])  # the model refuses it


def test_an_answer_that_is_too_large_is_refused_with_a_sentence(tmp_path):
    write_model(tmp_path / "1")
    million = tensor_pb2.TensorProto(dtype="DT_INT32", tensor_shape={"dim": [{"size": 2**20}]}, int_val=[1])
    options = Options(model_base_path=tmp_path, port=0, rest_api_port=0)
    with server.running(options) as local, calling(local) as caller:
        code, message = refused(caller.predict, {"digit": million}, signature="metadata")
        assert code == "INVALID_ARGUMENT" and message.startswith("A response must have at most 67108864 bytes")
        assert caller.predict(request_arrays([3]))["image"][0, 0, 0, 0] == 75


def test_every_attack_is_in_the_docs(request):
    page = (request.config.rootpath / "docs" / "serving.md").read_text()
    missing = list(itertools.filterfalse(lambda name: f"| {name} |" in page, attacks.ATTACKS))
    assert not missing
