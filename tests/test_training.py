"""Laws of training: it learns, averages, drops labels, resumes, stops when it must."""

import json

import keras
import numpy as np
import pytest
from conftest import randomise

from keras_ddpm import callbacks, schedules
from keras_ddpm.data import Batches
from keras_ddpm.diffusion import Diffusion
from keras_ddpm.training import DDPM, FreshValidation, validation_set
from keras_ddpm.unet import UNet
from keras_ddpm.weights import write_weights

pytestmark = pytest.mark.neutral
JAX = keras.backend.backend() == "jax"  # there, what is not compiled is very slow


def new_model(*, T=100, learning_rate=1e-3, seed=0, **settings):
    keras.utils.set_random_seed(seed)
    network = UNet((8, 8, 1), 3, widths=(8, 16), depths=(1, 1), patch=1, embed_dim=16, groups=4)
    model = DDPM(network, Diffusion(schedules.cosine(T)), num_classes=3, seed=seed, **settings)
    model.compile(optimizer=keras.optimizers.AdamW(learning_rate, global_clipnorm=1.0), jit_compile=JAX)
    return model


def toy_data(n=32):
    random = np.random.default_rng(0)
    return random.choice(np.array([0, 255], "uint8"), (n, 8, 8, 1)), np.arange(n, dtype="int32") % 3


def batches(n=32, size=16, **kwargs):
    return Batches(*toy_data(n), batch_size=size, **kwargs)


def test_a_handful_of_images_is_learned_by_heart():
    """Four images, halves of a square in white: the loss goes to almost nothing at every level of noise."""
    images, labels = np.zeros((4, 8, 8, 1), "uint8"), np.array([0, 1, 2, 2], "int32")
    images[0, :4], images[1, 4:], images[2, :, :4], images[3, :, 4:] = 255, 255, 255, 255
    model, rows = new_model(learning_rate=5e-3, p_uncond=0.0, ema_decay=0.98), np.tile(np.arange(4), 3_200)
    untrained, trained = [], []
    for losses in (untrained, trained):
        for t in (20, 50, 80):
            eps = np.random.default_rng(t).standard_normal((4, 8, 8, 1)).astype("float32")
            x_0 = images.astype("float32") / 127.5 - 1
            losses.append(np.mean(model.losses(model.ema_network, x_0, labels, np.full(4, t, "int32"), eps)))
        if losses is untrained:
            model.fit(Batches(images[rows], labels[rows], batch_size=32), epochs=1, verbose=0)
    assert np.min(untrained) > 0.5 and np.max(trained) < 0.05, (untrained, trained)


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
    tables = [model.diffusion._alpha.copy(), model.diffusion._sigma.copy()]
    model.fit(batches(), epochs=2, verbose=0)
    for before, after in zip(tables, (model.diffusion._alpha, model.diffusion._sigma)):
        np.testing.assert_array_equal(before, after)
    assert len(model.trainable_variables) == len(model.network.trainable_variables)


@pytest.mark.parametrize("p_uncond, share", [(0.0, 0.0), (0.1, 0.1), (1.0, 1.0)])
def test_labels_are_dropped_with_probability_p_uncond(p_uncond, share):
    model, heard = new_model(p_uncond=p_uncond), []
    network = model.network
    model.losses = lambda network, x_0, label, *a, **k: heard.append(np.asarray(label)) or np.zeros(len(label))
    for _ in range(10):
        model.call(np.zeros((200, 8, 8, 1), "float32"), np.ones(200, "int32"))
    heard = np.concatenate(heard)
    assert set(heard) <= {1, 3} and np.mean(heard == 3) == pytest.approx(share, abs=0.025) and network.built


def test_times_are_uniform_and_spread_over_a_batch():
    model = new_model(T=100)
    t = np.stack([np.asarray(model.draw_t(50)) for _ in range(200)])
    assert t.min() == 0 and t.max() == 99
    assert np.all(np.abs(np.diff(np.sort(t), axis=1)) <= 3)  # 50 draws in 100 levels: one in every two
    counts = np.bincount(t.ravel(), minlength=100)
    assert np.abs(counts - 100).max() < 60


def test_the_validation_loss_is_about_the_model_alone():
    model, (images, labels) = new_model(), toy_data()
    x_0 = images.astype("float32") / 127.5 - 1
    first, again = (
        model.evaluate(*validation_set(x_0, labels, 100), return_dict=True, verbose=0, batch_size=size)
        for size in (32, 8)
    )
    assert first == pytest.approx(again, rel=1e-4)
    ((_, _, t, _),) = validation_set(x_0, labels, 100)
    assert np.bincount(t * 4 // 100, minlength=4).tolist() == [8, 8, 8, 8]


def test_fresh_validation_noise_moves_the_loss_of_an_unchanged_model():
    images, labels = toy_data()
    x_0 = (images / 127.5 - 1.0).astype("float32")
    fresh = FreshValidation(x_0, labels, 100, batch_size=8)
    model = new_model()
    losses = [model.evaluate(fresh, verbose=0, return_dict=True)["loss"] for _ in range(2)]
    assert losses[0] != pytest.approx(losses[1], rel=1e-4)
    again = FreshValidation(x_0, labels, 100, batch_size=32)
    assert losses[0] == pytest.approx(model.evaluate(again, verbose=0, return_dict=True)["loss"], rel=1e-4)


def test_a_resumed_run_meets_the_fresh_validation_noise_of_an_unbroken_one():
    images, labels = toy_data()
    x_0 = (images / 127.5 - 1.0).astype("float32")
    model = new_model()
    model.optimizer.learning_rate = 0.0  # so that the losses tell the noise

    def losses(epoch):
        held_out = FreshValidation(x_0, labels, 100, batch_size=8, epoch=epoch)
        batches = Batches(images, labels, batch_size=16)
        fit = model.fit(batches, validation_data=held_out, epochs=4, initial_epoch=epoch, verbose=0)
        return fit.history["val_loss"]

    whole = losses(0)
    assert len({f"{loss:.4f}" for loss in whole}) == 4
    assert losses(2) == pytest.approx(whole[2:], rel=1e-4)


def test_the_loss_is_the_mean_of_its_quarters():
    model, (images, labels) = new_model(), toy_data()
    logs = model.evaluate(*validation_set(images / 127.5 - 1.0, labels, 100), return_dict=True, verbose=0)
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
        validation_data=validation_set(images / 127.5 - 1.0, labels, 100),
        epochs=epochs,
        initial_epoch=data.epoch,
        callbacks=[best, plateau, state],
        shuffle=False,
        verbose=0,
    )


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
    for settings in ({"widths": (4, 8)}, {"depths": (1, 2)}, {"attention": (False, False)}):
        other = UNet(
            (8, 8, 1), 3, **{"widths": (8, 16), "depths": (1, 1), "patch": 1, "embed_dim": 16, "groups": 4, **settings}
        )
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
