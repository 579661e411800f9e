"""Attributes that a client asks for: all are sent, NaN for those not given, and a wrong one is never sent."""

import json

import fake_serving
import numpy as np
import pytest
from fake_serving import METADATA, SERVERS, FakeModel

from serving.__main__ import main
from serving.client import Client, errors

RANGES = {"thickness": [0.0, 1.0], "slant": [-1, 1]}


@pytest.fixture
def model(monkeypatch):
    """A model that knows two attributes."""
    for name in ("sample", "sample_png", "trajectory", "denoise"):
        inputs, outputs = fake_serving.SIGNATURES[name]
        told = {attribute: ("float32", (-1,)) for attribute in RANGES}
        monkeypatch.setitem(fake_serving.SIGNATURES, name, (inputs | told, outputs))
    model = FakeModel()
    model.metadata = json.dumps(METADATA | {"attributes": RANGES}).encode()
    return model


@pytest.fixture(params=list(SERVERS))
def client(request, model):
    with SERVERS[request.param](model) as address, Client(address) as client:
        yield client


def test_what_is_given_is_sent_and_the_rest_is_nan(client, model):
    client.sample([7, 3], thickness=[0.8, 0.2])
    client.sample_png(7, slant=-1)
    client.trajectory(7, slant=None, thickness=0.5)
    client.denoise(np.zeros((2, 28, 28, 1)), 5, 7, slant=[-0.5, 0.5])
    client.submit(7, slant=1).result(30)
    nan = np.nan
    expected = [
        ("sample", [0.8, 0.2], [nan, nan]),
        ("sample_png", [nan], [-1]),
        ("trajectory", [0.5], [nan]),
        ("denoise", [nan, nan], [-0.5, 0.5]),
        ("sample", [nan], [1]),
    ]
    for (name, inputs), (asked, thickness, slant) in zip(model.requests, expected, strict=True):
        assert name == asked
        np.testing.assert_array_equal(inputs["thickness"], np.float32(thickness))
        np.testing.assert_array_equal(inputs["slant"], np.float32(slant))


def test_attributes_broadcast_and_are_cut_into_chunks_with_the_rest(client, model):
    drawn = client.sample(7, thickness=np.linspace(0, 1, 6))
    assert drawn.images.shape == (6, 28, 28) and len(set(drawn.seeds.tolist())) == 6
    sent = {seed: t for _, i in model.requests for seed, t in zip(i["seed"].tolist(), i["thickness"].tolist())}
    np.testing.assert_allclose([sent[seed] for seed in drawn.seeds.tolist()], np.linspace(0, 1, 6), atol=1e-7)


@pytest.mark.parametrize(
    "asked, message",
    [
        ({"thicknes": 0.8}, r"`thicknes` is no attribute of this model: it has \['slant', .*Received: thicknes = 0.8"),
        ({"thickness": 1.5}, r"`thickness` must be in 0\.\.1\. Received: 1\.5"),
        ({"slant": [0.0, -2.0]}, r"`slant` must be in -1\.\.1\. Received: -2\.0"),
        ({"slant": np.nan}, "`slant` must be in .* Received: nan"),
        ({"slant": "left"}, "`slant` must be in .* Received: 'left'"),
        ({"slant": True}, "`slant` must be in .* Received: True"),
        ({"slant": []}, "`slant` must hold at least one"),
        ({"slant": [[0.0], [0.0, 1.0]]}, "`slant` must be in"),
        ({"slant": [0.0, 0.1, 0.2]}, "`slant`.* must broadcast together"),
    ],
)
def test_a_wrong_attribute_is_never_sent(client, model, asked, message):
    for ask in (client.sample, client.sample_png, client.trajectory):
        with pytest.raises(errors.InvalidRequest, match=message):
            ask([7, 8], **asked)
    with pytest.raises(errors.InvalidRequest, match=message):
        client.denoise(np.zeros((2, 28, 28, 1)), 5, 7, **asked)
    assert not model.requests


def test_restore_leaves_attributes_to_the_model(client, model):
    client.restore(np.zeros((28, 28), "uint8"), mask=np.indices((28, 28))[0] > 13)
    assert set(model.requests[0][1]) == {"image", "mask", "digit", "w", "seed"}


@pytest.mark.parametrize("transport", list(SERVERS))
def test_a_model_without_attributes_says_so(transport):
    with SERVERS[transport](FakeModel()) as address, Client(address) as client:
        with pytest.raises(errors.InvalidRequest, match="`slant` is no attribute of this model: it has none"):
            client.sample(7, slant=0.1)
        assert client.sample(7).images.shape == (1, 28, 28)


def test_the_command_asks_for_attributes(model, tmp_path, capsys):
    with SERVERS["rest"](model) as address:
        command = f"sample 7 --server {address} --out {tmp_path / 'a.png'} --attributes"
        main([*command.split(), "thickness", "0.8", "slant", "-0.5"])
        for wrong, message in ((["seed", "3"], "`attributes` must be"), (["slant", "2"], "`slant` must be in -1..1")):
            with pytest.raises(SystemExit):
                main([*command.split(), *wrong])
            assert message in capsys.readouterr().err
    [(_, inputs)] = model.requests
    assert (inputs["thickness"], inputs["slant"]) == (np.float32(0.8), np.float32(-0.5))
