"""Laws of the noise: known answers, normality, and no dependence on the batch."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops
from scipy import stats

from keras_ddpm import noise

pytestmark = pytest.mark.neutral


@pytest.mark.parametrize(
    "counter, key, expected",  # the known answers of Random123 for threefry2x32, 20 rounds
    [
        ((0, 0), (0, 0), (0x6B200159, 0x99BA4EFE)),
        ((0xFFFFFFFF, 0xFFFFFFFF), (0xFFFFFFFF, 0xFFFFFFFF), (0x1CB996FC, 0xBB002BE7)),
        ((0x243F6A88, 0x85A308D3), (0x13198A2E, 0x03707344), (0xC4923A9C, 0x483DF7A0)),
    ],
)
def test_threefry_gives_the_known_answers(counter, key, expected):
    counter, key = ([ops.convert_to_tensor(np.uint32(i)) for i in pair] for pair in (counter, key))
    assert tuple(int(x) for x in noise.threefry_2x32(key, counter)) == expected


def normals(seeds, count, shape):
    """The first noises of each seed: (N, count, *shape)."""
    return np.stack([np.asarray(noise.normal(noise.split_seed(seeds), step, shape)) for step in range(count)], axis=1)


@settings(deadline=None, max_examples=20)
@given(seeds=st.lists(st.integers(0, 2**63 - 1), min_size=1, max_size=5), data=st.data())
def test_a_rows_noise_depends_on_its_seed_alone(seeds, data):
    i = data.draw(st.integers(0, len(seeds) - 1))
    together, alone = normals(seeds, 2, (5, 5, 1)), normals([seeds[i]], 2, (5, 5, 1))
    np.testing.assert_allclose(together[i], alone[0], atol=1e-6)


def test_a_steps_noise_is_the_same_for_a_number_and_for_a_tensor():
    key = noise.split_seed([5, 6])
    np.testing.assert_array_equal(
        noise.normal(key, 3, (4, 4, 1)), noise.normal(key, ops.convert_to_tensor(np.int32(3)), (4, 4, 1))
    )


def test_noise_is_standard_normal_and_uncorrelated():
    z = normals(np.arange(40), 4, (28, 28, 1)).reshape(160, -1)
    assert stats.kstest(z.ravel(), "norm").pvalue > 1e-3
    correlation = np.corrcoef(z) - np.eye(len(z))
    assert np.abs(correlation).max() < 5.5 / np.sqrt(z.shape[1])
    halves = np.corrcoef(z[:, : z.shape[1] // 2].ravel(), z[:, z.shape[1] // 2 :].ravel())[0, 1]
    assert abs(halves) < 5 / np.sqrt(z.size / 2)


def test_neighbouring_and_huge_seeds_differ():
    seeds = [0, 1, 2**32, 2**32 + 1, 2**63 - 1]
    z = np.asarray(noise.normal(noise.split_seed(seeds), 0, (4, 4, 1))).reshape(len(seeds), -1)
    assert len(np.unique(z[:, 0])) == len(seeds)


def test_odd_sizes_have_their_shape():
    assert noise.normal(noise.split_seed([1, 2]), 2, (3, 3, 1)).shape == (2, 3, 3, 1)
