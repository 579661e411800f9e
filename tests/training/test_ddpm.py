"""Laws of training: it learns, averages, drops labels, resumes, stops when it must."""

import json

import keras
import numpy as np
import pytest
from conftest import randomise
from scipy import stats

from keras_ddpm import schedules
from keras_ddpm.conditions import Label
from keras_ddpm.data import Batches
from keras_ddpm.diffusion import Diffusion
from keras_ddpm.networks.unet import UNet
from keras_ddpm.saving.weights import write_weights
from keras_ddpm.training import callbacks
from keras_ddpm.training.ddpm import DDPM
from keras_ddpm.training.times import TIMES
from keras_ddpm.training.validation import FreshValidation, validation_set

pytestmark = pytest.mark.neutral
JAX = keras.backend.backend() == "jax"  # there, what is not compiled is very slow


DIFFUSION = Diffusion(schedules.cosine(100))


TWO_LEVELS = {"widths": (8, 16), "depths": (1, 1), "attention": (False, True)}


def new_network(**settings):
    small = {
        "widths": (8,),
        "depths": (1,),
        "attention": (True,),
        "patch": 1,
        "embed_dim": 16,
        "groups": 4,
        "levels": 100,
    }
    return UNet((8, 8, 1), {"label": Label(3)}, **{**small, **settings})


def new_model(*, diffusion=DIFFUSION, learning_rate=1e-3, seed=0, network=None, **settings):
    keras.utils.set_random_seed(seed)
    model = DDPM(new_network(**network or {}), diffusion, seed=seed, **settings)
    model.compile(optimizer=keras.optimizers.AdamW(learning_rate, global_clipnorm=1.0), jit_compile=JAX)
    return model


def toy_data(n=32):
    random = np.random.default_rng(0)
    return random.choice(np.array([0, 255], "uint8"), (n, 8, 8, 1)), np.arange(n, dtype="int32") % 3


def batches(n=32, size=16, **kwargs):
    return Batches(*toy_data(n), batch_size=size, **kwargs)


@pytest.mark.parametrize(
    "diffusion, most",
    [
        pytest.param(DIFFUSION, 0.05, id="cosine, v", marks=pytest.mark.slow),
        pytest.param(
            Diffusion(schedules.flow_matching, "velocity"), 0.1, id="flow matching, velocity", marks=pytest.mark.slow
        ),
    ],
)
def test_a_handful_of_images_is_learned_by_heart(diffusion, most):
    """Four images, halves of a square in white: the loss goes to almost nothing at every level of noise."""
    images, labels = np.zeros((4, 8, 8, 1), "uint8"), np.array([0, 1, 2, 2], "int32")
    images[0, :4], images[1, 4:], images[2, :, :4], images[3, :, 4:] = 255, 255, 255, 255
    model, rows = (
        new_model(diffusion=diffusion, learning_rate=5e-3, network=TWO_LEVELS, p_uncond=0.0, ema_decay=0.98),
        np.tile(np.arange(4), 4_000),
    )
    untrained, trained = [], []
    for losses in (untrained, trained):
        for t in (20, 50, 80):
            eps = np.random.default_rng(t).standard_normal((4, 8, 8, 1)).astype("float32")
            x_0 = images.astype("float32") / 127.5 - 1
            times = np.full(4, (t + 1) / 100, "float32")
            losses.append(np.mean(model.losses(model.ema_network, x_0, {"label": labels}, times, eps)))
        if losses is untrained:
            model.fit(Batches(images[rows], labels[rows], batch_size=32), epochs=1, verbose=0)
    assert np.min(untrained) > 0.5 and np.max(trained) < most, (untrained, trained)


def test_the_average_follows_its_warm_up():
    model = new_model(ema_decay=0.9)
    average, weight = model.ema_network.weights[0], model.network.weights[0]
    start = np.asarray(average)
    randomise(model.network)
    for step, decay in ((1, 1 - 2 ** (-2 / 3)), (1000, 0.9)):
        average.assign(start)
        model.update_ema(step)
        np.testing.assert_allclose(average, decay * start + (1 - decay) * np.asarray(weight), atol=1e-6)


