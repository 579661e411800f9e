"""What a training says while it runs: a line an epoch, in plain text, with an estimate for the whole run."""

import numpy as np
import pytest

from keras_ddpm.training import progress

pytestmark = pytest.mark.neutral


def fit(capsys, *, epochs, initial_epoch=0):
    import keras

    model = keras.Sequential([keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    verbose, callbacks = progress.progress()
    x = np.ones((8, 2), "float32")
    model.fit(
        x,
        x[:, :1],
        validation_data=(x, x[:, :1]),
        epochs=epochs,
        initial_epoch=initial_epoch,
        callbacks=callbacks,
        verbose=verbose,
    )
    return capsys.readouterr().out


def test_where_stdout_is_no_terminal_an_epoch_is_one_plain_line(capsys):
    lines = fit(capsys, epochs=3).splitlines()
    assert [line.split(",")[0] for line in lines] == ["epoch 1/3", "epoch 2/3", "epoch 3/3"]
    assert all("loss " in line and "val_loss " in line and line.isprintable() for line in lines)
    assert "about" in lines[0] and lines[1].endswith("left") and "left" not in lines[2]


def test_the_estimate_of_a_resumed_run_counts_the_epochs_that_are_left(capsys, monkeypatch):
    clock = iter(range(0, 10_000, 100))
    monkeypatch.setattr(progress, "monotonic", lambda: next(clock))  # ours alone: others read the time too
    first, last = fit(capsys, epochs=10, initial_epoch=8).splitlines()
    assert first.endswith("2 min, about 2 min left") and first.startswith("epoch 9/10") and "left" not in last


@pytest.mark.parametrize("seconds, words", [(4.4, "4 s"), (89, "89 s"), (91, "2 min"), (3600, "1 h 0 min")])
def test_times_are_said_as_people_say_them(seconds, words):
    assert progress.in_words(seconds) == words
