"""Laws of adversarial tuning: whose gradient goes where, later calls, wrong labels, and its resumption."""

import keras
import numpy as np
import pytest
from conftest import randomise, replace_section
from keras import ops
from test_ddpm import DIFFUSION, JAX, fit, new_network, toy_data

from keras_ddpm import config, samplers
from keras_ddpm.backends.gradients import input_gradient
from keras_ddpm.conditions import Scalar
from keras_ddpm.networks.discriminator import Discriminator
from keras_ddpm.networks.unet import UNet
from keras_ddpm.training.losses.adversarial import AdversarialTuning
from keras_ddpm.training.losses.consistency import denoised, pseudo_huber
from keras_ddpm.training.objectives import make_model


def new_model(*, seed=0, learning_rate=1e-3, **settings):
    keras.utils.set_random_seed(seed)
    model = AdversarialTuning(new_network(), DIFFUSION, seed=seed, **settings)
    optimizer = keras.optimizers.AdamW(learning_rate, beta_1=0.0, beta_2=0.95)
    model.compile(optimizer=optimizer, jit_compile=JAX)
    randomise(model.network, scale=0.1)
    model.ema_network.set_weights(model.network.get_weights())
    return model


def real(n=16):
    images, labels = toy_data(n)
    return images.astype("float32") / 127.5 - 1, labels


def dense(gradient):
    """An array, also of TensorFlow's sparse gradient of an embedding."""
    if not hasattr(gradient, "indices"):
        return np.asarray(gradient)
    full = np.zeros(gradient.dense_shape, "float32")
    np.add.at(full, np.asarray(gradient.indices), np.asarray(gradient.values))
    return full


def test_a_label_projects_the_features_of_one_pass():
    judge = Discriminator((8, 8, 1), 3)
    judge.build()
    x, labels = real(6)
    features = judge.features(x)
    assert features.shape == (6, 128)
    np.testing.assert_allclose(judge(x, labels), judge.score(features, labels), atol=1e-6)
    assert np.abs(np.asarray(judge(x, labels) - judge(x, (labels + 1) % 3))).min() > 0
    twin = Discriminator.from_config(judge.get_config())
    twin.build()
    twin.set_weights(judge.get_weights())
    np.testing.assert_allclose(twin(x, labels), judge(x, labels), atol=1e-6)


def test_a_call_projects_the_features_beside_the_label():
    judge = Discriminator((8, 8, 1), 3, num_starts=2)
    judge.build()
    x, labels = real(6)
    np.testing.assert_array_equal(judge(x, labels, np.ones(6, "int32")), judge(x, labels))  # until it has learned
    randomise(judge, scale=0.03)
    starts = np.array([0, 1, 0, 1, 1, 0], "int32")
    expected = judge(x, labels) + np.sum(judge.features(x) * np.diff(judge.embed_start.embeddings, axis=0), -1) * starts
    np.testing.assert_allclose(judge(x, labels, starts), expected, rtol=1e-5, atol=1e-5)
    assert np.abs(np.asarray(judge(x, labels, starts) - judge(x, labels)))[starts == 1].min() > 1e-3
    assert Discriminator.from_config(judge.get_config()).num_starts == 2


def test_the_gradient_of_the_images_is_that_of_finite_differences():
    """Of a smooth function: a network of leaky ReLUs has kinks, where the two differ."""
    x, random = real(4)[0], np.random.default_rng(0)
    scale = random.standard_normal(x.shape).astype("float32")

    def score(images):
        return ops.sum(ops.sin(2.0 * images) * scale, axis=(1, 2, 3))

    slope, values, rest = input_gradient(lambda images: (score(images), 5), ops.convert_to_tensor(x))
    step = 1e-2 * random.standard_normal(x.shape).astype("float32")
    expected = (np.asarray(score(x + step)) - np.asarray(score(x - step))) / 2
    np.testing.assert_allclose(np.sum(np.asarray(slope) * step, axis=(1, 2, 3)), expected, rtol=2e-3, atol=1e-5)
    np.testing.assert_allclose(slope, 2.0 * np.cos(2.0 * x) * scale, atol=1e-5)
    np.testing.assert_allclose(values, score(x), atol=1e-5)
    assert rest == 5