def test_without_decay_the_average_is_the_network():
    model = new_model(ema_decay=0.0)
    model.fit(batches(), epochs=1, verbose=0)
    for average, weight in zip(model.ema_network.weights, model.network.weights):
        np.testing.assert_array_equal(average, weight)


def test_training_leaves_the_tables_and_the_average_untrained():
    model = new_model()
    times = np.linspace(0, 1, 101, dtype="float32")
    tables = [np.asarray(table) for table in model.diffusion.alpha_sigma(times)]
    model.fit(batches(), epochs=2, verbose=0)
    for before, after in zip(tables, model.diffusion.alpha_sigma(times)):
        np.testing.assert_array_equal(before, after)
    assert len(model.trainable_variables) == len(model.network.trainable_variables)


@pytest.mark.parametrize("p_uncond, share", [(0.0, 0.0), (0.1, 0.1), (1.0, 1.0)])
def test_labels_are_dropped_with_probability_p_uncond(p_uncond, share):
    model, seen = new_model(p_uncond=p_uncond), []
    model.losses = lambda network, x_0, condition, *a, **k: seen.append(np.asarray(condition["label"])) or np.zeros(200)
    for _ in range(10):
        model.call(np.zeros((200, 8, 8, 1), "float32"), np.ones(200, "int32"))
    seen = np.concatenate(seen)
    assert set(seen) <= {1, 3} and np.mean(seen == 3) == pytest.approx(share, abs=0.025)


def test_times_are_uniform_and_spread_over_a_batch():
    model = new_model()
    t = np.stack([np.asarray(model.draw_t(50)) for _ in range(200)])
    assert t.min() == pytest.approx(0.01) and t.max() == 1
    t = np.round(100 * t).astype(int) - 1
    assert np.all(np.abs(np.diff(np.sort(t), axis=1)) <= 3)  # 50 draws in 100 levels: one in every two
    counts = np.bincount(t.ravel(), minlength=100)
    assert np.abs(counts - 100).max() < 60


def test_the_validation_loss_is_about_the_model_alone():
    model, (images, labels) = new_model(), toy_data()
    x_0 = images.astype("float32") / 127.5 - 1
    first, again = (
        model.evaluate(*validation_set(x_0, labels, DIFFUSION), return_dict=True, verbose=0, batch_size=size)
        for size in (32, 8)
    )
    assert first == pytest.approx(again, rel=1e-4)
    ((_, _, t, _),) = validation_set(x_0, labels, DIFFUSION)
    assert np.bincount(np.ceil(4 * t - 1e-4).astype(int) - 1, minlength=4).tolist() == [8, 8, 8, 8]


def test_fresh_validation_noise_moves_the_loss_of_an_unchanged_model():
    images, labels = toy_data()
    x_0 = (images / 127.5 - 1.0).astype("float32")
    fresh = FreshValidation(x_0, labels, DIFFUSION, batch_size=8)
    model = new_model()
    losses = [model.evaluate(fresh, verbose=0, return_dict=True)["loss"] for _ in range(2)]
    assert losses[0] != pytest.approx(losses[1], rel=1e-4)
    again = FreshValidation(x_0, labels, DIFFUSION, batch_size=32)
    assert losses[0] == pytest.approx(model.evaluate(again, verbose=0, return_dict=True)["loss"], rel=1e-4)


