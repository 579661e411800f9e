"""A picture is a law: what a seed draws from a released preset does not change, whatever becomes of the code.

golden/pictures.npz holds what this library drew when a preset came, a key an array uint8 (10, 28, 28):
preset/sampler/steps with the digits, seeds and w below, or preset/own with the preset's own settings, and perhaps other
steps. preset/own/attribute asks for values of an attribute from its lowest to its highest.
"""

import pathlib

import numpy as np
import pytest

import keras_ddpm
from keras_ddpm import presets
from keras_ddpm.data.attributes import conditions_of

PICTURES = np.load(pathlib.Path(__file__).parent / "golden" / "pictures.npz")
DIGITS, WS = np.arange(10), np.resize([0.0, 1.0, 1.5, 3.0, 7.0], 10)
SEEDS = np.array([0, 1, 2, 3, 4, 5, 2**31, 2**40 + 1, 2**62, 2**63 - 1])
QUICK = [name for name in PICTURES if "/own" in name and not name.endswith(("/thickness", "/width"))]


def drawn(name):
    preset, sampler, *more = name.split("/")
    if more and not more[0].isdigit():
        known = conditions_of(10, presets.read_config(preset)[0].data.attributes)[more[0]]
        asked = {more[0]: np.linspace(known.low, known.high, 10)}
        return keras_ddpm.sample(DIGITS, seed=SEEDS, preset=preset, **asked)
    count = int(more[0]) if more else None
    if sampler == "own":
        return keras_ddpm.sample(DIGITS, seed=SEEDS, preset=preset, steps=count)
    return keras_ddpm.sample(DIGITS, WS, seed=SEEDS, preset=preset, sampler=sampler, steps=count)


def assert_same(name):
    difference = np.abs(drawn(name).astype(int) - PICTURES[name])
    assert difference.max() <= 1 and np.count_nonzero(difference) <= 8


@pytest.mark.filterwarnings("ignore:At t = 1 the signal")
@pytest.mark.parametrize("name", QUICK)
def test_golden_pictures_of_the_presets_own_settings(name):
    assert_same(name)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:At t = 1 the signal")
@pytest.mark.parametrize("name", [name for name in PICTURES if name not in QUICK])
def test_golden_pictures_of_every_sampler(name):
    assert_same(name)