def test_each_network_follows_its_own_loss():
    """One pass through both gives the gradients that two losses would, each written as in the paper.

    Every second fake stands for a later call, and the discriminator is told so.
    """
    model, (x_0, label) = new_model(renoised=0.0, noised=0.0, mismatch=0.0, gamma=0.3, levels=(0.4,)), real()
    randomise(model.discriminator, scale=0.1)
    start = np.resize(np.array([0, 1], "int32"), len(x_0))
    label = ops.convert_to_tensor(label)
    eps = ops.convert_to_tensor(np.random.default_rng(0).standard_normal(x_0.shape).astype("float32"))
    x_0 = ops.convert_to_tensor(x_0)

    def fakes(*args, **kwargs):
        return (
            model.first(model.network, eps, label),
            ops.zeros((0,)),
            ops.take(ops.convert_to_tensor([1.0, model.later[0]]), start),
        )

    def generator():
        shown = ops.clip(fakes()[0], -1.0, 1.0)
        overshoot = 0.05 * ops.mean(ops.sum(ops.square(fakes()[0] - shown), axis=(1, 2, 3)))
        margin = model.discriminator(x_0, label, start) - model.discriminator(shown, label, start)
        return ops.mean(ops.softplus(margin)) + overshoot, None

    def discriminator():
        shown = ops.stop_gradient(ops.clip(fakes()[0], -1.0, 1.0))
        slopes, scores = [], []
        for images in (x_0, shown):
            slope, score, _ = input_gradient(lambda x: (model.discriminator(x, label, start), 0), images)
            slopes.append(ops.mean(ops.sum(ops.square(slope), axis=(1, 2, 3))))
            scores.append(score)
        return ops.mean(ops.softplus(scores[1] - scores[0])) + 0.15 * sum(slopes), None

    ours, theirs = model.network.trainable_variables, model.discriminator.trainable_variables
    expected = [*model.gradients(generator, ours)[0], *model.gradients(discriminator, theirs)[0]]
    model.call = fakes
    found, _ = model.gradients(lambda: model.game(x_0, label), [*ours, *theirs])
    found, expected = ([dense(gradient) for gradient in gradients] for gradients in (found, expected))
    assert max(np.abs(gradient).max() for gradient in expected) > 1e-3
    for variable, ours, theirs in zip(model.trainable_variables, found, expected):
        np.testing.assert_allclose(ours, theirs, atol=1e-5, rtol=1e-3, err_msg=variable.path)


def test_later_calls_start_at_their_levels():
    model, (x_0, label) = new_model(renoised=0.25, noised=0.25), real()
    seen, predict = [], model.network.call

    def watched(x_t, t, condition, training=None):
        seen.append((np.asarray(x_t), np.asarray(t)))
        return predict(x_t, t, condition, training=training)

    model.network.call = watched
    fakes, distances, times = model.call(x_0, label)
    (first, once), (x_t, t) = seen
    np.testing.assert_array_equal(times, t)
    np.testing.assert_allclose(np.asarray(model.starts)[np.asarray(model.start(times))], t)
    assert fakes.shape == x_0.shape and distances.shape == (4,) and len(first) == 4 and np.all(once == 1)
    later = [samplers.time_of_level(level, DIFFUSION.schedule) for level in (0.4, 0.9, 2.0)]
    assert set(t[:8]) == set(np.array(later, "float32")) and np.all(t[8:] == 1)
    alpha, sigma = DIFFUSION.schedule(t[4:8].astype("float64"))
    noise = (x_t[4:8] - alpha[:, None, None, None] * x_0[4:8]) / sigma[:, None, None, None]  # of the real images
    assert abs(noise.std() - 1) < 0.2 and abs(noise.mean()) < 0.2


def watch(model):
    """Lists that fill with the x_t and t that the network sees, and the clipped images that its predictions stand for.

    The predictions are made larger, so that there is something to clip.
    """
    seen, images, predict = [], [], model.network.call

    def watched(x_t, t, condition, training=None):
        y = 5.0 * predict(x_t, t, condition, training=training)
        seen.append((np.asarray(x_t), np.asarray(t)))
        images.append(np.clip(DIFFUSION.x_0(y, x_t, t), -1, 1))
        return y

    model.network.call = watched
    return seen, images


