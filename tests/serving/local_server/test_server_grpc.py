"""What TensorFlow Serving answers, code and words, from the local server."""

import numpy as np
import pytest
from bare_calls import predict_request, refused
from small_model import request_arrays
from tensorflow.core.framework import tensor_pb2
from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2, predict_pb2

THREE = request_arrays([3, 3, 7])
SET = "len({digit,seed,w})"


def without(*names):
    return {name: array for name, array in THREE.items() if name not in names}


def changed(**arrays):
    return {**THREE, **arrays}


@pytest.mark.parametrize("method, request_class", [
    ("prediction.Predict", predict_pb2.PredictRequest),
    ("prediction.GetModelMetadata", get_model_metadata_pb2.GetModelMetadataRequest),
    ("model.GetModelStatus", get_model_status_pb2.GetModelStatusRequest),
])  # fmt: skip
def test_no_model_spec(caller, method, request_class):
    service, name = method.split(".")
    stub = getattr(getattr(caller, service), name)
    assert refused(stub, request_class(), timeout=20) == ("INVALID_ARGUMENT", "Missing ModelSpec")


@pytest.mark.parametrize("spec, code, message", [
    ({"model": ""}, "INVALID_ARGUMENT", "ModelSpec has no name specified."),
    ({"model": "nope"}, "NOT_FOUND", "Servable not found for request: Latest(nope)"),
    ({"version": 9}, "NOT_FOUND", "Servable not found for request: Specific(ddpm, 9)"),
    ({"version": 0}, "NOT_FOUND", "Servable not found for request: Specific(ddpm, 0)"),
    ({"model": "nope", "version": 5}, "NOT_FOUND", "Servable not found for request: Specific(nope, 5)"),
    ({"label": "X"}, "INVALID_ARGUMENT", "Unrecognized servable version label: X"),
])  # fmt: skip
def test_unknown_models_and_versions(caller, spec, code, message):
    assert refused(caller.predict, THREE, **spec) == (code, message)
    assert refused(caller.metadata, **spec) == (code, message)


def test_unknown_signature(caller):
    expected = ("FAILED_PRECONDITION", 'Serving signature key "zzz" not found.')
    assert refused(caller.predict, THREE, signature="zzz") == expected


def test_signature_that_is_not_for_predict(caller):
    code, message = refused(caller.predict, {}, signature="__saved_model_init_op")
    assert code == "INVALID_ARGUMENT" and message.startswith("Expected prediction signature method_name to be one of {")


@pytest.mark.parametrize("inputs, message", [
    (without("w"), f"2!=3 len({{digit,seed}}) != {SET}. Sent extra: {{}}. Missing but required: {{w}}."),
    ({}, f"0!=3 len({{}}) != {SET}. Sent extra: {{}}. Missing but required: {{digit,seed,w}}."),
    (changed(z=THREE["w"]), f"4!=3 len({{digit,seed,w,z}}) != {SET}. Sent extra: {{z}}. Missing but required: {{}}."),
    ({"z": THREE["w"]}, f"1!=3 len({{z}}) != {SET}. Sent extra: {{z}}. Missing but required: {{digit,seed,w}}."),
])  # fmt: skip
def test_wrong_number_of_inputs(caller, inputs, message):
    expected = ("INVALID_ARGUMENT", f"input size does not match signature: {message}")
    assert refused(caller.predict, inputs) == expected


def test_unknown_input(caller):
    code, message = refused(caller.predict, {**without("w"), "v": THREE["w"]})
    assert code == "INVALID_ARGUMENT"
    assert message == "input tensor alias not found in signature: v. Inputs expected to be in the set {digit,seed,w}."


@pytest.mark.parametrize("tensor", [
    tensor_pb2.TensorProto(),
    tensor_pb2.TensorProto(dtype="DT_INT32", tensor_shape={"dim": [{"size": -1}]}),
    tensor_pb2.TensorProto(dtype="DT_INT32", tensor_shape={"dim": [{"size": 3}]}, tensor_content=b"123"),
    tensor_pb2.TensorProto(dtype="DT_INT32", tensor_shape={"dim": [{"size": 2**40}]}, int_val=[1]),
])  # fmt: skip
def test_undecodable_tensor(caller, tensor):
    assert refused(caller.predict, changed(digit=tensor)) == ("INVALID_ARGUMENT", "tensor parsing error: digit")


@pytest.mark.parametrize("outputs, message", [
    (["nope"], "output tensor alias not found in signature: nope Outputs expected to be in the set {eps,w}."),
    (["w", "w"], "duplicate output tensor alias: w"),
])  # fmt: skip
def test_bad_output_filter(caller, outputs, message):
    assert refused(caller.predict, THREE, signature="pair", outputs=outputs) == ("INVALID_ARGUMENT", message)


