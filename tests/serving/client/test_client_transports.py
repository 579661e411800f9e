"""Laws of each transport: deadlines, message sizes, encodings, certificates and connections; what importing costs."""

import contextlib
import socket
import ssl
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import trustme
from fake_serving import METADATA, FakeModel, RestHandler, grpc_server, rest_server

from serving.client import Client, deadline, errors
from serving.client.results import Drawn
from serving.client.tls import TLS


@pytest.fixture
def model():
    return FakeModel()


def test_every_request_carries_a_deadline(model):
    with grpc_server(model) as address, Client(address) as client:
        client.sample(7)
        client.predict("metadata", {"digit": [0]})
    seconds = [left for _, left in model.calls]
    assert len(seconds) == 3 and all(0 < left <= deadline.LONGEST for left in seconds)
    assert all(left < 1e8 for left in seconds)  # what gRPC shows for none is larger


def test_the_deadline_asked_for_is_sent_with_the_request(model):
    with grpc_server(model) as address, Client(address, deadline=100) as client:
        client.sample(7)
        client.sample(7, deadline=33)
    assert [round(left, -1) for _, left in model.calls] == [100, 100, 30]


def test_the_default_deadline_grows_with_images_and_steps_and_is_finite():
    seconds = [deadline.default_seconds(rows, steps) for rows, steps in [(0, 0), (1, 20), (64, 20), (64, 1000)]]
    assert seconds[0] > 0 and seconds == sorted(set(seconds))
    assert deadline.default_seconds(10**9, 10**9) == deadline.LONGEST


def test_typed_fields_and_tensor_content_are_read_alike(model):
    with grpc_server(model) as address, Client(address) as client:
        typed = client.trajectory([1, 2], seed=1)
        model.content = True
        content = client.trajectory([1, 2], seed=1)
    for one, other in zip(typed, content):
        np.testing.assert_array_equal(one, other)


def test_version_and_label_are_in_each_request(model):
    with grpc_server(model) as address:
        for options in ({"version": 3}, {"label": "stable"}):
            with Client(address, model="other", **options) as client:
                client.sample(7)
    first, second = model.calls[0][0].model_spec, model.calls[-1][0].model_spec
    assert (first.name, first.version.value) == ("other", 3)
    assert (second.version_label, second.HasField("version")) == ("stable", False)


def test_answers_above_grpcs_usual_4_mib_arrive(model, monkeypatch):
    monkeypatch.setattr("fake_serving.METADATA", {**METADATA, "max_batch": 1000})
    with grpc_server(model) as address, Client(address) as client:
        assert client.trajectory([1] * 800).x_t.nbytes > 4 * 2**20


@pytest.mark.parametrize("server", [grpc_server, rest_server])
def test_a_message_above_the_limit_is_not_tried_again(model, server):
    with server(model) as address, Client(address, max_message_bytes=6000) as client:
        client.sample(7)
        with pytest.raises(errors.TooLarge, match="max_message_bytes"):
            client.trajectory([1] * 4)
    assert len(model.requests) == 2


def test_a_connection_is_kept_between_requests(model):
    with rest_server(model) as address, Client(address) as client:
        for _ in range(3):
            client.sample(7)
        client.status()
    assert len(model.connections) == 1


def test_a_kept_connection_that_the_server_closed_costs_no_try(model):
    with rest_server(model) as address:
        client = Client(address, retries=0)
        client.sample(7)
    with client, rest_server(model, port=int(address.rsplit(":", 1)[1])):
        assert client.sample(7, seed=3).images[0, 0, 2] == 3