def noise_of(x_t, x_0, t):
    """The noise that leads from images to x_t."""
    alpha, sigma = (a[:, None, None, None] for a in DIFFUSION.schedule(t.astype("float64")))
    return (x_t - alpha * x_0) / sigma


def test_two_calls_draw_and_compute_what_they_did_before_there_were_more():
    """Written out: z, one first call, the noise of later calls; nothing else is drawn."""
    (x_0, label), rows = real(), 4
    model, twin = new_model(renoised=0.25, noised=0.25), new_model(renoised=0.25, noised=0.25)
    fakes, distances, _ = model.call(x_0, label)
    z = keras.random.normal(x_0.shape, seed=twin.seeds)
    first = ops.clip(twin.first(twin.network, z[:rows], label[:rows]), -1.0, 1.0)
    start = ops.concatenate([first, x_0[rows : 2 * rows]])
    t = np.resize(twin.later, 2 * rows)
    x_t = DIFFUSION.add_noise(start, keras.random.normal(start.shape, seed=twin.seeds), t)
    x_t, t = ops.concatenate([x_t, z[2 * rows :]]), ops.concatenate([t, ops.ones(8)])
    expected = denoised(twin.network, DIFFUSION, x_t, {"label": label}, t, training=None)
    np.testing.assert_array_equal(fakes, expected)
    np.testing.assert_array_equal(distances, pseudo_huber(expected[rows : 2 * rows] - x_0[rows : 2 * rows]))
    np.testing.assert_array_equal(model.seeds.state, twin.seeds.state)


def test_images_of_more_calls_go_through_the_calls_of_the_sampler():
    model, (x_0, label) = new_model(renoised=0.75, noised=0.125, calls=4), real()
    (seen, images), again = watch(model), np.float32(samplers.consistency_times(2, DIFFUSION.schedule)[1])
    model.call(x_0, label)
    assert [len(x_t) for x_t, _ in seen] == [12, 8, 4, 16]
    assert np.all(seen[0][1] == 1) and all(np.all(t == again) for _, t in seen[1:3])
    x_t, t = seen[3]
    assert np.all(t[:8] == again) and len(set(t[8:14])) == 3 and np.all(t[14:] == 1)
    starts = [images[2], images[1][4:8], images[0][8:], x_0[12:14]]  # of three calls, two, one, and real
    noises = [noise_of(seen[k][0], images[k - 1][: len(seen[k][0])], seen[k][1]) for k in (1, 2)]
    noises.append(noise_of(x_t[:14], np.concatenate(starts), t[:14]))
    for noise in noises:
        assert abs(noise.std() - 1) < 0.15 and abs(noise.mean()) < 0.15
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert abs(np.mean(noises[one][:4] * noises[other][:4])) < 0.25  # new in each call


def test_no_gradient_goes_through_earlier_calls():
    model, (x_0, label) = new_model(calls=4), real()
    z, weights = ops.convert_to_tensor(x_0), model.network.trainable_variables
    found = model.gradients(lambda: (ops.sum(model.drawn(z, label)), None), weights)[0]
    assert all(gradient is None or not np.any(gradient) for gradient in found)


@pytest.mark.slow
@pytest.mark.neutral
@pytest.mark.parametrize("compiled", [JAX] if JAX else [False, True])
def test_a_step_with_earlier_calls_runs_in_a_graph_also_on_a_batch_too_small_for_all_of_them(compiled):
    model, (x_0, label) = new_model(calls=4, steps=10), real(20)
    model.compile(optimizer=model.optimizer, jit_compile=compiled)
    before = [np.asarray(weight) for weight in model.network.trainable_variables]
    logs = model.fit(x_0, label, batch_size=16, epochs=1, verbose=0).history  # of 16 and of 4: no row of three calls
    assert np.all(np.isfinite([values[0] for values in logs.values()]))
    assert any(np.any(old != np.asarray(new)) for old, new in zip(before, model.network.trainable_variables))