@pytest.mark.parametrize("alias, dtype, message", [
    ("digit", "int64", "Expects arg[0] to be int32 but int64 is provided"),
    ("seed", "int32", "Expects arg[1] to be int64 but int32 is provided"),
    ("w", "float64", "Expects arg[2] to be float but double is provided"),
])  # fmt: skip
def test_wrong_type(caller, alias, dtype, message):
    inputs = changed(**{alias: THREE[alias].astype(dtype)})
    assert refused(caller.predict, inputs) == ("INVALID_ARGUMENT", message)


@pytest.mark.parametrize("inputs, message", [
    (request_arrays([3, 10]), "`digit` must be in 0..9"),
    (request_arrays([-1]), "`digit` must be in 0..9"),
    (request_arrays([3], w=np.nan), "`w` must be finite"),
    (request_arrays([3], w=np.inf), "`w` must be finite"),
    (request_arrays([]), "`digit` must hold at least one"),
    (request_arrays([1] * 100_000), "`digit` must hold at most 8"),
    (changed(w=THREE["w"][:2]), "`w` must be as long as `digit`"),
])  # fmt: skip
def test_what_the_graph_refuses(caller, inputs, message):
    assert refused(caller.predict, inputs) == ("INVALID_ARGUMENT", message)


@pytest.mark.parametrize("array", [np.int32(3), np.zeros((3, 1), "int32")])
def test_wrong_rank(caller, array):
    code, message = refused(caller.predict, changed(digit=np.asarray(array)))
    assert code == "INVALID_ARGUMENT" and message.startswith("`digit` must have shape [None]. Received: [")


def test_deadline_stops_the_graph(caller):
    slow = request_arrays([3], seed=2**62)  # thousands of years
    assert refused(caller.predict, slow, signature="slow", timeout=0.3)[0] == "DEADLINE_EXCEEDED"
    # The queue of this signature goes on only when the graph has stopped.
    assert caller.predict(request_arrays([3]), signature="slow")["digit"].tolist() == [3]


@pytest.mark.parametrize("fields, message", [
    ([], "GetModelMetadataRequest must specify at least one metadata_field"),
    (["X"], "Metadata field X is not supported"),
    (["signature_def", "X"], "Metadata field X is not supported"),
])  # fmt: skip
def test_metadata_fields(caller, fields, message):
    assert refused(caller.metadata, fields) == ("INVALID_ARGUMENT", message)


@pytest.mark.parametrize("spec, message", [
    ({"model": "X"}, "Could not find any versions of model X"),
    ({"model": ""}, "Could not find any versions of model "),
    ({"version": 9}, "Could not find version 9 of model ddpm"),
])  # fmt: skip
def test_status_of_what_is_not_there(caller, spec, message):
    assert refused(caller.status, **spec) == ("NOT_FOUND", message)


def test_status_of_a_version(caller):
    assert caller.status() == caller.status(version=5) == {5: (30, 0, "")}


def test_metadata_lists_every_signature(caller):
    response, found = caller.metadata()
    assert (response.model_spec.name, response.model_spec.version.value) == ("ddpm", 5)
    names = {"serving_default", "sample", "sample_png", "pair", "slow", "metadata", "double"}
    assert names <= set(found.signature_def)
    assert set(found.signature_def["sample"].inputs) == set(THREE)


@pytest.mark.parametrize("spec", [{}, {"version": 5}, {"signature": "pair"}])
def test_responses_say_what_ran(caller, spec):
    ran = caller.prediction.Predict(predict_request(THREE, **spec), timeout=20).model_spec
    assert (ran.name, ran.version.value) == ("ddpm", 5)
    assert ran.signature_name == spec.get("signature", "serving_default")


def test_output_filter_chooses(caller):
    assert list(caller.predict(THREE, signature="pair", outputs=["w"])) == ["w"]
    assert set(caller.predict(THREE, signature="pair")) == {"eps", "w"}


@pytest.mark.parametrize("method", ["PredictionService/Classify", "ModelService/HandleReloadConfigRequest"])
def test_what_it_does_not_do_is_unimplemented(caller, method):
    call = caller.channel.unary_unary(f"/tensorflow.serving.{method}")
    assert refused(call, b"", timeout=20)[0] == "UNIMPLEMENTED"


def test_long_names_come_back_shortened(caller):
    code, message = refused(caller.predict, THREE, signature="z" * 100_000)
    assert code == "FAILED_PRECONDITION" and len(message) == 1000