@pytest.mark.slow
def test_a_resumed_run_meets_the_fresh_validation_noise_of_an_unbroken_one():
    images, labels = toy_data()
    x_0 = (images / 127.5 - 1.0).astype("float32")
    model = new_model()
    model.optimizer.learning_rate = 0.0  # so that the losses tell the noise

    def losses(epoch):
        held_out = FreshValidation(x_0, labels, DIFFUSION, batch_size=8, epoch=epoch)
        batches = Batches(images, labels, batch_size=16)
        fit = model.fit(batches, validation_data=held_out, epochs=4, initial_epoch=epoch, verbose=0)
        return fit.history["val_loss"]

    whole = losses(0)
    assert len({f"{loss:.4f}" for loss in whole}) == 4
    assert losses(2) == pytest.approx(whole[2:], rel=1e-4)


def test_the_loss_is_the_mean_of_its_quarters():
    model, (images, labels) = new_model(), toy_data()
    logs = model.evaluate(*validation_set(images / 127.5 - 1.0, labels, DIFFUSION), return_dict=True, verbose=0)
    assert logs["loss"] == pytest.approx(np.mean([logs[f"loss_q{q}"] for q in (1, 2, 3, 4)]), rel=1e-4)


def fit(model, folder, *, epochs, resume):
    best = callbacks.BestWeights(folder / "network.weights.h5")
    plateau = keras.callbacks.ReduceLROnPlateau(patience=1, min_delta=10.0)  # so that every epoch is one without gain
    state = callbacks.ResumableState(folder / "state.weights.h5", [best, plateau])
    data = batches(n=96, seed=5)
    data.start(state.restore(model) if resume else 0)
    images, labels = toy_data()
    model.fit(
        data,
        validation_data=validation_set(images / 127.5 - 1.0, labels, DIFFUSION),
        epochs=epochs,
        initial_epoch=data.epoch,
        callbacks=[best, plateau, state],
        shuffle=False,
        verbose=0,
    )


def assert_resumes(unbroken, part, rest, folder, *, atol):
    """Interrupted after two epochs of four, and continued by `rest`, a run ends where an unbroken one does."""
    (folder / "unbroken").mkdir()
    fit(unbroken, folder / "unbroken", epochs=4, resume=False)
    fit(part, folder, epochs=2, resume=False)
    randomise(rest.network)  # whatever the new process starts with is replaced
    fit(rest, folder, epochs=4, resume=True)
    for ours, theirs in zip(rest.variables, unbroken.variables):
        np.testing.assert_allclose(ours, theirs, atol=atol, err_msg=ours.path)


def test_an_interrupted_run_equals_an_uninterrupted_one(tmp_path):
    (tmp_path / "whole").mkdir()
    whole, part, rest = (new_model(learning_rate=1e-2) for _ in range(3))
    fit(whole, tmp_path / "whole", epochs=5, resume=False)
    fit(part, tmp_path, epochs=2, resume=False)
    randomise(rest.network)  # whatever the new process starts with is replaced
    keras.utils.set_random_seed(123)
    fit(rest, tmp_path, epochs=5, resume=True)
    assert float(rest.optimizer.learning_rate) == pytest.approx(float(whole.optimizer.learning_rate)) != 1e-2
    for ours, theirs in zip(rest.variables, whole.variables):
        np.testing.assert_allclose(ours, theirs, atol=1e-6, err_msg=ours.path)


def test_a_non_finite_loss_stops_training_and_keeps_the_last_good_state(tmp_path):
    model = new_model()
    fit(model, tmp_path, epochs=1, resume=False)
    good = (tmp_path / "state.weights.h5").read_bytes()
    model.network.weights[0].assign(np.full(model.network.weights[0].shape, np.nan))
    guard = callbacks.StopOnNonFinite()
    state = callbacks.ResumableState(tmp_path / "state.weights.h5")
    with pytest.raises(FloatingPointError, match=r"became nan at step 7\b"):
        model.fit(batches(), epochs=3, callbacks=[guard, state], verbose=0)
    assert (tmp_path / "state.weights.h5").read_bytes() == good


