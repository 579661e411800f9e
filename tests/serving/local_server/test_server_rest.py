"""The local server's REST interface: shapes of requests and answers, and what is refused."""

import base64
import contextlib
import http.client
import json
import math
import re
import time
import urllib.request

import numpy as np
import pytest
from bare_calls import calling
from bare_calls import http as ask
from small_model import request_arrays
from tensorflow.core.framework import types_pb2
from tensorflow.core.protobuf import meta_graph_pb2

from serving.local_server.errors import StatusError
from serving.local_server.wires import rest_json

MODEL = "/v1/models/ddpm"
PREDICT = f"{MODEL}:predict"
COLUMNS = {"digit": [3, 7], "w": [1, 2.5], "seed": [1, 2**62]}
ROWS = [{"digit": 3, "w": 1, "seed": 1}, {"digit": 7, "w": 2.5, "seed": 2**62}]


def test_rows_and_columns_and_grpc_give_the_same_images(local):
    with calling(local) as caller:
        expected = caller.predict({n: np.asarray(v, d) for (n, v), d in zip(COLUMNS.items(), ("i4", "f4", "i8"))})[
            "image"
        ]
    assert ask(local, PREDICT, {"instances": ROWS}) == (200, {"predictions": expected.tolist()})
    assert ask(local, PREDICT, {"inputs": COLUMNS}) == (200, {"outputs": expected.tolist()})
    assert expected.shape == (2, 28, 28, 1) and expected[:, 0, 0, 0].tolist() == [75, 175]


def test_several_outputs_are_named(local):
    status, answer = ask(local, PREDICT, {"signature_name": "pair", "instances": ROWS})
    assert status == 200 and [row["w"] for row in answer["predictions"]] == [1.0, 2.5]
    status, answer = ask(local, PREDICT, {"signature_name": "pair", "inputs": COLUMNS})
    assert status == 200 and answer["outputs"]["w"] == [1.0, 2.5]
    assert answer["outputs"]["eps"][0][0] == 3.0 and math.isnan(answer["outputs"]["eps"][0][1])


def test_one_input_needs_no_name(local):
    for body, key in (({"instances": [[1, 2], [3, 4]]}, "predictions"), ({"inputs": [[1, 2], [3, 4]]}, "outputs")):
        assert ask(local, PREDICT, {"signature_name": "double", **body}) == (200, {key: [[2, 4], [6, 8]]})


def test_bytes_leave_as_base64_and_text_as_text(local):
    _, answer = ask(local, PREDICT, {"signature_name": "sample_png", "instances": ROWS})
    assert base64.b64decode(answer["predictions"][0]["b64"]).startswith(b"\x89PNG")
    _, answer = ask(local, PREDICT, {"signature_name": "metadata", "instances": [1]})
    assert json.loads(answer["predictions"][0])["name"] == "small"


@pytest.mark.parametrize("path", [MODEL, f"{MODEL}/versions/5"])
def test_status(local, path):
    ok = {"error_code": "OK", "error_message": ""}
    version = {"version": "5", "state": "AVAILABLE", "status": ok}
    assert ask(local, path) == (200, {"model_version_status": [version]})


@pytest.mark.parametrize("path", [f"{MODEL}/metadata", f"{MODEL}/versions/5/metadata"])
def test_metadata(local, path):
    status, answer = ask(local, path)
    assert status == 200
    assert answer["model_spec"] == {"name": "ddpm", "signature_name": "", "version": "5"}
    digit = answer["metadata"]["signature_def"]["signature_def"]["sample"]["inputs"]["digit"]
    assert digit["dtype"] == "DT_INT32" and digit["tensor_shape"]["dim"] == [{"size": "-1", "name": ""}]


def test_the_page_asks_this_model_and_nobody_else(local):
    with urllib.request.urlopen(f"http://127.0.0.1:{local.rest_api_port}/", timeout=20) as response:
        page, policy = response.read().decode(), response.headers["Content-Security-Policy"]
    assert response.headers["Content-Type"] == "text/html; charset=utf-8"
    assert 'data-model="ddpm"' in page and "MODEL_NAME" not in page
    assert "default-src 'none'" in policy and "connect-src 'self'" in policy and "http" not in page.split("<script>")[1]
    for name in ("digit", "w", "seed"):
        assert f'id="{name}"' in page
    body = {"signature_name": "sample_png", "inputs": {"digit": [7], "w": [2], "seed": [5]}}  # as its script does
    assert base64.b64decode(ask(local, PREDICT, body)[1]["outputs"][0]["b64"]).startswith(b"\x89PNG")