@pytest.mark.parametrize("secure", [False, True])
@pytest.mark.parametrize("start", [b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n"])
def test_a_server_that_drips_cannot_outlast_the_deadline(model, monkeypatch, tmp_path, secure, start):
    def drip(handler, ask):
        with contextlib.suppress(OSError):  # the client may have gone
            handler.wfile.write(start)
            for _ in range(200):
                handler.wfile.write(b"x")
                time.sleep(0.02)

    monkeypatch.setattr("fake_serving.RestHandler.answer", drip)
    tls = context = None
    if secure:
        authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("localhost").configure_cert(context)
        authority.cert_pem.write_to_path(tmp_path / "root.pem")
        tls = TLS(tmp_path / "root.pem")
    with rest_server(model, context=context) as address, Client(address, tls=tls) as client:
        outlasted(lambda: client.status(deadline=0.3))


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_silent_server_cannot_outlast_the_deadline(scheme):
    with socket.create_server(("localhost", 0)) as silent:
        client = Client(f"{scheme}://localhost:{silent.getsockname()[1]}")
        outlasted(lambda: client.status(deadline=0.3))
        client.close()


def test_a_server_that_does_not_read_cannot_outlast_the_deadline(model, monkeypatch):
    monkeypatch.setattr("fake_serving.METADATA", {**METADATA, "max_batch": 1000})
    x_t = np.random.default_rng(0).standard_normal((300, 28, 28, 1))  # more than a socket's buffers take
    with rest_server(model) as address, Client(address) as client:
        client.metadata()
        monkeypatch.setattr("fake_serving.RestHandler.do_POST", lambda handler: time.sleep(5))
        outlasted(lambda: client.denoise(x_t, 0, 1, deadline=0.5))


def outlasted(call):
    start = time.monotonic()
    with pytest.raises(errors.DeadlineExceeded):
        call()
    assert time.monotonic() - start < 3  # each takes longer without a deadline


@pytest.mark.parametrize("value", ["NaN", None, float("nan")])
def test_every_spelling_of_nan_in_json_is_read(model, monkeypatch, value):
    row = np.zeros((1, 28, 28, 1)).tolist()
    row[0][0][0][0] = value
    monkeypatch.setattr("fake_serving.RestHandler.predict", answer_with({"eps": row, "x_0": row}))
    with rest_server(model) as address, Client(address) as client:
        eps = client.denoise(np.zeros((1, 28, 28, 1)), 0, 1).eps
    assert np.isnan(eps[0, 0, 0, 0]) and np.isfinite(eps.reshape(-1)[1:]).all()


@pytest.mark.parametrize(
    "address, options, message",
    [
        ("localhost", {}, "`address` must be like localhost:8500"),
        ("grpc://localhost:1", {}, "`address` must be like localhost:8500"),
        ("http://", {}, "`address` must be a URL"),
        ("http://localhost:99999", {}, "`address` must be a URL"),
        ("http://localhost:1", {"tls": TLS()}, "`tls` must be given with an https address"),
        ("http://localhost:1", {"model": ""}, "`model` must be"),
        ("http://localhost:1", {"version": 1, "label": "x"}, "`version` must be given without"),
        ("http://localhost:1", {"version": -1}, "`version` must be in 0"),
        ("http://localhost:1", {"deadline": -1}, "`deadline` must be"),
        ("http://localhost:1", {"retries": -1}, "`retries` must be"),
        ("http://localhost:1", {"max_message_bytes": 0}, "`max_message_bytes` must be"),
    ],
)
def test_a_wrong_setting_is_refused(address, options, message):
    with pytest.raises(errors.InvalidRequest, match=message):
        Client(address, **options)


def test_tls_names_the_file_that_is_missing():
    with pytest.raises(errors.InvalidRequest, match=r"`root_certificate` must be a PEM file.*nowhere.pem"):
        TLS("nowhere.pem")
    with pytest.raises(errors.InvalidRequest, match="`client_key` must be given together"):
        TLS(client_key="key.pem")


def test_a_rest_client_imports_only_itself_and_nothing_of_tensorflow(model):
    code = "import sys; from serving.client import Client; Client(sys.argv[1]).sample(7); "
    code += "print({'tensorflow', 'grpc', 'keras', 'keras_ddpm', 'PIL'} & set(sys.modules), "
    code += "{name for name in sys.modules if name.startswith('serving.') and 'client' not in name})"
    root = Path(__file__).parents[3]
    with rest_server(model) as address:
        command = [sys.executable, "-c", code, address]
        out = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    assert out.stdout == "set() set()\n"


def test_a_grid_has_each_image_at_its_place():
    images = np.stack([np.full((4, 4), 50 * i, "uint8") for i in range(3)])
    page = np.asarray(Drawn(images, np.arange(3)).grid(columns=2, scale=2, gap=1))
    assert page.shape == (17, 17)
    assert [page[0, 0], page[0, 9], page[9, 0], page[9, 9], page[0, 8]] == [0, 50, 100, 255, 255]
    assert [np.asarray(image)[0, 0] for image in Drawn(images, np.arange(3)).pil()] == [0, 50, 100]
    with pytest.raises(errors.InvalidRequest, match="`columns` must be at least 1"):
        Drawn(images, np.arange(3)).grid(columns=0)


def answer_with(outputs):
    original = RestHandler.predict
    return lambda handler, body: (
        {"outputs": outputs} if body["signature_name"] == "denoise" else original(handler, body)
    )