def test_a_truncated_or_foreign_state_is_named_and_nothing_is_trained(tmp_path):
    path = tmp_path / "state.weights.h5"
    write_weights(new_model(), path, state={"epoch": 1, "callbacks": {}, "random": []})
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="damaged or truncated"):
        callbacks.ResumableState(path).restore(new_model())
    for settings in ({"widths": (4,)}, {"depths": (2,)}, {"attention": (False,)}):
        other = new_network(**settings)
        other.build()
        write_weights(other, path)
        with pytest.raises(ValueError, match="do not fit"):
            callbacks.ResumableState(path).restore(new_model())


def test_a_run_that_never_ended_an_epoch_starts_at_zero(tmp_path):
    assert callbacks.ResumableState(tmp_path / "state.weights.h5").restore(new_model()) == 0


def test_the_log_of_an_epoch_that_was_not_kept_is_taken_out(tmp_path):
    log, state = tmp_path / "log.csv", tmp_path / "state.weights.h5"
    head, rows = "epoch,loss\n", ["0,0.5\n", "1,0.4\n", "2,0.3\n"]
    log.write_text(head + "".join(rows))
    model = new_model()
    write_weights(model, state, state={"epoch": 2, "callbacks": {}, "random": []})
    assert callbacks.ResumableState(state, log=log).restore(model) == 2
    assert log.read_text() == head + rows[0] + rows[1]
    state.unlink()
    assert callbacks.ResumableState(state, log=log).restore(model) == 0
    assert log.read_text() == head


def test_the_best_weights_are_those_of_the_lowest_validation_loss(tmp_path):
    model = new_model()
    best = callbacks.BestWeights(tmp_path / "network.weights.h5")
    best.set_model(model)
    for epoch, loss in enumerate((3.0, 1.0, 2.0)):
        best.on_epoch_end(epoch, {"val_loss": loss})
    import h5py

    with h5py.File(tmp_path / "network.weights.h5") as file:
        assert json.loads(file.attrs["keras_ddpm"]) == {"epoch": 2, "val_loss": 1.0}


def test_weights_that_became_nan_in_the_last_step_of_an_epoch_are_seen():
    with pytest.raises(FloatingPointError, match="became nan"):
        guard = callbacks.StopOnNonFinite()
        guard.set_model(new_model())
        guard.on_epoch_end(0, {"loss": 0.1, "val_loss": float("nan")})


@pytest.mark.parametrize("settings", [{"p_uncond": 1.5}, {"ema_decay": 1.0}])
def test_settings_out_of_range_are_named(settings):
    with pytest.raises(ValueError, match="must be in"):
        new_model(**settings)


def images_and_labels():
    images, labels = toy_data()
    return (images / 127.5 - 1.0).astype("float32"), labels


@pytest.mark.slow
def test_fit_takes_arrays_datasets_and_validation_data_of_two():
    import tensorflow as tf

    images, labels = images_and_labels()
    dataset = tf.data.Dataset.from_tensor_slices((images, labels)).batch(16)
    for data in ((images, labels), (dataset,), (batches(),)):
        fit = new_model().fit(*data, validation_data=(images, labels), epochs=1, verbose=0, batch_size=None)
        assert {"loss", "val_loss"} <= set(fit.history) and np.isfinite(fit.history["val_loss"][0])


def functional_network():
    inputs = {
        "x_t": keras.Input((8, 8, 1), name="x_t"),
        "t": keras.Input((), name="t"),
        "label": keras.Input((), dtype="int32", name="label"),
    }
    class_map = keras.layers.Embedding(4, 64)(inputs["label"])
    h = inputs["x_t"] + keras.layers.Reshape((8, 8, 1))(class_map)
    return keras.Model(inputs, keras.layers.Conv2D(1, 3, padding="same")(h))


class Plain(keras.Model):
    """A small subclass that describes itself."""

    def __init__(self, width, **kwargs):
        super().__init__(**kwargs)
        self.width = width
        self.convolution = keras.layers.Conv2D(1, width, padding="same")

    def build(self):
        self.convolution.build((None, 8, 8, 1))
        self.built = True

    def call(self, x_t, t, condition, training=None):
        return self.convolution(x_t)

    def get_config(self):
        return {"name": self.name, "width": self.width}


