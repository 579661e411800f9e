"""Laws of the generator: a picture depends on its own digit, w and seed; graphs are reused."""

import dataclasses
import functools
import shutil

import keras
import numpy as np
import pytest
from conftest import randomise

from keras_ddpm import config, guidance, noise, samplers, schedules
from keras_ddpm.conditions import Label, Scalar
from keras_ddpm.data import to_uint8
from keras_ddpm.diffusion import Diffusion
from keras_ddpm.generator import Generator
from keras_ddpm.networks.unet import UNet
from keras_ddpm.presets import load_network, load_preset
from keras_ddpm.saving.weights import write_weights

pytestmark = pytest.mark.neutral
N = 7
DIGITS, WS, SEEDS = np.arange(N) % 10, np.linspace(0, 4, N), np.array([0, 1, 1, 2**40, 2**63 - 1, 5, 6])


def sampled(generator, rows=slice(None), **kwargs):
    return generator.sample(DIGITS[rows], WS[rows], SEEDS[rows], **kwargs)["image"]


@pytest.fixture(scope="module")
def generator(small_preset):
    return load_preset(small_preset)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        pytest.param({"sampler": "dpm_solver_pp_2m"}, marks=pytest.mark.slow),
        {"guidance_interval": (0.2, 3.0)},
        pytest.param({"threshold": "dynamic"}, marks=pytest.mark.slow),
    ],
)
def test_a_picture_is_the_same_alone_and_at_any_place_in_any_batch(small_preset, settings):
    generator = load_preset(small_preset, **settings)
    together, order = sampled(generator), np.random.default_rng(0).permutation(N)
    np.testing.assert_allclose(sampled(generator, order), together[order], atol=1e-4)
    for i in range(N):
        np.testing.assert_allclose(sampled(generator, slice(i, i + 1))[0], together[i], atol=1e-4)
    assert np.abs(together[1] - together[2]).max() > 0.01  # same seed, other digit and w


def test_w_0_ignores_the_digit_with_an_interval_too(small_preset):
    generator = load_preset(small_preset, guidance_interval=(0.2, 3.0))
    a, b = (generator.sample([digit], 0.0, 1)["image"] for digit in (3, 8))
    np.testing.assert_allclose(a, b, atol=1e-5)


@pytest.mark.parametrize(
    "arguments", [([12], 1.0, 0), ([3], float("nan"), 0), ([3], 1.0, -1), ([3], 1.0, 1.7), ([[3]], 1.0, 1)]
)
def test_the_generator_checks_what_it_is_asked_for(generator, arguments):
    with pytest.raises(ValueError, match="Received"):
        generator.sample(*arguments)


def test_batches_that_do_not_fit_into_memory_are_cut(generator, monkeypatch):
    together, drawn = sampled(generator), []
    monkeypatch.setattr("keras_ddpm.generator.MAX_BATCH", 3)
    np.testing.assert_allclose(sampled(generator, progress=drawn.append), together, atol=1e-4)
    assert drawn == [3, 3, 1]


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="counts TensorFlow's graphs")
def test_one_graph_serves_every_batch_size(generator):
    for n in (1, 2, 3, 5, 7):
        sampled(generator, slice(n))
    assert generator.predict_function is not None
    count = generator.predict_function.experimental_get_tracing_count()
    for n in (4, 6):
        sampled(generator, slice(n))
    assert generator.predict_function.experimental_get_tracing_count() == count <= 2


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="a graph of TensorFlow's")
def test_without_a_key_a_compiled_graph_draws_fresh_pictures_each_call(generator):
    import tensorflow as tf

    graph = tf.function(lambda: generator({"label": tf.constant([3]), "w": tf.constant([1.0])})["image"])
    assert np.abs(graph().numpy() - graph().numpy()).max() > 0.01


def test_without_a_key_each_call_is_fresh(generator):
    inputs = {"label": np.array([3], "int32"), "w": np.array([1.0], "float32")}
    assert np.abs(np.asarray(generator(inputs)["image"]) - np.asarray(generator(inputs)["image"])).max() > 0.01


def test_the_path_is_the_way_of_the_picture(generator):
    out = generator.path(DIGITS, WS, SEEDS)
    np.testing.assert_allclose(out["image"], sampled(generator), atol=1e-5)
    np.testing.assert_array_equal(out["x_s"][:, -1], out["image"])
    key = noise.split_seed(SEEDS)
    draws = [np.asarray(noise.normal(key, step, (28, 28, 1))) for step in range(6)]
    np.testing.assert_allclose(out["x_T"], draws[0], atol=1e-5)
    x_t = out["x_T"]
    for i, (a, b, _, d) in enumerate(generator.columns):
        x_t = a * x_t + b * out["x_0"][:, i] + d * draws[i + 1]
        np.testing.assert_allclose(out["x_s"][:, i], x_t, atol=1e-4)


