"""The shipped model: it draws the digit that was asked for, and the law of the seeds holds with its own weights."""

import numpy as np
import pytest

from keras_ddpm import api, presets
from keras_ddpm.evaluation.judges.classifier import load_classifier

DIGITS = np.arange(256, dtype="int32") % 10


def test_the_shipped_model_draws_the_digit_asked_for():
    images = api.sample(DIGITS[:50], seed=np.arange(50))[..., None]
    probabilities, _ = load_classifier()(images)
    assert np.mean(probabilities.argmax(axis=1) == DIGITS[:50]) >= 0.98


def test_guidance_makes_the_shipped_model_obey():
    classifier, right = load_classifier(), {}
    for w in (0.0, 1.0):
        images = api.sample(DIGITS[:50], w, seed=np.arange(50))[..., None]
        right[w] = np.mean(classifier(images)[0].argmax(axis=1) == DIGITS[:50])
    assert right[0.0] < 0.3 and right[1.0] > 0.9  # w = 0 is chance


@pytest.mark.slow
@pytest.mark.parametrize("sampler", ["ddpm", "ddim", "dpm_solver_pp_2m", "dpm_solver_pp_2m_sde"])
def test_the_law_of_the_seeds_holds_for_the_shipped_model(sampler):
    generator = presets.load_preset("mnist", sampler=sampler, guidance_interval=(0.0, np.inf))
    w, seeds = np.resize([0.0, 1.0, 2.0, 7.0], 256), np.arange(256) * 2**55
    whole = generator.sample(DIGITS, w, seeds)["image"]
    for chosen in ([0], [255], [3, 254, 3], [7, 1, 130]):
        alone = generator.sample(DIGITS[chosen], w[chosen], seeds[chosen])["image"]
        np.testing.assert_allclose(alone, whole[chosen], atol=1e-4)