class Undescribed(Plain):
    """One without a get_config of its own."""

    def __init__(self):
        super().__init__(3)

    def get_config(self):
        return keras.Model.get_config(self)


def built(network):
    network.build()
    return network


@pytest.mark.parametrize("make", [functional_network, lambda: Plain(3), lambda: built(Plain(3))])
def test_any_keras_model_with_this_call_can_be_trained(make):
    keras.utils.set_random_seed(0)
    model = DDPM(make(), DIFFUSION, conditions={"label": Label(3)})
    model.compile(optimizer="adam", jit_compile=JAX)
    before = [np.asarray(w) for w in model.network.weights]
    model.fit(batches(), epochs=1, verbose=0)
    for start, weight, average in zip(before, model.network.weights, model.ema_network.weights):
        assert np.abs(start - np.asarray(weight)).max() > 0
        assert not np.array_equal(np.asarray(weight), np.asarray(average))


def test_a_network_that_cannot_be_copied_is_named_and_trains_without_an_average():
    with pytest.raises(ValueError, match=r"get_config.*or train without an average: ema_decay=0"):
        DDPM(Undescribed(), DIFFUSION, conditions={"label": Label(3)})
    model = DDPM(Undescribed(), DIFFUSION, conditions={"label": Label(3)}, ema_decay=0)
    model.compile(optimizer="adam", jit_compile=JAX)
    assert np.isfinite(model.fit(batches(), verbose=0).history["loss"][0])
    with pytest.raises(ValueError, match="`conditions` must be given"):
        DDPM(Plain(3), DIFFUSION)


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda x, y: (x * 127.5 + 127.5, y), r"must be in \[-1, 1\].*from 0 to 255"),
        (lambda x, y: (x / 2 + 0.5, y), r"must be in \[-1, 1\].*from 0 to 1 "),
        (lambda x, y: (x * np.nan, y), r"must be in \[-1, 1\]"),
        (lambda x, y: (x[..., 0], y), r"shape \(N, H, W, C\)"),
        (lambda x, y: (x, y + 1), r"`label` must be in 0\.\.2, an integer. Received: 3"),
        (lambda x, y: (x, y - 1), r"`label` must be in 0\.\.2, an integer. Received: -1"),
        (lambda x, y: (x, y.astype("float32")), "`label` must be in"),
        (lambda x, y: (x, {"digit": y}), r"must be \['label'\]. Received: \['digit'\]"),
        (lambda x, y: (x, None), "Give images and labels"),
    ],
)
def test_data_that_would_train_badly_is_refused_before_the_first_step(change, message):
    model = new_model()
    with pytest.raises(ValueError, match=message):
        model.fit(*change(*images_and_labels()), verbose=0)
    assert int(model.optimizer.iterations) == 0


def test_a_ddpm_round_trips_through_a_keras_file(tmp_path):
    model = new_model(p_uncond=0.3)
    randomise(model.ema_network)
    model.save(tmp_path / "ddpm.keras")
    twin = keras.models.load_model(tmp_path / "ddpm.keras", compile=False)
    assert twin.get_config() == model.get_config() and twin.p_uncond == 0.3
    for ours, theirs in zip(model.ema_network.weights, twin.ema_network.weights):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("name", TIMES)
def test_times_lie_in_their_range_and_follow_their_distribution(name):
    u = (np.arange(1000, dtype="float32") + 1) / 1000
    t = np.asarray(TIMES[name](u))
    assert np.all((t > 0) & (t <= 1)) and np.all(np.diff(t) >= 0)
    middle = np.mean((t > 0.25) & (t <= 0.75))
    assert middle == pytest.approx({"uniform": 0.5, "logit_normal": stats.norm.cdf(np.log(3)) * 2 - 1}[name], abs=2e-3)
