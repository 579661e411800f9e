"""The blocks' normalisation in two passes is Keras's GroupNormalization, scaled and shifted."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers, ops

from keras_ddpm.networks.blocks import normalize

pytestmark = pytest.mark.neutral


def norm_of(channels, groups, random, *, affine=True):
    norm = layers.GroupNormalization(groups, epsilon=1e-5, scale=affine, center=affine)
    norm.build((None, None, None, channels))
    for weight in norm.trainable_variables:
        weight.assign(random.normal(size=channels))
    return norm


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from([1, 2, 4, 8]),
    st.booleans(),
    st.booleans(),
    st.floats(-5, 5),
    st.floats(0.1, 10),
)
def test_it_is_group_normalisation_then_film(seed, groups, affine, film, deviations, deviation):
    random = np.random.default_rng(seed)
    norm = norm_of(8, groups, random, affine=affine)
    x = (deviation * (deviations + random.normal(size=(3, 5, 4, 8)))).astype("float32")
    scale, shift = random.normal(size=(2, 3, 8)).astype("float32") if film else (None, None)
    expected = ops.convert_to_numpy(norm(x))
    if film:
        expected = expected * (1 + scale[:, None, None]) + shift[:, None, None]
    np.testing.assert_allclose(normalize(norm, ops.convert_to_tensor(x), scale, shift), expected, atol=2e-4)


def test_it_is_float32_and_finite_on_an_image_of_one_colour():
    norm = norm_of(8, 4, np.random.default_rng(0))
    one_colour = ops.cast(ops.full((2, 5, 4, 8), 3.3), "bfloat16")
    image = normalize(norm, one_colour)
    assert keras.backend.standardize_dtype(image.dtype) == "float32"
    np.testing.assert_allclose(image, np.broadcast_to(norm.beta, image.shape), atol=1e-2)
