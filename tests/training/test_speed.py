"""`precision` "auto": the fastest choice trains, the run keeps it, and the weights are those of that choice named."""

import numpy as np
import pytest
from conftest import replace_section
from test_train_function import TINY, toy

import keras_ddpm
from keras_ddpm import config, presets
from keras_ddpm.data import sources
from keras_ddpm.training import speed
from keras_ddpm.training.distribution import devices

AUTO = replace_section(TINY, "training", precision="auto", jit="off", epochs=1)
SOURCE = sources.open_source(TINY, toy(), num_classes=3)

pytestmark = pytest.mark.neutral


def pretend(monkeypatch, **rates):
    """Rates by precision; those that are not named are 1. Returns the list of what will be measured."""
    asked: list[str] = []

    def rate(settings, source, codec=None):
        asked.append(settings.training.precision)
        return rates.get(settings.training.precision, 1.0)

    monkeypatch.setattr(speed, "images_per_second", rate)
    return asked


@pytest.mark.parametrize("fastest", ["float32", "mixed_bfloat16"])
def test_the_fastest_precision_is_taken_and_said(fastest, monkeypatch, capsys):
    pretend(monkeypatch, **{fastest: 200.0})
    settled = speed.settle(AUTO, SOURCE)
    assert settled.training.precision == fastest
    assert f"Training in {fastest}" in capsys.readouterr().out
    assert replace_section(settled, "training", precision="auto") == AUTO  # nothing else changes


def test_xla_is_measured_too_unless_it_is_decided(monkeypatch):
    import keras

    choices = {jit: set(speed.choices(replace_section(AUTO, "training", jit=jit))) for jit in ("auto", "on", "off")}
    assert choices["on"] == {("float32", "on"), ("mixed_bfloat16", "on")}
    assert choices["off"] == {("float32", "off"), ("mixed_bfloat16", "off")}
    both = choices["on"] | choices["off"]
    assert choices["auto"] == (choices["on"] if keras.backend.backend() == "jax" else both)


def test_a_named_precision_is_not_measured(monkeypatch):
    asked = pretend(monkeypatch)
    assert speed.settle(TINY, SOURCE) is TINY
    assert not asked


def test_a_run_that_goes_on_is_not_measured_again(tmp_path, monkeypatch):
    began = replace_section(TINY, "training", precision="mixed_bfloat16", jit="on")
    presets.write_config(tmp_path, began, SOURCE.image_shape, SOURCE.num_classes)
    asked = pretend(monkeypatch, float32=9.0)  # as on another machine
    settled = speed.settle(AUTO, SOURCE, run=tmp_path).training
    assert (settled.precision, settled.jit, asked) == ("mixed_bfloat16", "on", [])


@pytest.mark.slow
def test_the_run_keeps_the_choice_when_it_goes_on(tmp_path, monkeypatch):
    asked = pretend(monkeypatch, mixed_bfloat16=9.0)
    keras_ddpm.train(AUTO, tmp_path / "run", data=toy(), num_classes=3)
    first = presets.read_config(tmp_path / "run")[0].training
    assert (first.precision, first.jit) == ("mixed_bfloat16", "off") and asked
    asked.clear()
    pretend(monkeypatch, float32=9.0)  # as on another machine
    more = replace_section(AUTO, "training", epochs=2)
    keras_ddpm.train(more, tmp_path / "run", data=toy(), num_classes=3, resume=True)
    second = presets.read_config(tmp_path / "run")[0].training
    assert (second.precision, second.jit, asked) == ("mixed_bfloat16", "off", [])


@pytest.mark.slow
def test_measuring_leaves_no_trace_in_the_weights(tmp_path):
    named = replace_section(AUTO, "training", precision="float32")
    plain = keras_ddpm.train(named, tmp_path / "named", data=toy(), num_classes=3)

    def measured_for_real(settings, source, codec=None):
        rate = speed_of(settings, source)
        assert rate > 0
        return 1e9 if settings.training.precision == "float32" else rate

    speed_of, speed.images_per_second = speed.images_per_second, measured_for_real
    try:
        measured = keras_ddpm.train(AUTO, tmp_path / "auto", data=toy(), num_classes=3)
    finally:
        speed.images_per_second = speed_of
    for a, b in zip(plain.network.get_weights(), measured.network.get_weights()):
        np.testing.assert_array_equal(a, b)


def test_several_devices_need_a_name():
    placement = devices.Placement(config.Devices())
    placement.parallel = object()
    with pytest.raises(ValueError, match="`precision` 'auto' measures one device"):
        placement.check(AUTO.training, SOURCE.batches)