def test_a_path_that_does_not_fit_into_memory_is_cut(generator, monkeypatch):
    together, drawn = generator.path(DIGITS, WS, SEEDS), []
    monkeypatch.setattr("keras_ddpm.generator.MAX_STATES", 15)
    cut = generator.path(DIGITS, WS, SEEDS, progress=drawn.append)
    assert drawn == [3, 3, 1]
    np.testing.assert_allclose(cut["x_s"], together["x_s"], atol=1e-4)


def test_the_trajectory_keeps_every_kth_state_and_the_last(generator):
    times, states = generator.trajectory(DIGITS, WS, SEEDS, every=2)
    out = generator.path(DIGITS, WS, SEEDS)
    np.testing.assert_allclose(times, [1.0, 0.6, 0.2, 0.0])
    for i, expected in enumerate((out["x_T"], out["x_s"][:, 1], out["x_s"][:, 3], out["image"])):
        np.testing.assert_array_equal(states[:, i], expected)
    with pytest.raises(ValueError, match=r"`every` must be at least 1\. Received: 0"):
        generator.trajectory(DIGITS, WS, SEEDS, every=0)


def test_temperature_is_the_standard_deviation_of_x_T_alone(small_preset, generator):
    given, warm = (DIGITS, WS, SEEDS), load_preset(small_preset, temperature=1.5)
    path, plain = warm.path(*given), generator.path(*given)
    np.testing.assert_allclose(path["x_T"], 1.5 * plain["x_T"], rtol=1e-6)
    np.testing.assert_array_equal(warm.noise([[0, 5]], 1), generator.noise([[0, 5]], 1))
    assert np.abs(path["image"] - plain["image"]).max() > 0.01
    assert Generator.from_config(warm.get_config()).temperature == 1.5


def test_a_configuration_from_before_there_was_a_temperature_is_read(generator):
    older = generator.get_config()
    del older["temperature"]
    assert Generator.from_config(older).temperature == 1.0


@pytest.mark.slow
def test_a_generator_round_trips_through_a_keras_file(small_preset, tmp_path):
    generator = load_preset(
        small_preset, sampler="ddim", guidance_interval=(0.2, 3.0), threshold="dynamic", steps=3, temperature=1.2
    )
    generator.save(tmp_path / "generator.keras")
    twin = keras.models.load_model(tmp_path / "generator.keras")
    np.testing.assert_array_equal(sampled(twin), sampled(generator))
    assert twin.steps == 3 and twin.temperature == 1.2 and twin.sampler.func is samplers.ddim


def test_a_preset_is_loaded_by_the_classes_too(small_preset, generator):
    np.testing.assert_array_equal(sampled(Generator.from_preset(small_preset)), sampled(generator))
    network = UNet.from_preset(small_preset)
    for ours, theirs in zip(network.weights, generator.network.weights):
        np.testing.assert_array_equal(ours, theirs)


def test_guidance_is_a_function_that_the_generator_is_given(generator):
    """One that answers with a constant image draws that image, whatever the network says."""

    def constant(network, diffusion, condition, null, w):
        return lambda x_t, t: 0.25 + 0.0 * x_t

    ours = Generator(generator.network, generator.diffusion, steps=5, guidance=constant)
    np.testing.assert_allclose(sampled(ours), 0.25, atol=1e-6)


def test_autoguidance_by_the_network_itself_is_no_guidance(generator):
    auto = functools.partial(guidance.autoguidance, weak=generator.network)
    ours = Generator(generator.network, generator.diffusion, steps=5, guidance=auto)
    none = Generator(generator.network, generator.diffusion, steps=5, guidance=guidance.unguided)
    np.testing.assert_allclose(sampled(ours), sampled(none), atol=1e-4)


def test_a_preset_may_name_the_weaker_network_in_a_folder_of_its_own(small_preset, generator, tmp_path):
    folder = shutil.copytree(small_preset, tmp_path / "strong")
    shutil.copytree(small_preset, folder / "weak")
    settings = {"guidance": "autoguidance", "guidance_interval": None}
    weak = load_network(folder / "weak")
    randomise(weak)
    write_weights(weak, folder / "weak" / "network.weights.h5")
    auto = functools.partial(guidance.autoguidance, weak=weak)
    expected = Generator(generator.network, generator.diffusion, steps=5, guidance=auto)
    for name in ("weak", str(folder / "weak")):
        loaded = load_preset(folder, **settings, weak=name)
        np.testing.assert_allclose(sampled(loaded), sampled(expected), atol=1e-5)
    assert np.abs(sampled(loaded) - sampled(generator)).max() > 0.1


