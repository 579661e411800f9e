"""Laws of the generator: a picture depends on its own digit, w and seed; graphs are reused."""

import dataclasses

import keras
import numpy as np
import pytest

from keras_ddpm import config, noise
from keras_ddpm.generator import Generator
from keras_ddpm.presets import load_preset

pytestmark = pytest.mark.neutral
N = 7
DIGITS, WS, SEEDS = np.arange(N) % 10, np.linspace(0, 4, N), np.array([0, 1, 1, 2**40, 2**63 - 1, 5, 6])


def sampled(generator, rows=slice(None), **kwargs):
    return generator.sample(DIGITS[rows], WS[rows], SEEDS[rows], **kwargs)["image"]


@pytest.fixture(scope="module")
def generator(small_preset):
    return load_preset(small_preset)


@pytest.mark.parametrize(
    "settings", [{}, {"sampler": "dpm_solver_pp_2m"}, {"guidance_interval": (0.2, 3.0)}, {"threshold": "dynamic"}]
)
def test_a_picture_is_the_same_alone_and_at_any_place_in_any_batch(small_preset, settings):
    generator = load_preset(small_preset, **settings)
    together, order = sampled(generator), np.random.default_rng(0).permutation(N)
    np.testing.assert_allclose(sampled(generator, order), together[order], atol=1e-4)
    for i in range(N):
        np.testing.assert_allclose(sampled(generator, slice(i, i + 1))[0], together[i], atol=1e-4)
    assert np.abs(together[1] - together[2]).max() > 0.01  # same seed, other digit and w


def test_w_0_does_not_hear_the_digit_with_an_interval_neither(small_preset):
    generator = load_preset(small_preset, guidance_interval=(0.2, 3.0))
    a, b = (generator.sample([digit], 0.0, 1)["image"] for digit in (3, 8))
    np.testing.assert_allclose(a, b, atol=1e-5)


@pytest.mark.parametrize(
    "arguments", [([12], 1.0, 0), ([3], float("nan"), 0), ([3], 1.0, -1), ([3], 1.0, 1.7), ([[3]], 1.0, 1)]
)
def test_the_generators_own_door_checks_as_well(generator, arguments):
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

    graph = tf.function(lambda: generator({"digit": tf.constant([3]), "w": tf.constant([1.0])})["image"])
    assert np.abs(graph().numpy() - graph().numpy()).max() > 0.01


def test_without_a_key_each_call_is_fresh(generator):
    inputs = {"digit": np.array([3], "int32"), "w": np.array([1.0], "float32")}
    assert np.abs(np.asarray(generator(inputs)["image"]) - np.asarray(generator(inputs)["image"])).max() > 0.01


def test_the_recorded_path_is_the_way_of_the_picture(small_preset, generator):
    recorder = Generator(generator.network, generator.diffusion, steps=5, record=True)
    out = recorder.sample(DIGITS, WS, SEEDS)
    np.testing.assert_allclose(out["image"], sampled(generator), atol=1e-5)
    np.testing.assert_array_equal(out["x_s"][:, -1], out["image"])
    key = noise.split_seed(SEEDS)
    draws = np.asarray(noise.normal(key, 6, (28, 28, 1)))
    np.testing.assert_allclose(out["x_T"], draws[:, 0], atol=1e-5)
    x_t = out["x_T"]
    for i, (a, b, _, d) in enumerate(recorder.columns):
        x_t = a * x_t + b * out["x_0"][:, i] + d * draws[:, i + 1]
        np.testing.assert_allclose(out["x_s"][:, i], x_t, atol=1e-4)


def test_traces_are_those_of_the_recorded_path(generator):
    recorder = Generator(generator.network, generator.diffusion, steps=5, record=True)
    traces, out = recorder.traces(DIGITS, WS, SEEDS), recorder.sample(DIGITS, WS, SEEDS)
    x_t, x_0 = traces["x_t"], traces["x_0"]
    assert {trace.shape for trace in traces.values()} == {(5, N, 28, 28, 1)}
    np.testing.assert_array_equal(x_t[0], out["x_T"])
    np.testing.assert_array_equal(x_t[3], out["x_s"][:, 2])
    np.testing.assert_array_equal(x_0[2], out["x_0"][:, 2])
    for i, t in enumerate(recorder.times):
        np.testing.assert_allclose(recorder.diffusion.add_noise(x_0[i], traces["eps"][i], t), x_t[i], atol=1e-4)
    a, b, *_ = recorder.columns[2]
    np.testing.assert_allclose(traces["mu"][2], a * x_t[2] + b * x_0[2], atol=1e-5)
    np.testing.assert_allclose(traces["mu"][4], out["image"], atol=1e-5)  # the last step adds no noise


def test_the_trajectory_keeps_every_kth_state_and_the_last(generator):
    recorder = Generator(generator.network, generator.diffusion, steps=5, record=True)
    times, states = recorder.trajectory(DIGITS, WS, SEEDS, every=2)
    out = recorder.sample(DIGITS, WS, SEEDS)
    assert list(times) == [49, 29, 9, -1]
    for i, expected in enumerate((out["x_T"], out["x_s"][:, 1], out["x_s"][:, 3], out["image"])):
        np.testing.assert_array_equal(states[:, i], expected)


def test_thresholds_and_samplers_come_by_name(small_preset):
    sampling = config.SamplingConfig(steps=5)
    network = load_preset(small_preset).network
    diffusion = load_preset(small_preset).diffusion
    for field, value in (("sampler", "euler"), ("threshold", "soft")):
        with pytest.raises(ValueError, match=f"`{field}` must be one of .* Received: '{value}'"):
            Generator.from_names(network, diffusion, dataclasses.replace(sampling, **{field: value}))
