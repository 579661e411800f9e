"""The study of latent diffusion: operations are counted as they are, arms differ in one thing, and it runs."""

import dataclasses
import json

import keras
import numpy as np
import pytest

from keras_ddpm.data import canvas_mnist, datasets
from studies import latent, study


def test_operations_of_a_convolution_and_a_dense_layer_are_those_of_their_formulas():
    convolution = keras.layers.Conv2D(8, 3, padding="same", use_bias=False)
    convolution.build((1, 6, 5, 4))
    assert latent.operations(convolution, (6, 5, 4)) == 6 * 5 * 4 * 8 * 9
    dense = keras.layers.Dense(7, use_bias=False)
    dense.build((1, 11))
    assert latent.operations(dense, (11,)) == 7 * 11
    assert latent.operations(lambda x: x, (6, 5, 4)) == 0


def test_the_arms_of_a_data_set_differ_in_network_codec_and_threshold_alone():
    for dataset, networks in latent.NETWORKS.items():
        arms = [latent.configuration(dataset, name, 0, study.Options()) for name in networks]
        shared = []
        for settings in arms:
            training = dataclasses.replace(settings.training, codec=None)
            shared.append((settings.data, training, dataclasses.replace(settings.sampling, threshold="none")))
        assert len(set(shared)) == 1 and {settings.data.dataset for settings in arms} == {dataset}
        codecs = [settings.training.codec for settings in arms if settings.training.codec]
        assert codecs == [f"runs/studies/{dataset}_autoencoder"]


@pytest.mark.slow
def test_the_study_runs_and_goes_on_where_it_stopped(mnist, tmp_path, monkeypatch):
    def few(split):
        images, labels = (array[:1_500] for array in mnist[split])
        return canvas_mnist.place(images, split=split), labels, 10, {}

    monkeypatch.setitem(datasets.MADE, "canvas_mnist", few)
    one = {"latent": latent.NETWORKS["mnist"]["latent"]}
    monkeypatch.setattr(latent, "NETWORKS", {"mnist": one, "canvas_mnist": latent.NETWORKS["canvas_mnist"]})
    options = study.Options(quick=True, out=tmp_path / "results", runs=tmp_path / "runs")
    latent.run(options)
    content = json.loads((tmp_path / "results/latent/rows.json").read_text())
    rows = content["rows"]
    assert set(rows) == {
        f"{dataset} {name}"
        for dataset in latent.NETWORKS
        for name in ("real", "reconstructions", *(f"{arm} seed=0" for arm in latent.NETWORKS[dataset]))
    }
    for dataset in latent.NETWORKS:
        row = rows[f"{dataset} latent seed=0"]
        assert row["decoder"] == rows[f"{dataset} reconstructions"]["decoder"] > 0
        assert row["image"] == pytest.approx(row["calls"] * row["call"] + row["decoder"], rel=1e-4)
        assert row["training_images_per_second"] > 0
        assert (tmp_path / f"results/latent/{dataset}_reconstructions.png").is_file()
    assert rows["canvas_mnist pixel seed=0"]["decoder"] == 0
    latent.run(dataclasses.replace(options, train=False))
    assert json.loads((tmp_path / "results/latent/rows.json").read_text())["rows"] == rows
    assert np.isfinite(rows["mnist real"]["accuracy"])