@pytest.mark.parametrize(
    "settings, message",
    [
        ({}, "Autoguidance needs a weaker network, `weak`, and no `guide`. Received: None, None"),
        ({"weak": "nowhere"}, "`weak` names no preset, and no folder in .* Received: 'nowhere'"),
        ({"weak": "mnist"}, "`weak` must have the images, conditions and diffusion of the network that it guides"),
        ({"weak": "mnist", "guide": "clip"}, "and no `guide`. Received: 'mnist', 'clip'"),
    ],
)
def test_a_network_that_cannot_guide_is_named(small_preset, settings, message):
    with pytest.raises(ValueError, match=message):
        load_preset(small_preset, guidance="autoguidance", **settings)


def test_other_conditions_are_asked_for_by_their_name():
    keras.utils.set_random_seed(0)
    conditions = {"label": Label(10), "slant": Scalar(-1.0, 1.0)}
    network = UNet((8, 8, 1), conditions, widths=(8,), depths=(1,), attention=(True,), embed_dim=16, groups=4)
    network.build()
    randomise(network)
    generator = Generator(network, Diffusion(schedules.flow_matching, "velocity"), sampler=samplers.ddim, steps=3)
    given, other = (generator.sample([3], 1.0, [5], slant=slant)["image"] for slant in (0.5, -0.5))
    left_out = generator.sample([3], 1.0, [5])["image"]
    assert len({image.tobytes() for image in (given, other, left_out)}) == 3
    assert np.all(np.isfinite(left_out))
    with pytest.raises(ValueError, match=r"`slant` must be in -1\.\.1. Received: 2"):
        generator.sample([3], 1.0, [5], slant=2.0)
    with pytest.raises(ValueError, match=r"conditions are \['label', 'slant'\]. Received: \['thickness'\]"):
        generator.sample([3], 1.0, [5], thickness=2.0)


def test_thresholds_and_samplers_come_by_name(small_preset):
    sampling = config.SamplingConfig(steps=5)
    network = load_preset(small_preset).network
    diffusion = load_preset(small_preset).diffusion
    for field, value in (("sampler", "euler"), ("threshold", "soft"), ("guidance", "strong")):
        with pytest.raises(ValueError, match=f"`{field}` must be one of .* Received: '{value}'"):
            Generator.from_names(network, diffusion, dataclasses.replace(sampling, **{field: value}))


@pytest.mark.parametrize(
    "settings",
    [{}, {"steps": 1}, pytest.param({"sampler": "dpm_solver_pp_2m_sde", "steps": 2}, marks=pytest.mark.slow)],
)
def test_uint8_in_the_graph_is_the_sample_rounded_alone_and_in_any_batch(small_preset, settings):
    generator = load_preset(small_preset, **settings)
    expected = to_uint8(sampled(generator)).astype(int)
    images = generator.images(DIGITS, WS, SEEDS)
    assert images.dtype == np.uint8 and np.abs(images - expected).max() <= 1
    for i in range(N):
        alone = generator.image(int(DIGITS[i]), WS[i], int(SEEDS[i]))
        assert alone.shape == (28, 28, 1) and np.abs(alone - expected[i]).max() <= 1
        assert np.abs(generator.images(DIGITS[i : i + 1], WS[i], SEEDS[i : i + 1])[0] - expected[i]).max() <= 1


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="counts TensorFlow's graphs")
def test_two_traces_serve_every_batch_size_and_one_image_has_its_own(small_preset):
    generator = load_preset(small_preset, steps=1)
    for n in (1, 2, 5, 7):
        generator.images(DIGITS[:n], WS[:n], SEEDS[:n])
    for _ in range(2):
        generator.image(3, 1.0, 1)
    counts = {name: f.experimental_get_tracing_count() for name, f in generator._graphs.items()}
    assert counts == {"images": 2, "image": 1} and generator.predict_function is None


def test_what_is_drawn_follows_weights_that_change_between_calls(small_preset):
    generator = load_preset(small_preset, steps=1)
    draw = {
        "sample": lambda: generator.sample([3], 1.0, [1])["image"][0],
        "path": lambda: generator.path([3], 1.0, [1])["image"][0],
        "images": lambda: generator.images([3], 1.0, [1])[0].astype(float),
        "image": lambda: generator.image(3, 1.0, 1).astype(float),
    }
    before = {name: function() for name, function in draw.items()}
    for variable in generator.network.trainable_variables:
        variable.assign(0.5 * variable)
    for name, function in draw.items():
        assert np.abs(function() - before[name]).max() > 0.1, name
