"""Evaluation during training: the figures join the logs, every few epochs, in the same columns."""

import csv

import keras
import numpy as np
import pytest
from conftest import randomise
from strokes import strokes, write_strokes

from keras_ddpm import config
from keras_ddpm.data import Batches
from keras_ddpm.diffusion import Diffusion
from keras_ddpm.evaluation.callback import EvaluateDuringTraining
from keras_ddpm.generator import Generator
from keras_ddpm.networks.build import build_network
from keras_ddpm.training.ddpm import DDPM


@pytest.mark.slow
def test_training_logs_figures_every_few_epochs_in_the_same_columns(tmp_path):
    dataset = write_strokes(tmp_path / "strokes.npz")
    keras.utils.set_random_seed(0)
    small = config.Config(network=config.NetworkConfig(widths=(8, 16), depths=(1, 1), embed_dim=16, groups=4))
    network = build_network(small, (28, 28, 1), 10)
    randomise(network)
    model = DDPM(network, Diffusion.from_names(T=20))
    model.compile(optimizer="adam", jit_compile=False)
    generator = Generator(model.ema_network, model.diffusion, steps=2)
    watch = EvaluateDuringTraining(generator, np.full(10, 1.5), str(dataset), every=3, n=100)
    log = keras.callbacks.CSVLogger(tmp_path / "log.csv")
    model.fit(Batches(*strokes(32, seed=0), batch_size=16), epochs=4, callbacks=[watch, log], verbose=0)
    rows = list(csv.DictReader((tmp_path / "log.csv").open()))
    assert [row["eval_accuracy"] != "nan" for row in rows] == [True, False, True, True]
    assert {"eval_frechet_distance", "eval_precision", "eval_recall", "eval_coverage"} <= set(rows[0])


def test_no_test_image_is_looked_at_during_training(tmp_path, monkeypatch):
    dataset = write_strokes(tmp_path / "strokes.npz")
    splits, load = [], EvaluateDuringTraining.on_train_begin.__globals__["data"].load
    monkeypatch.setattr(
        "keras_ddpm.data.load", lambda name, split, **rest: splits.append(split) or load(name, split, **rest)
    )
    watch = EvaluateDuringTraining(None, np.ones(10), str(dataset), every=1, n=100)
    watch.on_train_begin()
    assert splits == ["train"]


def test_evaluating_is_off_unless_asked_for():
    assert config.TrainingConfig().evaluate_every == 0
    with pytest.raises(ValueError, match="`every` must be at least 1"):
        EvaluateDuringTraining(None, np.ones(10), "mnist", every=0)
