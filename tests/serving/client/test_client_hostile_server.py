"""Laws for a server that sends anything at all: every failure is a `ServingError`, and costs no memory."""

import contextlib
import itertools
import json
import tracemalloc

import numpy as np
import pytest
from fake_serving import METADATA, SERVERS, SIGNATURES, FakeModel, GrpcService, RestHandler, grpc_server, rest_server
from tensorflow.core.framework import tensor_pb2, types_pb2
from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2

from serving.client import Client
from serving.client.errors import InvalidRequest, ServingError, TooLarge, Unavailable


@pytest.fixture
def model():
    return FakeModel()


@pytest.fixture(params=list(SERVERS))
def client(request, model):
    with SERVERS[request.param](model) as address, Client(address, deadline=20) as client:
        yield client


@pytest.fixture
def rest(model):
    with rest_server(model) as address, Client(address, deadline=20, max_message_bytes=10**5, retries=0) as client:
        yield client


def refused(call, *args, match=None, **options):
    """The call fails with a plain `ServingError` that blames the server."""
    with pytest.raises(ServingError, match=match) as caught:
        call(*args, **options)
    assert (type(caught.value), caught.value.code) == (ServingError, "INTERNAL")


def image(n, *shape, dtype="uint8", fill=7):
    return np.full((n, *(shape or (28, 28, 1))), fill, dtype)


IMAGES = {
    "float32": lambda n: image(n, dtype="float32"),
    "NaN": lambda n: image(n, dtype="float32", fill=np.nan),
    "strings": lambda n: image(n, dtype=object, fill=b"7"),
    "14 x 14": lambda n: image(n, 14, 14, 1),
    "three channels": lambda n: image(n, 28, 28, 3),
    "flat": lambda n: image(n, 784),
    "a row too many": lambda n: image(n + 1),
    "no rows": lambda n: image(0),
}


@pytest.mark.parametrize("kind", IMAGES)
def test_an_image_is_uint8_and_as_large_as_the_models(client, model, kind):
    model.results["sample"] = lambda inputs: {"image": IMAGES[kind](len(inputs["digit"]))}
    refused(client.sample, [1, 2], match="`image`")


@pytest.mark.parametrize("kind", ["float32", "14 x 14"])
def test_what_the_server_says_of_its_signature_changes_nothing(client, model, monkeypatch, kind):
    made = IMAGES[kind](1)
    monkeypatch.setitem(SIGNATURES, "sample", (SIGNATURES["sample"][0], {"image": (made.dtype.name, made.shape)}))
    model.results["sample"] = lambda inputs: {"image": IMAGES[kind](1)}
    refused(client.sample, 1, match="`image`")


@pytest.mark.parametrize(
    "signature, outputs",
    [
        ("sample_png", {"image_bytes": np.arange(2, dtype="int32")}),
        ("sample_png", {"image_bytes": np.full((2, 2), b"7", object)}),
        ("trajectory", {"x_t": image(2, 2, 28, 28, 1, dtype="float32"), "t": image(2, 2, dtype="float32", fill=0.5)}),
        ("trajectory", {"x_t": image(2, 28, 28, 1, dtype="float32"), "t": image(2, 2, dtype="int32")}),
        ("trajectory", {"x_t": image(2, 2, 28, 28, 1, dtype="float32"), "times": image(2, 2, dtype="int32")}),
    ],
)
def test_other_results_have_their_dtypes_shapes_and_names_too(client, model, signature, outputs):
    model.results[signature] = lambda inputs: outputs
    refused(getattr(client, signature), [1, 2])


def test_chunks_that_do_not_fit_together_are_refused(client, model):
    sizes = itertools.count(2)

    def states(inputs):
        n, k = len(inputs["digit"]), next(sizes)
        return {"x_t": image(n, k, 28, 28, 1, dtype="float32"), "t": image(n, k, dtype="int32")}

    model.results["trajectory"] = states
    refused(client.trajectory, [1] * 8)


@pytest.mark.parametrize(
    "said",
    [b"", b"\xff", b"5", b"null", b"[]", b"{}", b"[" * 10**5, b"1" * 10**5]
    + [
        json.dumps(METADATA | wrong).encode()
        for wrong in (
            {"max_batch": 0},
            {"max_batch": "4"},
            {"steps": None},
            {"steps": -1},
            {"T": 1e3},
            {"num_classes": True},
            {"image_shape": 28},
            {"image_shape": [28, 28]},
            {"image_shape": [28, -28, 1]},
            {"w": "2"},
            {"w": float("nan")},
            {"w": 1e300},
            {"attributes": 3},
            {"attributes": ["slant"]},
            {"attributes": {"slant": 1}},
            {"attributes": {"slant": [1, 0]}},
            {"attributes": {"slant": ["a", "b"]}},
            {"attributes": {"slant": [0, 1e39]}},
            {"attributes": {"digit": [0, 1]}},
        )
    ],
    ids=lambda said: said[-40:].decode(errors="replace"),
)
def test_wrong_metadata_are_refused(client, model, said):
    model.metadata = said
    refused(client.sample, [1] * 9)