@pytest.mark.parametrize("path, body, status, message", [
    ("/v1/models/nope", None, 404, "Could not find any versions of model nope"),
    (f"{MODEL}/versions/9", None, 404, "Could not find version 9 of model ddpm"),
    (f"{MODEL}/versions/9999999999999999999", None, 400, "version must be below"),
    (f"{MODEL}/versions/x", None, 404, "Malformed request: GET /v1/models/ddpm/versions/x"),
    ("/v1", None, 404, "Malformed request: GET /v1"),
    ("/v1/models/nope:predict", {"inputs": COLUMNS}, 404, "Servable not found for request: Latest(nope)"),
    (f"{MODEL}/versions/9:predict", {"inputs": COLUMNS}, 404, "Servable not found for request: Specific(ddpm, 9)"),
    (f"{MODEL}/labels/X:predict", {"inputs": COLUMNS}, 400, "Unrecognized servable version label: X"),
    (f"{MODEL}:classify", {}, 404, "Malformed request: POST /v1/models/ddpm:classify"),
    (PREDICT, None, 405, "405: Method Not Allowed"),
    (PREDICT, b"", 400, "JSON Parse error"),
    (PREDICT, b"{", 400, "JSON Parse error"),
    (PREDICT, b"\xff\xfe\xfd", 400, "JSON Parse error"),
    (PREDICT, b"[" * 100_000, 400, "JSON Parse error: nested too deeply"),
    (PREDICT, b"[1]", 400, "JSON must be an object"),
    (PREDICT, b"9" * 10_000, 400, "JSON Parse error"),
    (PREDICT, b"x" * (2**24 + 1), 413, "A body must have at most 16777216 bytes"),
    (PREDICT, {}, 400, "Missing 'inputs' or 'instances' key"),
    (PREDICT, {"inputs": COLUMNS, "instances": ROWS}, 400, "JSON must have 'instances' or 'inputs', and not both"),
    (PREDICT, {"inputs": COLUMNS, "signature_name": 1}, 400, "'signature_name' must be a string"),
    (PREDICT, {"inputs": COLUMNS, "signature_name": "zzz"}, 400, 'Serving signature key "zzz" not found.'),
    (PREDICT, {"instances": []}, 400, "'instances' must be a list of at least one"),
    (PREDICT, {"instances": "x"}, 400, "'instances' must be a list of at least one"),
    (PREDICT, {"instances": [1]}, 400, "'instances' must name its values"),
    (PREDICT, {"instances": [ROWS[0], {"digit": 3}]}, 400, "Element 1 of 'instances' must be an object with keys"),
    (PREDICT, {"inputs": 3}, 400, "'inputs' must name its values"),
    (PREDICT, {"inputs": {"digit": [3]}}, 400, "input size does not match signature: 1!=3"),
    (PREDICT, {"inputs": {**COLUMNS, "digit": [1.5, 2]}}, 400, "`digit` must be of type int32. Received: [1.5, 2]"),
    (PREDICT, {"inputs": {**COLUMNS, "digit": ["3", "4"]}}, 400, "`digit` must be of type int32"),
    (PREDICT, {"inputs": {**COLUMNS, "digit": [None, 1]}}, 400, "`digit` must be of type int32"),
    (PREDICT, {"inputs": {**COLUMNS, "digit": [True, False]}}, 400, "`digit` must be of type int32"),
    (PREDICT, {"inputs": {**COLUMNS, "digit": [2**31, 1]}}, 400, "`digit` must be in -2147483648..2147483647"),
    (PREDICT, {"inputs": {**COLUMNS, "seed": [2**63, 2**63]}}, 400, "`seed` must be in "),
    (PREDICT, {"inputs": {**COLUMNS, "seed": [2**70, 1]}}, 400, "`seed` must be in "),
    (PREDICT, {"inputs": {**COLUMNS, "digit": [[1], [2, 3]]}}, 400, "`digit` must be lists of equal lengths"),
    (PREDICT, {"inputs": {**COLUMNS, "digit": [[1], [2]]}}, 400, "`digit` must have shape [None]"),
    (PREDICT, {"inputs": {**COLUMNS, "digit": [1, 10]}}, 400, "`digit` must be in 0..9"),
    (PREDICT, {"inputs": {**COLUMNS, "w": [1, float("nan")]}}, 400, "`w` must be finite"),
    (PREDICT, {"inputs": {**COLUMNS, "w": [1, 1e300]}}, 400, "`w` must be finite"),
    (PREDICT, {"inputs": {**COLUMNS, "w": [1, 2**200]}}, 400, "`w` must be finite"),
    (PREDICT, {"inputs": {**COLUMNS, "w": [1, 10**400]}}, 400, "`w` must be of type float"),
    # 4 TB, if each string took as much memory as the longest:
    (PREDICT, {"inputs": {**COLUMNS, "digit": ["x" * 10**6, *[""] * 10**6]}}, 400, "`digit` must be of type int32"),
    (PREDICT, {"inputs": {"digit": [], "w": [], "seed": []}}, 400, "`digit` must hold at least one"),
])  # fmt: skip
def test_errors_say_what_is_wrong(local, path, body, status, message):
    received, answer = ask(local, path, body)
    assert (received, set(answer)) == (status, {"error"}) and answer["error"].startswith(message)


