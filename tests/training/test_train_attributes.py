"""Attributes beside the label, from the data to the network: each is dropped on its own, and a run with them draws."""

import keras
import numpy as np
import pytest
from conftest import randomise

import keras_ddpm
from keras_ddpm import config, data, schedules
from keras_ddpm.conditions import Label, Scalar
from keras_ddpm.data import attributes, sources
from keras_ddpm.data.augmentation import distort
from keras_ddpm.diffusion import Diffusion
from keras_ddpm.networks.unet import UNet
from keras_ddpm.training.ddpm import DDPM
from keras_ddpm.training.validation import validation_set

pytestmark = pytest.mark.neutral
JAX = keras.backend.backend() == "jax"
NAMES = ("thickness", "slant", "bright")  # two are measured, one is the data set's own
TINY = config.Config(
    name="tiny",
    data=config.DataConfig(validation_images=16, attributes=NAMES),
    network=config.NetworkConfig(widths=(8,), depths=(1,), attention=(True,), patch=1, embed_dim=16, groups=4),
    diffusion=config.DiffusionConfig(T=50),
    training=config.TrainingConfig(epochs=1, batch_size=16, warmup_steps=0, precision="float32", grid_every=1),
    sampling=config.SamplingConfig(sampler="ddim", steps=2, guidance_interval=None),
)


def toy(n=48):
    """Bars of three widths that lean, dark and bright, and what they are."""
    random = np.random.default_rng(0)
    label, bright = np.arange(n) % 3, random.integers(0, 2, n).astype(bool)
    r, c = np.indices((8, 8)) - 3.5
    leaning = np.abs(c + random.uniform(-0.8, 0.8, n)[:, None, None] * r) <= 0.6 + label[:, None, None]
    images = np.where(leaning, 130 + 120 * bright[:, None, None], 0).astype("uint8")[..., None]
    return images, {"label": label, "bright": bright}


def new_model(p_uncond, **settings):
    keras.utils.set_random_seed(0)
    conditions = {"label": Label(3), "slant": Scalar(-1.0, 1.0), "width": Scalar(0.0, 1.0)}
    network = UNet((8, 8, 1), conditions, widths=(8,), depths=(1,), attention=(False,), embed_dim=16, groups=4)
    model = DDPM(network, Diffusion(schedules.cosine(100)), p_uncond=p_uncond, **settings)
    model.compile(optimizer="adam", jit_compile=JAX)
    return model


def dropped(model, rows=2_000):
    """Which entries of a condition were dropped: dict of bool (rows,)."""
    given = {"label": np.ones(rows, "int32"), "slant": np.zeros(rows, "float32"), "width": np.ones(rows, "float32")}
    found = {name: np.asarray(values) for name, values in model.drop(given, rows).items()}
    assert found["label"].dtype == np.int32 and found["slant"].dtype == np.float32
    assert set(found["label"]) <= {1, 3}
    return {"label": found["label"] == 3, **{name: np.isnan(found[name]) for name in ("slant", "width")}}


def test_label_and_attributes_are_dropped_independently():
    shares = {"label": 0.1, "slant": 0.5, "width": 0.3}
    found = dropped(new_model(shares))
    for name, share in shares.items():
        assert np.mean(found[name]) == pytest.approx(share, abs=0.04)
    for a, b in (("label", "slant"), ("slant", "width"), ("label", "width")):
        assert np.mean(found[a] & found[b]) == pytest.approx(shares[a] * shares[b], abs=0.03)


def test_any_number_is_dropped_as_often_where_each_image_draws_its_probability():
    found = dropped(new_model({"label": 0.1, "slant": None, "width": None}), rows=4_000)
    lost = found["slant"].astype(int) + found["width"]
    np.testing.assert_allclose(np.bincount(lost) / 4_000, 1 / 3, atol=0.03)
    assert np.mean(found["slant"]) == pytest.approx(0.5, abs=0.03)
    assert np.mean(found["label"] & (lost == 2)) == pytest.approx(0.1 / 3, abs=0.012)


def test_with_one_probability_all_are_dropped_together():
    found = dropped(new_model(0.4))
    assert np.mean(found["label"]) == pytest.approx(0.4, abs=0.04)
    np.testing.assert_array_equal(found["label"], found["slant"])
    np.testing.assert_array_equal(found["label"], found["width"])


@pytest.mark.parametrize(
    "p_uncond, message",
    [
        ({"label": 0.1}, r"must hold \['label', 'slant', 'width'\]. Received: \['label'\]"),
        ({"label": 0.1, "slant": 1.5, "width": 0.0}, r"`p_uncond` must be in \[0, 1\]"),
        (None, r"`p_uncond` must be in \[0, 1\], .* Received: None"),
    ],
)
def test_bad_probabilities_are_named(p_uncond, message):
    with pytest.raises(ValueError, match=message):
        new_model(p_uncond)


