"""Laws of the client that hold over gRPC and REST: what it asks, what it hands back, and how it fails."""

import asyncio
import json
import time
import types

import numpy as np
import pytest
from fake_serving import METADATA, SERVERS, FakeModel

from serving.client import Client, deadline, errors

SEEDS = [7, 2**63 - 1, 0]


@pytest.fixture(params=list(SERVERS))
def transport(request):
    return request.param


@pytest.fixture
def model():
    return FakeModel()


@pytest.fixture
def client(transport, model):
    with SERVERS[transport](model) as address, Client(address) as client:
        yield client


@pytest.fixture
def no_waits(monkeypatch):
    """Tries come at once."""
    monkeypatch.setattr(deadline, "FIRST_WAIT", 1e-3)


def test_images_come_from_the_digit_w_and_seed_of_their_row(client):
    images, seeds = client.sample([3, 3, 7], w=[3.0, 0.5, 1], seed=SEEDS)
    assert images.shape == (3, 28, 28) and images.dtype == np.uint8
    assert seeds.tolist() == SEEDS and seeds.dtype == np.int64
    assert images[:, 0, :3].tolist() == [[3, 30, 7], [3, 5, (2**63 - 1) % 251], [7, 10, 0]]


def test_scalars_broadcast_and_one_scalar_is_one_row(client):
    assert client.sample(7, seed=1).images.shape == (1, 28, 28)
    images, seeds = client.sample(7, w=1.0, seed=[1, 2])
    assert images[:, 0, 0].tolist() == [7, 7] and seeds.tolist() == [1, 2]
    assert client.sample(range(3), seed=5).images[:, 0, 2].tolist() == [5, 5, 5]


def test_without_w_the_models_own_is_sent(client, model):
    client.sample([1, 2])
    assert model.requests[0][1]["w"].tolist() == [METADATA["w"]] * 2


def test_fresh_seeds_differ_and_draw_the_same_images_again(client):
    images, seeds = client.sample([4] * 3)
    assert len(set(seeds.tolist())) == 3 and seeds.min() >= 0
    np.testing.assert_array_equal(client.sample([4] * 3, seed=seeds).images, images)


def test_chunks_fit_the_server_and_keep_their_order(client, model):
    digit = np.arange(11) % 10
    images, _ = client.sample(digit, w=1.0, seed=np.arange(11))
    assert images[:, 0, 0].tolist() == digit.tolist() and images[:, 0, 2].tolist() == list(range(11))
    assert sorted(len(inputs["digit"]) for _, inputs in model.requests) == [3, 4, 4]


def test_one_failed_chunk_fails_the_call_with_its_error(client, model):
    model.faults = [None, ("INTERNAL", "the second chunk failed")]
    with pytest.raises(errors.ServingError, match="chunk failed") as caught:
        client.sample([1] * 9)
    assert caught.value.code == "INTERNAL"


def test_png_bytes_arrive_unchanged(client):
    png, seeds = client.sample_png([1, 2], seed=[5, 6])
    assert png == [b"\x89PNG\xff5\0", b"\x89PNG\xff6\0"] and seeds.tolist() == [5, 6]


def test_trajectory_has_states_and_their_times(client):
    x_t, t, seeds = client.trajectory([1, 2], seed=[5, 6])
    assert x_t.shape == (2, 2, 28, 28, 1) and x_t.dtype == np.float32
    assert t.tolist() == [[999, -1]] * 2 and seeds.tolist() == [5, 6]
    assert x_t[1, :, 0, 0, 0].tolist() == [2, 3]


HALF = np.arange(28)[None, :] + np.zeros((28, 1)) < 14  # the left half is missing
GREY = np.resize(np.arange(256, dtype="uint8"), (28, 28))


def test_restore_sends_an_image_a_mask_and_an_unknown_digit(client, model):
    images, seeds = client.restore(GREY, mask=HALF, seed=7)
    assert images.shape == (1, 28, 28) and images.dtype == np.uint8 and seeds.tolist() == [7]
    np.testing.assert_array_equal(images[0][~HALF], GREY[~HALF])
    name, inputs = model.requests[0]
    assert name == "restore" and inputs["digit"].tolist() == [-1] and inputs["w"].tolist() == [METADATA["w"]]
    np.testing.assert_array_equal(inputs["mask"][0], HALF)