@pytest.mark.parametrize("calls", [1, 0, 2.5])
def test_fewer_calls_than_two_are_refused(calls):
    with pytest.raises(ValueError, match=f"`calls` must be an integer of at least 2. Received: {calls}"):
        new_model(calls=calls)


def test_the_configuration_says_how_many_calls_are_trained():
    settings = config.Config(few_step=config.FewStepConfig(calls=4))
    settings = replace_section(settings, "training", objective="adversarial")
    model = make_model(new_network(), DIFFUSION, settings, steps=10)
    assert model.calls == 4 and AdversarialTuning.from_config(model.get_config()).calls == 4


@pytest.mark.slow
def test_a_wrong_label_is_told_from_the_right_one():
    """Half of the square is white, which half is the label: the discriminator learns what the labels mean."""
    images = np.full((30, 8, 8, 1), -1, "float32")
    labels = np.arange(30, dtype="int32") % 3
    images[labels == 0, :4], images[labels == 1, 4:], images[labels == 2, :, :4] = 1, 1, 1
    margins = {}
    for mismatch in (0.0, 1.0):
        model = new_model(mismatch=mismatch, learning_rate=1e-3)
        model.fit(images, labels, batch_size=30, epochs=60, verbose=0)
        right, wrong = (np.asarray(model.discriminator(images, (labels + shift) % 3)) for shift in (0, 1))
        margins[mismatch] = np.mean(right - wrong)
    assert margins[1.0] > 1 and margins[1.0] > 2 * margins[0.0]


def test_wrong_labels_count_fully_in_the_first_half_of_a_run_and_ever_less_in_the_second():
    model, expected = new_model(mismatch=2.0, steps=100), {0: 2.0, 50: 2.0, 75: 1.0, 90: 0.4, 100: 0.0, 101: 0.0}
    for step, weight in expected.items():
        model.optimizer.iterations.assign(step)
        assert float(model.wrong_label()) == pytest.approx(weight, abs=1e-6)
    assert new_model(mismatch=2.0).wrong_label() == 2.0


@pytest.mark.slow
def test_an_interrupted_run_equals_an_uninterrupted_one(tmp_path):
    """Both networks, the moments of both, the average and the random state."""
    (tmp_path / "unbroken").mkdir()
    unbroken, part, rest = (new_model(steps=6) for _ in range(3))
    fit(unbroken, tmp_path / "unbroken", epochs=4, resume=False)
    fit(part, tmp_path, epochs=2, resume=False)
    randomise(rest.network)
    randomise(rest.discriminator)
    keras.utils.set_random_seed(123)
    fit(rest, tmp_path, epochs=4, resume=True)
    moments = [variable for variable in rest.optimizer.variables if "discriminator" in variable.path]
    assert moments
    for ours, theirs in zip(
        rest.variables + rest.optimizer.variables, unbroken.variables + unbroken.optimizer.variables
    ):
        np.testing.assert_allclose(ours, theirs, atol=2e-5, err_msg=ours.path)


def test_the_validation_loss_is_of_the_average_and_fixed_noise():
    model, (x_0, label) = new_model(), real()
    eps = np.random.default_rng(0).standard_normal(x_0.shape).astype("float32")
    data = ((x_0, label, np.ones(16, "float32"), eps),)
    losses = [model.evaluate(*data, verbose=0, return_dict=True)["loss"] for _ in range(2)]
    assert losses[0] == losses[1]
    randomise(model.ema_network)
    assert model.evaluate(*data, verbose=0, return_dict=True)["loss"] != losses[0]


@pytest.mark.parametrize("settings", [{"gamma": -1}, {"renoised": 0.7, "noised": 0.7}, {"anchor": -0.1}])
def test_weights_and_shares_out_of_range_are_refused(settings):
    with pytest.raises(ValueError, match="must be at least 0"):
        new_model(**settings)


def test_a_network_without_a_label_is_refused():
    network = UNet((8, 8, 1), {"thickness": Scalar(0.0, 1.0)}, widths=(8,), depths=(1,), attention=(False,), groups=4)
    with pytest.raises(ValueError, match="whose only condition is a label"):
        AdversarialTuning(network, DIFFUSION)
