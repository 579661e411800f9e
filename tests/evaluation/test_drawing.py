"""Frames and traces of a generator: they end in the sample, start in noise, and are not clipped."""

import numpy as np
import pytest
from strokes import strokes

from keras_ddpm import presets
from keras_ddpm.data import to_uint8
from keras_ddpm.diffusion import Diffusion
from keras_ddpm.evaluation import drawing
from keras_ddpm.evaluation.probes.frames import forward_frames
from keras_ddpm.generator import Generator
from keras_ddpm.samplers import ddim
from keras_ddpm.schedules import flow_matching

WANTED = np.arange(4), np.full(4, 2.0), np.arange(4)


@pytest.fixture(scope="module")
def generator(small_preset):
    return presets.load_preset(small_preset)


def test_the_frames_end_in_the_sample_and_the_traces_are_not_clipped(generator):
    real = strokes(10, seed=0)
    drawn = drawing.draw(generator, *WANTED[:2], seed=0, real=real)
    frames, _, progress = drawn.frames["reverse"]
    np.testing.assert_array_equal(frames[-1], to_uint8(generator.sample(*WANTED)["image"]))
    np.testing.assert_array_equal(frames[-1], drawn.images)
    assert (progress[0], progress[-1]) == (0, 1) and np.all(np.diff(progress) > 0)
    path = drawing.draw_path(generator, *WANTED)
    x_0 = drawn.traces.values["x_0"]
    np.testing.assert_allclose(np.clip(x_0, -1, 1), np.moveaxis(path["x_0"], 1, 0), atol=1e-4)
    assert np.abs(x_0).max() > 1


def test_mu_is_the_next_state_of_a_sampler_without_noise(small_preset):
    generator = presets.load_preset(small_preset, sampler="ddim")
    path = drawing.draw_path(generator, *WANTED)
    values = drawing.follow(generator, path, *WANTED[:2]).values
    np.testing.assert_allclose(values["mu"], np.moveaxis(path["x_s"], 1, 0), atol=1e-4)
    np.testing.assert_array_equal(values["x_t"][0], path["x_T"])


def test_following_the_path_leaves_the_generator_as_it_was(generator):
    before = generator.sample(*WANTED)
    drawing.draw_path(generator, *WANTED)
    after = generator.sample(*WANTED)
    assert set(after) == set(before) == {"image"}
    np.testing.assert_array_equal(after["image"], before["image"])


def test_noise_takes_the_image_from_clean_to_nothing():
    images, labels = strokes(10, seed=0)
    diffusion = Diffusion.from_names(schedule="cosine", T=50)
    frames, _, progress = forward_frames(images, labels, diffusion.add_noise, levels=50)
    np.testing.assert_array_equal(frames[0], images)
    assert abs(np.corrcoef(frames[-1].ravel(), images.ravel())[0, 1]) < 0.1
    assert (progress[0], progress[-1]) == (0, 1)


def test_many_steps_are_followed_in_few_images():
    assert drawing.count_images(1000, 20) == drawing.MOST_IMAGES
    assert drawing.count_images(1000, 1000) * 1000 <= drawing.MOST_STATES
    assert drawing.count_images(10, 20) == 10


def test_a_continuous_schedule_is_followed_too(generator):
    flow = Generator(generator.network, Diffusion(flow_matching, "velocity"), sampler=ddim, steps=4)
    drawn = drawing.draw(flow, *WANTED[:2], seed=0, real=strokes(10, seed=0))
    for frames in (drawn.frames["forward"], drawn.frames["reverse"]):
        assert (frames.progress[0], frames.progress[-1]) == (0, 1)
    assert drawn.traces.steps.tolist() == [1.0, 0.75, 0.5, 0.25]
    assert drawn.traces.alpha_bar_end == 0
    np.testing.assert_array_equal(to_uint8(drawn.traces.values["mu"][-1]), drawn.images)