def test_one_image_is_restored_as_several_digits_in_chunks(client, model):
    images, _ = client.restore(GREY, mask=HALF * np.uint8(255), digit=range(6), w=3.0, seed=[1, 2, 3, 4, 5, 6])
    assert images[:, 0, :3].tolist() == [[digit, 30, digit + 1] for digit in range(6)]
    assert sorted(len(inputs["digit"]) for _, inputs in model.requests) == [2, 4]
    batch = client.restore(np.stack([GREY, GREY]), mask=np.stack([HALF, ~HALF]))
    np.testing.assert_array_equal(batch.images[1][HALF], GREY[HALF])
    assert len(set(batch.seeds.tolist())) == 2


@pytest.mark.parametrize(
    "given, message",
    [
        (
            {"image": GREY[:20]},
            r"`image` must be uint8 \(28, 28\), or a batch \(N, ...\)\. Received: 'uint8 \(20, 28\)'",
        ),
        ({"image": GREY / 255}, "`image` must be uint8"),
        ({"image": [[1], [2, 3]]}, "`image` must be uint8"),
        ({"mask": HALF[:20]}, r"`mask` must be \(28, 28\)"),
        ({"mask": HALF * 7}, "True .or 255. where a pixel is missing"),
        ({"mask": np.zeros((28, 28), bool)}, "some pixels are known and some missing"),
        ({"mask": np.ones((28, 28), bool)}, "some pixels are known and some missing"),
        ({"digit": 10}, r"`digit` must be in 0\.\.9"),
        ({"digit": -1}, r"`digit` must be in 0\.\.9"),
        ({"w": 2.0}, "`w` must be None without a `digit`"),
        ({"seed": -1}, "`seed` must be in"),
        ({"image": np.stack([GREY] * 3), "digit": [1, 2]}, "must broadcast together"),
    ],
)
def test_a_wrong_restoration_is_never_sent(client, model, given, message):
    with pytest.raises(errors.InvalidRequest, match=message):
        client.restore(**{"image": GREY, "mask": HALF} | given)
    assert not model.requests


def test_a_model_from_before_restore_says_so_and_draws_on(client, model):
    model.metadata = json.dumps({name: value for name, value in METADATA.items() if name != "restore"}).encode()
    with pytest.raises(errors.InvalidRequest, match="exported before there was `restore`: export it again"):
        client.restore(GREY, mask=HALF)
    assert client.sample(7).images.shape == (1, 28, 28)


@pytest.mark.parametrize("said", [3, {}, {"steps": 0, "repeats": 1}, {"steps": "many", "repeats": 1}])
def test_metadata_that_make_no_sense_are_the_servers_fault(client, model, said):
    model.metadata = json.dumps(METADATA | {"restore": said}).encode()
    with pytest.raises(errors.ServingError, match="cannot be read") as caught:
        client.restore(GREY, mask=HALF)
    assert type(caught.value) is errors.ServingError


def test_numbers_arrive_exactly_and_nan_stays_nan(client):
    x_t = np.random.default_rng(0).standard_normal((5, 28, 28, 1)).astype("float32")
    x_t[0, 0, 0, 0], x_t[0, 0, 1, 0] = np.inf, np.nan
    eps, x_0 = client.denoise(x_t, 500, [1, 2, 3, 4, 5])
    assert eps.dtype == np.float32
    np.testing.assert_array_equal(eps, x_t)
    assert x_0.shape == x_t.shape and np.isnan(x_0).all()


