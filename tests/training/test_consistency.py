"""Laws of consistency tuning: its times, its target, what it converges to, and its resumption."""

import keras
import numpy as np
import pytest
from conftest import randomise
from test_ddpm import DIFFUSION, JAX, TWO_LEVELS, assert_resumes, new_network, toy_data
from test_ddpm import new_model as diffusion_model

from keras_ddpm import samplers, schedules
from keras_ddpm.data import Batches
from keras_ddpm.diffusion import Diffusion
from keras_ddpm.training.losses.consistency import ConsistencyTuning, pseudo_huber

pytestmark = pytest.mark.neutral


def new_model(*, diffusion=DIFFUSION, steps=30, seed=0, learning_rate=1e-3, network=None, **settings):
    keras.utils.set_random_seed(seed)
    model = ConsistencyTuning(new_network(**network or {}), diffusion, steps=steps, seed=seed, **settings)
    model.compile(optimizer=keras.optimizers.AdamW(learning_rate, global_clipnorm=1.0), jit_compile=JAX)
    return model


@pytest.mark.parametrize("diffusion", [DIFFUSION, Diffusion(schedules.flow_matching, "velocity")])
@pytest.mark.parametrize("k", [0.0, 1.0, 5.0])
def test_the_earlier_time_lies_before_t_at_the_level_of_the_paper(diffusion, k):
    model, t = new_model(diffusion=diffusion), np.arange(1, 101, dtype="float32") / 100
    r = np.asarray(model.earlier(t, k))
    assert np.all((r >= 0) & (r < t))
    alpha, sigma = diffusion.schedule(t[20:80].astype("float64"))
    level = sigma / alpha
    wanted = np.maximum(0, level * (1 - 2.0**-k * (1 + 8 / (1 + np.exp(level)))))
    at_r = diffusion.schedule(r[20:80].astype("float64"))
    next_alpha, next_sigma = diffusion.schedule(np.minimum(r[20:80].astype("float64") + 0.01, 1))
    assert np.all(at_r[1] / at_r[0] <= wanted + 1e-4)
    free = r[20:80] < t[20:80] - 0.011
    assert np.all((wanted <= next_sigma / next_alpha + 1e-4)[free])


