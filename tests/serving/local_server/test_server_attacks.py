"""The attacks of `benchmarks.attacks`, each a small one, and that the watch over them sees what breaks."""

import json
import time

import numpy as np
import pytest

from benchmarks.attacks import fuzzer, watch
from benchmarks.attacks.target import Target, Truth
from benchmarks.attacks.watch import ATTACKS, Scale, watched
from benchmarks.attacks.wires import FINE, INVALID, GrpcWire, Reply, RestWire, Tally, predict_body, predict_message


@pytest.fixture(scope="module")
def scale(small_preset):
    return Scale(
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
@pytest.mark.parametrize("name", ATTACKS)
def test_the_server_survives(target, truth, scale, name):
    outcome = watched(name, target, truth, scale)
    assert not outcome.faults, "\n".join(outcome.faults)
    assert outcome.honest and outcome.codes
    if name == "fuzz":
        assert sum(outcome.codes.values()) >= scale.requests


@pytest.mark.parametrize("reply, said", [
    (Reply("gRPC UNKNOWN", "x"), ["gRPC UNKNOWN: x"]),
    (Reply("gRPC INTERNAL", "ValueError: x"), ["gRPC INTERNAL: ValueError: x"]),
    (Reply("gRPC INTERNAL", "The request is no message of its type: x"), []),
    (Reply("REST 500", "x"), ["REST 500: x"]),
    (Reply("gRPC NOT_FOUND"), ["gRPC NOT_FOUND says nothing"]),
])  # fmt: skip
def test_a_code_that_may_not_come_is_a_fault(reply, said):
    tally = Tally()
    tally.count(reply)
    assert tally.faults == said


def test_a_code_beside_those_that_one_request_may_get_is_a_fault():
    tally = Tally()
    tally.count(Reply("gRPC INVALID_ARGUMENT", "x"), INVALID)
    assert not tally.faults
    tally.count(Reply("gRPC OK"), INVALID, " to w = nan")
    tally.count(Reply("gRPC INTERNAL", "The request is no message of its type: x"), INVALID)
    assert [fault.partition(":")[0] for fault in tally.faults] == ["gRPC OK to w = nan", "gRPC INTERNAL"]
    assert tally.answered() == 1


@pytest.mark.parametrize("grey, rounded, faults", [(1, 1, 0), (1, 0, 1), (2, 1, 1)])
def test_so_many_pixels_may_be_a_grey_level_off(grey, rounded, faults):
    drawn, tally = np.zeros((1, 2, 2, 1), "uint8"), Tally()
    drawn[0, 0, 0] = grey
    tally.compare(Reply("REST 200", body=json.dumps({"outputs": drawn.tolist()}).encode()), drawn * 0, rounded)
    assert len(tally.faults) == faults


@pytest.mark.slow
def test_a_wrong_picture_of_an_honest_client_is_a_fault(target, truth, scale, monkeypatch):
    wrong = [255 - truth.images[0], *truth.images[1:]]
    monkeypatch.setattr(truth, "images", wrong)
    outcome = watched("bytes", target, truth, scale, attack=lambda *given: time.sleep(0.5))
    for who in ("a reference picture: ", "an honest client got "):
        assert {f"{who}{code}: a wrong picture" for code in FINE} & set(outcome.faults)


@pytest.mark.slow
def test_a_wrong_picture_and_a_wrong_answer_to_an_odd_request_are_faults(target, truth):
    tally, wires = Tally(), (GrpcWire(target.port), RestWire(target.rest_port))
    replies = [wire.predict(truth.requests[1]) for wire in wires]
    wires[0].close()
    for i in (1, 2):
        assert len(tally.faults) == 0
        tally.compare(replies[0], truth.images[i])
        fuzzer.check_right(truth, tally, replies[0], content=predict_message(truth.requests[i]))
        fuzzer.check_right(truth, tally, replies[1], content=json.dumps(predict_body(truth.requests[i])))
    assert len(tally.faults) == 3 and "a wrong picture" in tally.faults[0]


@pytest.mark.slow
def test_files_memory_and_exceptions_that_stay_are_faults(target, truth, scale, monkeypatch):
    monkeypatch.setattr(watch, "SETTLING", 0.5)
    monkeypatch.setattr(watch, "MEMORY", -(2**20))
    wires = []

    def leak(target, truth, tally, scale):
        wires.extend(GrpcWire(target.port) for _ in range(10))
        for wire in wires:
            wire.send(b"")  # connects, and stays
        with target._log.open("a") as log:
            log.write("\nTraceback (most recent call last)\n  File x\nValueError: y\n")

    faults = watched("bytes", target, truth, scale, attack=leak).faults
    for wire in wires:
        wire.close()
    assert len(faults) == 3
    assert faults[0].startswith("files: ") and faults[1].startswith("memory: ")
    assert faults[2] == "in the log 1 times: ValueError: y"


def test_every_attack_is_in_the_docs(request):
    page = (request.config.rootpath / "docs" / "serving.md").read_text()
    assert not [name for name in ATTACKS if f"| {name} |" not in page]