@pytest.mark.parametrize("count", [2**31, 2**50])
@pytest.mark.parametrize("values", [[], [0]])
def test_a_small_message_cannot_claim_a_large_result(model, monkeypatch, count, values):
    shape = (count // 2**10, 2**10, 1)
    model.metadata = json.dumps(METADATA | {"image_shape": [min(size, 2**31 - 1) for size in shape]}).encode()
    monkeypatch.setitem(SIGNATURES, "huge", (SIGNATURES["metadata"][0], {"image": ("uint8", (-1, *shape))}))
    tensor = tensor_pb2.TensorProto(dtype=types_pb2.DT_UINT8, int_val=values)
    for size in (1, *shape):
        tensor.tensor_shape.dim.add(size=size)
    model.results |= dict.fromkeys(("sample", "huge"), lambda inputs: {"image": tensor})
    with grpc_server(model) as address, Client(address) as client:
        client.metadata()
        tracemalloc.start()
        try:
            refused(client.sample, 1)
            refused(client.predict, "huge", {"digit": [1]}, match="claims")
            assert tracemalloc.get_traced_memory()[1] < 2**24
        finally:
            tracemalloc.stop()


def test_an_input_of_an_unknown_dtype_is_an_invalid_request(client, monkeypatch):
    monkeypatch.setitem(SIGNATURES, "odd", ({"x": ("resource", (-1,))}, {"y": ("int32", (-1,))}))
    with pytest.raises(InvalidRequest, match="dtype resource is not supported"):
        client.predict("odd", {"x": [1]})


def any_metadata(value, name="type.googleapis.com/tensorflow.serving.SignatureDefMap"):
    response = get_model_metadata_pb2.GetModelMetadataResponse()
    response.metadata["signature_def"].type_url, response.metadata["signature_def"].value = name, value
    return response


def unknown_dtype():
    signatures = get_model_metadata_pb2.SignatureDefMap()
    signatures.signature_def["sample"].inputs["digit"].dtype = 999
    return signatures.SerializeToString()


@pytest.mark.parametrize(
    "response",
    [
        get_model_metadata_pb2.GetModelMetadataResponse(),
        any_metadata(b"", name="type.googleapis.com/google.protobuf.Int32Value"),
        any_metadata(b"\xff"),
        any_metadata(unknown_dtype()),
    ],
    ids=["empty", "another type", "garbage", "unknown dtype"],
)
def test_unreadable_signatures_over_grpc_are_refused(model, monkeypatch, response):
    monkeypatch.setattr(GrpcService, "GetModelMetadata", lambda service, request, context: response)
    with grpc_server(model) as address, Client(address) as client:
        refused(client.signatures)


def test_an_unknown_state_over_grpc_is_refused(model, monkeypatch):
    response = get_model_status_pb2.GetModelStatusResponse()
    response.model_version_status.add(version=1, state=99)
    monkeypatch.setattr(GrpcService, "GetModelStatus", lambda service, request, context: response)
    with grpc_server(model) as address, Client(address) as client:
        refused(client.status)


def sends(monkeypatch, *parts):
    """The REST server answers with these bytes, whatever it is asked, and hangs up."""

    def answer(handler, ask):
        handler.close_connection = True
        with contextlib.suppress(OSError):  # the client may have gone
            for part in parts:
                handler.wfile.write(part)

    monkeypatch.setattr(RestHandler, "answer", answer)


def body(text):
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(text), text)


@pytest.mark.parametrize(
    "text",
    [b"", b"not JSON", b"[1]", b'{"outputs": 1}', b"[" * 10**5, b'{"metadata": {"signature_def": 5}}']
    + [b'{"model_version_status": %s}' % versions for versions in (b"5", b"[5]", b"[{}]", b'[{"version": "x"}]')]
    + [
        b'{"metadata": {"signature_def": {"signature_def": {"sample": {"inputs": {"x": %s}, "outputs": {}}}}}}' % spec
        for spec in (b"5", b"{}", b'{"dtype": 5, "tensor_shape": {}}', b'{"dtype": "", "tensor_shape": {"dim": 5}}')
    ],
    ids=lambda text: text[-40:].decode(),
)
def test_an_unreadable_response_over_rest_is_a_serving_error(rest, monkeypatch, text):
    sends(monkeypatch, body(text))
    for ask in (rest.status, rest.signatures, rest.metadata, lambda: rest.sample(7)):
        with pytest.raises(ServingError) as caught:
            ask()
        assert type(caught.value) is ServingError


@pytest.mark.parametrize(
    "answer", [b"\x00" * 100, b"SSH-2.0-OpenSSH_9\r\n", b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200]
)
def test_what_is_not_http_is_a_serving_error(rest, monkeypatch, answer):
    sends(monkeypatch, answer)
    with pytest.raises(ServingError, match="does not speak HTTP"):
        rest.status()


def test_a_response_cut_off_is_unavailable_however_long_it_was_to_be(rest, monkeypatch):
    sends(monkeypatch, b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000000000\r\n\r\n{}")
    with pytest.raises(Unavailable):
        rest.status()


@pytest.mark.parametrize(
    "framing, part",
    [(b"Content-Length: 9999999999", b"x" * 1000), (b"Transfer-Encoding: chunked", b"1\r\nx\r\n" * 1000)],
)
def test_a_response_that_never_ends_is_too_large(rest, monkeypatch, framing, part):
    sends(monkeypatch, b"HTTP/1.1 200 OK\r\n" + framing + b"\r\n\r\n", *[part] * 1000)
    with pytest.raises(TooLarge, match="max_message_bytes"):
        rest.status()


def test_a_redirect_is_not_followed(rest, monkeypatch):
    sends(monkeypatch, b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n")
    with pytest.raises(ServingError, match="302"):
        rest.status()
