"""A real export behind the local server: the same picture over every wire, alone and among others."""

import base64
import concurrent.futures
import io
import shutil
import time

import numpy as np
import pytest
import tensorflow as tf
from bare_calls import calling, http, refused
from PIL import Image
from small_model import request_arrays

from serving.local_server import server
from serving.local_server.options import Options
from serving.local_server.servable import Servable
from serving.local_server.version import read_sizes

DIGITS = [3, 3, 7, 0, 9]
SEEDS = [1, 2, 2**62, 0, 5]


def asked(rows=slice(None)):
    """Some of the rows of one request."""
    inputs = request_arrays(DIGITS, w=2.5)
    return {name: array[rows] for name, array in {**inputs, "seed": np.array(SEEDS)}.items()}


def assert_same_pictures(found, expected):
    """Equal, but for pixels that round to the next grey level: floats differ in the last bits between batch sizes."""
    differences = np.abs(np.asarray(found, int) - np.asarray(expected, int))
    assert differences.max() <= 1 and np.mean(differences) < 5e-3


@pytest.fixture(scope="module")
def images(exported):
    """What the SavedModel draws in a session, each row alone."""
    servable = Servable(exported / "1")
    try:
        assert read_sizes(servable) == (1, 2, 4, 8, 16, 32, 64)
        rows = [servable.run("sample", asked(slice(i, i + 1)))["image"] for i in range(len(DIGITS))]
    finally:
        servable.close()
    return np.concatenate(rows)


@pytest.fixture(scope="module")
def local(exported):
    with server.running(Options(model_base_path=exported, port=0, rest_api_port=0)) as local:
        yield local


@pytest.fixture(scope="module")
def caller(local):
    with calling(local) as caller:
        yield caller


def test_one_picture_by_grpc_and_by_rest(local, caller, images):
    assert_same_pictures(caller.predict(asked())["image"], images)
    assert_same_pictures(caller.predict(asked(), signature="sample")["image"], images)
    columns = {name: array.tolist() for name, array in asked().items()}
    _, answer = http(local, "/v1/models/ddpm:predict", {"inputs": columns})
    assert_same_pictures(answer["outputs"], images)
    rows = [dict(zip(columns, row)) for row in zip(*columns.values())]
    _, answer = http(local, "/v1/models/ddpm:predict", {"signature_name": "sample_png", "instances": rows})
    for encoded, image in zip(answer["predictions"], images, strict=True):
        assert_same_pictures(Image.open(io.BytesIO(base64.b64decode(encoded["b64"]))), image[..., 0])


def test_one_picture_alone_or_merged_with_other_clients(caller, images):
    rows = [i % len(DIGITS) for i in range(40)]
    with concurrent.futures.ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda i: caller.predict(asked(slice(i, i + 1)))["image"][0], rows))
    for i, answer in zip(rows, answers, strict=True):
        assert_same_pictures(answer, images[i])


@pytest.mark.parametrize("inputs, said", [
    (request_arrays([10]), "`digit` must be in 0..9, this one has: 10"),
    (request_arrays([3], w=-np.inf), "`w` must be finite, this one has: -inf"),
    (request_arrays([3] * 65), "a request must have 1..64 rows, this one: 65"),
    ({**request_arrays([3, 3]), "w": np.float32([2])}, "`w` must have as many rows as `digit`, w: 1 digit: 2"),
])  # fmt: skip
def test_what_the_model_refuses_is_said_in_its_words(caller, inputs, said):
    code, message = refused(caller.predict, inputs, signature="sample")
    assert code == "INVALID_ARGUMENT" and message.startswith(said)


def test_a_truncated_weights_file_is_no_version(exported, tmp_path):
    shutil.copytree(exported / "1", tmp_path / "2")
    [data] = (tmp_path / "2" / "variables").glob("variables.data*")
    data.write_bytes(data.read_bytes()[:-1000])
    with pytest.raises(tf.errors.OpError):
        Servable(tmp_path / "2")


@pytest.mark.slow
def test_the_wire_costs_less_than_3_ms(exported, caller):
    """Median against median, on a machine that has nothing else to do."""
    one = asked(slice(0, 1))
    servable = Servable(exported / "1")

    def median(call):
        times = []
        for _ in range(60):
            started = time.perf_counter()
            call()
            times.append(time.perf_counter() - started)
        return np.median(times[10:])

    try:
        assert median(lambda: caller.predict(one)) - median(lambda: servable.run("sample", one)) < 3e-3
    finally:
        servable.close()