def test_a_request_that_takes_too_long_is_504_and_the_next_one_runs(running):
    slow = {"signature_name": "slow", "inputs": {"digit": [3], "w": [1], "seed": [2**62]}}
    with running(timeout=4) as local:
        assert ask(local, PREDICT, slow) == (504, {"error": "Deadline exceeded"})
        assert ask(local, PREDICT, {**slow, "inputs": {"digit": [3], "w": [1], "seed": [0]}})[0] == 200


STRINGS = meta_graph_pb2.SignatureDef(method_name="tensorflow/serving/predict")
STRINGS.inputs["image_bytes"].dtype = types_pb2.DT_STRING
STRINGS.inputs["image_bytes"].tensor_shape.dim.add(size=-1)


@pytest.mark.parametrize("body, expected", [
    ({"instances": [{"b64": "AP8="}, {"b64": ""}]}, [b"\0\xff", b""]),
    ({"instances": [{"image_bytes": {"b64": "AP8="}}]}, [b"\0\xff"]),
    ({"inputs": {"image_bytes": [{"b64": "AP8="}, "é"]}}, [b"\0\xff", "é".encode()]),
    ({"inputs": [{"b64": "AP8="}]}, [b"\0\xff"]),
])  # fmt: skip
def test_bytes_come_in_as_base64(body, expected):
    call, _ = rest_json.read_body(json.dumps(body), {"serving_default": STRINGS})
    assert call.inputs["image_bytes"].tolist() == expected


@pytest.mark.parametrize("value, said", [
    *[([odd], "be strings or {'b64': ...}") for odd in ({"b64": 3}, {"b65": ""}, 3, None)],
    *[([odd], "be base64") for odd in ({"b64": "???"}, {"b64": "é"})],
    *[(odd, "be lists of equal lengths") for odd in ([["a", "b"], ["c"]], [["a", "b"], ["c"], ["d"]], ["a", ["b"]])],
])  # fmt: skip
def test_what_are_no_bytes_is_refused(value, said):
    with pytest.raises(StatusError, match=f"`image_bytes` must {re.escape(said)}"):
        rest_json.read_body(json.dumps({"inputs": {"image_bytes": value}}), {"serving_default": STRINGS})


@pytest.mark.parametrize("shape", [(0,), (3,), (7,), (2, 3), (5, 1, 2), (2, 9), (4, 0)])
def test_json_written_in_blocks_is_the_same(shape, monkeypatch):
    numbers = np.arange(math.prod(shape)).reshape(shape)
    outputs = {"a": numbers, "b": numbers / 4, "c_bytes": numbers.astype(str).astype("S").astype(object)}

    def written():
        only = {"a": numbers}
        return [rest_json.write_body(arrays, rows=rows) for arrays in (only, outputs) for rows in (True, False)]

    whole = written()
    monkeypatch.setattr(rest_json, "BLOCK", 3)
    assert written() == whole
    assert json.loads(whole[0]) == {"predictions": numbers.tolist()}


def test_rest_and_grpc_requests_share_the_limits_of_the_model(local):
    status, answer = ask(local, PREDICT, {"inputs": {n: a.tolist() for n, a in request_arrays([1] * 9).items()}})
    assert (status, answer) == (400, {"error": "`digit` must hold at most 8"})


def test_a_body_does_not_wait_for_the_acknowledgement_of_its_head(local):
    """Nagle's algorithm and a delayed acknowledgement cost 40 ms a request, of every request on a connection."""
    connection, taken = http.client.HTTPConnection("127.0.0.1", local.rest_api_port), []
    with contextlib.closing(connection):
        for _ in range(20):
            started = time.perf_counter()
            connection.request("GET", "/v1/models/ddpm")
            assert connection.getresponse().read()
            taken.append(time.perf_counter() - started)
    assert min(taken[2:]) < 0.03