def test_the_distance_between_the_times_is_halved_during_the_run():
    model, seen = new_model(steps=30, halvings=5), []
    for step in range(31):
        model.optimizer.iterations.assign(step)
        seen.append(float(model.halved()))
    assert seen == [min(step // 5, 5) for step in range(31)]


def test_at_first_the_target_is_the_image_itself():
    """With k = 0 every r is 0 but for the noisiest t: so this is training as before, with another distance."""
    model, (images, labels) = new_model(), toy_data(4)
    randomise(model.network)
    x_0, eps = images / 127.5 - 1.0, np.random.default_rng(0).standard_normal(images.shape)
    t, condition = np.array([0.2, 0.4, 0.6, 0.8], "float32"), {"label": labels}
    x_t = model.diffusion.add_noise(x_0.astype("float32"), eps.astype("float32"), t)
    found = model.diffusion.x_0(model.network(x_t, t, condition), x_t, t)
    losses = model.losses(model.network, x_0.astype("float32"), condition, t, eps.astype("float32"))
    np.testing.assert_allclose(losses, pseudo_huber(np.asarray(found) - x_0.astype("float32")), rtol=1e-4)


def test_later_the_target_is_the_estimate_at_the_earlier_time_and_takes_no_gradient():
    model, (images, labels) = new_model(steps=10, p_uncond=0.0), toy_data(4)
    randomise(model.network)
    model.optimizer.iterations.assign(9)
    x_0, eps = images.astype("float32") / 127.5 - 1, np.random.default_rng(0).standard_normal(images.shape)
    t, condition, eps = np.array([0.5, 0.6, 0.7, 0.8], "float32"), {"label": labels}, eps.astype("float32")

    def estimate(t):
        x_t = model.diffusion.add_noise(x_0, eps, t)
        return np.asarray(model.diffusion.x_0(model.network(x_t, t, condition), x_t, t))

    r = np.asarray(model.earlier(t, 5.0))
    expected = pseudo_huber(estimate(t) - np.clip(estimate(r), -1, 1))
    np.testing.assert_allclose(model.losses(model.network, x_0, condition, t, eps), expected, rtol=1e-3)

    def loss():
        return keras.ops.mean(model.losses(model.network, x_0, condition, t, eps)), None

    def fixed():
        x_t = keras.ops.convert_to_tensor(np.asarray(model.diffusion.add_noise(x_0, eps, t)))
        found = model.diffusion.x_0(model.network(x_t, t, condition), x_t, t)
        return keras.ops.mean(pseudo_huber(found - target)), None

    target = np.clip(estimate(r), -1, 1)
    variables = model.network.trainable_variables
    for ours, theirs in zip(model.gradients(loss, variables)[0], model.gradients(fixed, variables)[0]):
        np.testing.assert_allclose(ours, theirs, atol=1e-4, rtol=1e-3)


def test_a_share_of_the_images_is_pure_noise():
    model = new_model(at_noise=0.25)
    t = np.concatenate([np.asarray(model.draw_t(100)) for _ in range(40)])
    assert np.mean(t == 1) == pytest.approx(0.25 + 0.01, abs=0.03) and t.min() > 0


@pytest.mark.parametrize("settings", [{"steps": 0}, {"halvings": -1}, {"at_noise": 1.5}])
def test_arguments_out_of_range_are_refused(settings):
    with pytest.raises(ValueError, match="`steps` must be at least 1"):
        new_model(**settings)


@pytest.mark.slow
def test_an_interrupted_run_equals_an_uninterrupted_one(tmp_path):
    assert_resumes(*(new_model(learning_rate=1e-2) for _ in range(3)), tmp_path, atol=1e-6)


@pytest.mark.slow
def test_one_call_draws_an_image_where_diffusion_draws_the_mean():
    """Two images a class: one call of a diffusion model is grey between them, and after tuning near one of them."""
    images = np.zeros((4, 8, 8, 1), "uint8")
    images[0, :4], images[1, 4:], images[2, :, :4], images[3, :, 4:] = 255, 255, 255, 255
    pairs, rows = images.reshape(2, 2, 8, 8, 1) / 127.5 - 1, np.tile(np.arange(4), 4_000)
    z = np.random.default_rng(1).standard_normal((40, 8, 8, 1)).astype("float32")
    labels, t = np.arange(40, dtype="int32") % 2, np.ones(40, "float32")

    def distances(network):
        found = np.asarray(DIFFUSION.x_0(network(z, t, {"label": labels}), z, t))
        return np.abs(found[:, None] - pairs[labels]).mean(axis=(2, 3, 4))  # (40, 2)

    def batches():
        return Batches(images[rows], (rows // 2).astype("int32"), batch_size=32)

    start = diffusion_model(learning_rate=5e-3, network=TWO_LEVELS, p_uncond=0.0, ema_decay=0.98)
    start.fit(batches(), epochs=1, verbose=0)
    tuned = new_model(steps=500, network=TWO_LEVELS, ema_decay=0.98)
    for network in (tuned.network, tuned.ema_network):
        network.set_weights(start.ema_network.get_weights())
    tuned.fit(batches(), epochs=1, verbose=0)
    before, after = distances(start.ema_network), distances(tuned.ema_network)
    assert before.min(axis=1).mean() > 0.8 and after.min(axis=1).mean() < 0.5
    assert min(np.bincount(after.argmin(axis=1), minlength=2)) > 8  # each of the two is drawn


def test_the_sampler_adds_new_noise_to_the_estimate():
    alpha, sigma = DIFFUSION.schedule(np.array([1.0, 0.5, 0.0]))
    columns = samplers.consistency(alpha[:-1], sigma[:-1], alpha[1:], sigma[1:])
    np.testing.assert_array_equal(columns, [[0, alpha[1], 0, sigma[1]], [0, 1, 0, 0]])


@pytest.mark.parametrize("schedule", [schedules.cosine(1000), schedules.flow_matching], ids=["discrete", "continuous"])
def test_later_calls_start_at_one_noise_level(schedule):
    for steps in (1, 2, 4):
        times = samplers.times_of(samplers.consistency, steps, schedule)
        alpha, sigma = schedule(times[1:])
        assert times[0] == 1 and len(times) == steps
        np.testing.assert_allclose(sigma / alpha, np.full(steps - 1, 0.4), rtol=0.01)
    assert samplers.times_of(samplers.ddim, 4, schedule).tolist() == [1, 0.75, 0.5, 0.25]
    with pytest.raises(ValueError, match="`steps` must be an integer"):
        samplers.consistency_times(0, schedule)