@pytest.mark.parametrize(
    "digit, options, message",
    [
        (12, {}, r"`digit` must be in 0..9, an integer. Received: 12"),
        (-1, {}, r"`digit` must be in 0.*Received: -1"),
        (1.5, {}, r"`digit` must be .* an integer. Received: 1.5"),
        (True, {}, r"`digit` must be .* an integer"),
        ("7", {}, r"`digit` must be .* an integer"),
        ([], {}, r"`digit` must hold at least one"),
        ([[1, 2]], {}, r"must broadcast to \(N,\)"),
        ([[1], [1, 2]], {}, r"`digit` must be"),
        (10**30, {}, r"`digit` must be"),
        (7, {"w": np.nan}, r"`w` must be finite"),
        (7, {"w": 1e39}, r"`w` must be finite"),
        (7, {"w": "3"}, r"`w` must be finite"),
        (7, {"seed": -1}, r"`seed` must be in 0..2\^63 - 1"),
        (7, {"seed": 2**63}, r"`seed` must be in 0..2\^63 - 1"),
        ([1, 2], {"seed": [1, 2, 3]}, r"must broadcast together"),
        ([1, 2], {"w": [1.0, 2.0, 3.0]}, r"must broadcast together"),
        (7, {"deadline": 0}, r"`deadline` must be a finite, positive"),
        (7, {"deadline": np.inf}, r"`deadline` must be a finite, positive"),
    ],
)
def test_a_wrong_argument_is_never_sent(client, model, digit, options, message):
    for draw in (client.sample, client.sample_png, client.trajectory):
        with pytest.raises(ValueError, match=message) as caught:
            draw(digit, **options)
        assert isinstance(caught.value, errors.InvalidRequest)
    assert model.requests == []


def test_denoise_says_what_x_t_and_t_must_be(client, model):
    x_t = np.zeros((2, 28, 28, 1))
    for arguments, message in [
        ((x_t[0], 5, 1), r"`x_t` must be numbers \(N, 28, 28, 1\)"),
        ((x_t, 1000, 1), r"`t` must be in 0..999"),
        ((x_t, 5, [1, 2, 3]), "must broadcast"),
        ((x_t[:1], 5, [1, 2, 3]), r"`x_t` must be 3 images"),
    ]:
        with pytest.raises(errors.InvalidRequest, match=message):
            client.denoise(*arguments)
    assert model.requests == []


@pytest.mark.parametrize(
    "signature, inputs, message",
    [
        ("zzz", {}, r"`signature` must be one of \['denoise', 'metadata', 'restore', 'sample'"),
        ("metadata", {}, r"`metadata` wants digit int32 \(N,\). Missing: \['digit'\]"),
        ("metadata", {"digit": [0], "x": 1}, r"Unknown: \['x'\]"),
        ("metadata", {"digit": [0.5]}, r"`digit` must be int32 \(N,\). Received: float64 \(1,\)"),
        ("metadata", {"digit": [[1], [1, 2]]}, r"`digit` must be int32 .* rows of several lengths"),
        ("metadata", {"digit": 0}, r"`digit` must be int32 \(N,\). Received: int64 \(\)"),
        ("metadata", {"digit": [2**40]}, r"`digit` must be int32"),
    ],
)
def test_an_error_says_what_the_signature_wants(client, signature, inputs, message):
    with pytest.raises(errors.InvalidRequest, match=message):
        client.predict(signature, inputs)


def test_a_refusal_by_the_server_says_what_the_signature_wants(client, model):
    model.faults = [("INVALID_ARGUMENT", "`digit` must be even")]
    with pytest.raises(errors.InvalidRequest, match=r"must be even. `sample` wants digit int32 \(N,\), seed int64"):
        client.sample(7)
    assert len(model.requests) == 1


def test_signatures_have_names_dtypes_and_shapes(client):
    signatures = client.signatures()
    assert list(signatures) == ["denoise", "metadata", "restore", "sample", "sample_png", "trajectory"]
    assert (
        str(signatures["sample"]) == "digit int32 (N,), seed int64 (N,), w float32 (N,) -> image uint8 (N, 28, 28, 1)"
    )
    assert str(signatures["sample_png"].outputs["image_bytes"]) == "string (N,)"


@pytest.mark.parametrize(
    "code, kind, builtin",
    [
        ("INVALID_ARGUMENT", errors.InvalidRequest, ValueError),
        ("FAILED_PRECONDITION", errors.InvalidRequest, ValueError),
        ("NOT_FOUND", errors.NotFound, LookupError),
        ("DEADLINE_EXCEEDED", errors.DeadlineExceeded, TimeoutError),
        ("INTERNAL", errors.ServingError, Exception),
    ],
)
def test_an_error_that_would_repeat_is_not_tried_again(client, model, code, kind, builtin):
    model.faults = [(code, "no")] * 9
    with pytest.raises(builtin) as caught:
        client.sample(7)
    assert type(caught.value) is kind and len(model.requests) == 1