def test_a_model_with_attributes_round_trips_through_its_configuration():
    model = new_model({"label": 0.1, "slant": 0.5, "width": None})
    twin = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(model))
    assert twin.get_config() == model.get_config() and dict(twin.p_uncond) == dict(model.p_uncond)


def test_the_loss_depends_on_each_attribute_and_on_a_null_of_each():
    model = new_model(0.1)
    randomise(model.network)
    x_0, eps = np.random.default_rng(0).standard_normal((2, 1, 8, 8, 1)).astype("float32")
    full = {"label": np.array([1]), "slant": np.array([0.5], "float32"), "width": np.array([0.5], "float32")}
    changed = {"slant": [-0.5, np.nan], "width": [0.1, np.nan], "label": [2, 3]}
    cases = [full, *({**full, name: np.array([v], full[name].dtype)} for name, vs in changed.items() for v in vs)]
    losses = [float(model.losses(model.network, x_0, case, np.array([0.5], "float32"), eps)[0]) for case in cases]
    assert np.all(np.isfinite(losses)) and len({round(loss, 6) for loss in losses}) == len(cases)


def test_batches_and_held_out_images_carry_every_condition():
    images, labels = toy()
    source = sources.open_source(TINY, (images, labels))
    x_0, given = source.batches[0]
    measured = attributes.measure(data.to_uint8(x_0), ["thickness", "slant"])
    assert set(given) == set(source.labels) == {"label", *NAMES}
    for name, values in measured.items():
        np.testing.assert_array_equal(given[name], values)
        np.testing.assert_array_equal(source.labels[name], attributes.measure(images[-16:], [name])[name])
    np.testing.assert_array_equal(source.labels["bright"], labels["bright"][-16:].astype("float32"))


def test_augmented_images_are_measured_again_and_keep_what_is_not_measured():
    images = np.pad(toy()[0], ((0, 0), (10, 10), (10, 10), (0, 0)))
    given = {"label": np.arange(48), "slant": np.full(48, 9.0, "float32"), "bright": np.arange(48)}

    def measure(images):
        return attributes.measure(images, ["slant"])

    x_0, found = data.Batches(images, given, batch_size=8, augment=distort, measure=measure)[0]
    np.testing.assert_allclose(found["slant"], attributes.slant((x_0 + 1) * 127.5), atol=1e-3)
    np.testing.assert_array_equal(found["bright"], found["label"])


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda x, y: (x, y["label"]), r"must hold the labels \['bright', 'label'\]. Received: \['label'\]"),
        (lambda x, y: (x, {**y, "red": y["bright"]}), r"Received: \['bright', 'label', 'red'\]"),
        (lambda x, y: (x, {**y, "bright": y["bright"][:-1]}), r"`bright` must be one number for each image"),
        (lambda x, y: (x, {**y, "bright": np.full(len(x), 1.5)}), r"`bright` must be in 0\.\.1. Received: 1.5"),
        (lambda x, y: (x, {**y, "bright": np.full(len(x), np.nan)}), r"`bright` must be in 0\.\.1. Received: nan"),
    ],
)
def test_attributes_that_do_not_fit_the_images_are_named(change, message):
    with pytest.raises(ValueError, match=message):
        sources.open_source(TINY, change(*toy()))


@pytest.mark.parametrize("names", [("slant", "slant"), ("label",), ("seed",), ("a b",), ("",), ("a/b",), ("time",)])
def test_names_that_cannot_be_asked_for_are_refused(names):
    with pytest.raises(ValueError, match="`attributes` must be different names"):
        config.DataConfig(attributes=names)


@pytest.mark.slow
def test_a_run_with_attributes_is_a_preset_that_draws(tmp_path):
    generator = keras_ddpm.train(TINY, tmp_path / "run", data=toy())
    assert set(generator.conditions) == {"label", *NAMES} and (tmp_path / "run/grids/epoch_001.png").is_file()
    assert np.isfinite(np.loadtxt(tmp_path / "run/log.csv", delimiter=",", skiprows=1)).all()
    drawn = keras_ddpm.sample([1, 1], seed=3, preset=tmp_path / "run", slant=[-0.9, 0.9], bright=1)
    expected = generator.images([1, 1], 1.5, 3, slant=[-0.9, 0.9], bright=1)
    np.testing.assert_array_equal(drawn, expected[..., 0])


def test_validation_of_a_dict_is_that_of_its_parts():
    model, rows = new_model(0.1), 8
    given = {"label": np.arange(rows) % 3, "slant": np.zeros(rows, "float32"), "width": np.ones(rows, "float32")}
    x_0 = np.random.default_rng(0).uniform(-1, 1, (rows, 8, 8, 1)).astype("float32")
    ((_, _, t, eps),) = held_out = validation_set(x_0, given, model.diffusion)
    found = model.evaluate(*held_out, batch_size=4, verbose=0, return_dict=True)["loss"]
    assert found == pytest.approx(float(np.mean(model.losses(model.ema_network, x_0, given, t, eps))), rel=1e-4)