@pytest.mark.parametrize("code, kind", [("UNAVAILABLE", errors.Unavailable), ("RESOURCE_EXHAUSTED", errors.Overloaded)])
def test_a_passing_failure_is_tried_again_as_often_as_allowed(client, model, no_waits, code, kind):
    model.faults = [(code, "later")] * 4
    assert client.sample(7, seed=3).images[0, 0, 2] == 3
    assert len(model.requests) == 5
    assert len({inputs["seed"].item() for _, inputs in model.requests}) == 1
    model.faults = [(code, "later")] * 5
    with pytest.raises(kind, match=r"later \(5 tries\)"):
        client.sample(7)


def test_no_try_begins_after_the_deadline(monkeypatch):
    clock, tries = [0.0], []
    monkeypatch.setattr(deadline, "time", types.SimpleNamespace(monotonic=lambda: clock[0]))

    def call(left):
        tries.append(left)
        raise errors.Unavailable("later")

    def sleep(seconds):
        clock[0] += seconds

    with pytest.raises(errors.Unavailable, match=r"later \(\d+ tries\)"):
        deadline.with_retries(call, deadline.Deadline(5), 10**4, sleep=sleep)
    assert tries[0] == 5 and 4 < len(tries) < 12 and 0 < tries[-1] < 2.1  # no wait of 2 s fits into what is left
    assert tries == sorted(tries, reverse=True)


def test_no_answer_is_a_timeout_that_names_the_server(client, model):
    client.metadata()
    model.delay = 2.0
    with pytest.raises(TimeoutError, match=rf"No answer from ddpm at {client.address} within 0.2 s"):
        client.sample(7, deadline=0.2)


def test_without_a_server_the_error_is_unavailable_and_names_the_address(transport, model, no_waits):
    with SERVERS[transport](model) as address:
        pass
    with (
        Client(address, retries=2) as client,
        pytest.raises(ConnectionError, match=rf"{address} is not .*refused.*3 tries"),
    ):
        client.sample(7)


def test_a_server_that_was_restarted_is_found_again(transport, model):
    with SERVERS[transport](model) as address:
        client = Client(address)
        client.sample(7)
    with client, SERVERS[transport](model, port=int(address.rsplit(":", 1)[1])):
        assert client.sample(7, seed=3).images[0, 0, 2] == 3


def test_waiting_lasts_until_the_model_is_available(client, model):
    model.states = ["MISSING", "START", "LOADING", "AVAILABLE"]
    assert client.wait_ready(30) is client
    assert model.states == ["AVAILABLE"]
    assert [tuple(version) for version in client.status()] == [(1, "AVAILABLE", "")]


def test_waiting_in_vain_ends_with_the_last_answer(client, model):
    model.states = ["LOADING"]
    with pytest.raises(errors.DeadlineExceeded, match=r"not ready after 1 s. Last answer: version 1: LOADING"):
        client.wait_ready(1)


def test_waiting_for_a_label_lasts_until_it_means_a_version(transport, model):
    with SERVERS[transport](model) as address, Client(address, label="canary") as client:
        with pytest.raises(errors.DeadlineExceeded, match=r"ddpm \(canary\) at .* is not ready"):
            client.wait_ready(0.3)
        model.labels.append("canary")
        client.wait_ready(30)


def test_futures_are_awaited_together(client, model):
    async def both():
        return await asyncio.gather(*(asyncio.wrap_future(client.submit(d, w=1, seed=d)) for d in (1, 2)))

    first, second = asyncio.run(both())
    assert (first.images[0, 0, 0], second.images[0, 0, 0]) == (1, 2)
    assert isinstance(client.submit(12).exception(30), errors.InvalidRequest)


def test_a_closed_client_says_so(client):
    client.sample(7)
    client.close()
    for call in (client.sample, client.submit):
        with pytest.raises(errors.ServingError, match="The client is closed"):
            call(7)


def test_closing_ends_calls_under_way_and_waiting_ones(client, model):
    client.metadata()
    model.delay = 1.0
    futures = [client.submit(7) for _ in range(20)] + [client.submit([7] * 40)]  # more than run at once
    while not model.requests:
        time.sleep(0.01)
    client.close()
    errors_seen = [future.exception(30) for future in futures]
    assert all(isinstance(error, errors.ServingError) and error.code == "CANCELLED" for error in errors_seen)
