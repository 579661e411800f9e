"""The best of several: candidates follow from the seed, the judge's favourite is drawn, and its seed draws it again."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import keras_ddpm
from keras_ddpm import rejection
from keras_ddpm.checks.sampling import MAX_SEED

SEEDS = st.lists(st.integers(0, MAX_SEED), min_size=1, max_size=5, unique=True)


def brightest(images, digit):
    return images.mean(axis=(1, 2, 3))


@pytest.fixture(scope="module")
def sample(small_preset):
    return lambda *args, **kwargs: keras_ddpm.sample(*args, **{"preset": small_preset, "steps": 2, **kwargs})


@given(SEEDS, st.integers(1, 20))
def test_candidates_are_seeds_of_their_own_the_first_being_the_seed(seeds, best_of):
    seeds = np.array(seeds, "int64")
    found = rejection.candidates(seeds, best_of)
    assert found.shape == (len(seeds), best_of) and found.dtype == np.int64 and found.min() >= 0
    np.testing.assert_array_equal(found[:, 0], seeds)
    assert len(set(found.ravel().tolist())) == found.size
    np.testing.assert_array_equal(rejection.candidates(seeds[-1], best_of), found[-1])  # alone as among others
    np.testing.assert_array_equal(rejection.candidates(seeds, best_of + 1)[:, :-1], found)


def test_candidates_do_not_change():
    assert rejection.candidates(np.array(7), 3).tolist() == [7, 8649145717113599673, 565872648703224619]


@given(st.integers(0, 2**32 - 1), st.integers(1, 4), st.integers(1, 5))
def test_the_best_has_the_highest_score_and_of_equals_the_first(seed, N, K):
    images = np.random.default_rng(seed).integers(0, 3, (N, K, 1, 1, 1)).astype("uint8")
    chosen = rejection.best(images, np.arange(N), brightest)
    for row, k in zip(images.reshape(N, K), chosen):
        assert row[k] == row.max() and not (row[:k] == row.max()).any()


def test_the_judge_is_asked_for_the_digit_that_was_wanted():
    images = np.arange(6, dtype="uint8").reshape(2, 3, 1, 1, 1)
    wanted = rejection.best(images, np.array([1, 5]), lambda images, digit: -abs(images[:, 0, 0, 0] - 1.0 * digit))
    assert wanted.tolist() == [1, 2]


def test_the_favourite_is_drawn_and_its_seed_draws_it_again(sample):
    image, seed = sample([3, 7], 2.0, seed=[1, 2], best_of=4, judge=brightest, return_seeds=True)
    tried = rejection.candidates(np.array([1, 2]), 4)
    drawn = np.stack([sample([3] * 4, 2.0, seed=tried[0]), sample([7] * 4, 2.0, seed=tried[1])])
    best = drawn.mean(axis=(2, 3)).argmax(axis=1)
    np.testing.assert_array_equal(seed, tried[[0, 1], best])
    assert np.abs(image.astype(int) - drawn[[0, 1], best]).max() <= 1
    assert np.abs(sample([3, 7], 2.0, seed=seed).astype(int) - image).max() <= 1


@pytest.mark.parametrize("judge", ["classifier", "clip"])
def test_the_shipped_judges_choose_real_digits_over_others(judge, mnist):
    images, labels = mnist["test"]
    others = np.stack([images[(labels == d).argmax()] for d in range(10)])  # a real one of each digit
    for digit in range(10):
        assert rejection.best(others[None], np.array([digit]), judge) == digit


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        ({"best_of": 0}, r"`best_of` must be an integer in 1..1000. Received: 0"),
        ({"best_of": 2.0}, r"`best_of` must be an integer"),
        ({"best_of": True}, r"`best_of` must be an integer"),
        ({"best_of": 1001}, r"`best_of` must be an integer"),
        ({"best_of": 2, "judge": "me"}, r"`judge` must be one of"),
    ],
)
def test_what_cannot_be_chosen_by_is_an_error_before_any_work(sample, arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        sample(3, **arguments)


def test_a_judge_of_digits_refuses_other_images_before_any_work():
    with pytest.raises(ValueError, match="`judge` 'clip' knows digits of 28 x 28 pixels"):
        rejection.check(2, "clip", (8, 8, 1), 10)
    rejection.check(2, brightest, (8, 8, 1), 10)
    rejection.check(1, "classifier", (8, 8, 1), 10)  # of one candidate none is chosen


@pytest.mark.parametrize("scores", [np.zeros(3), np.full(4, np.nan)])
def test_a_judge_must_return_a_finite_number_for_each_image(scores):
    with pytest.raises(ValueError, match="`judge` must return one finite number for each of 4 images"):
        rejection.best(np.zeros((2, 2, 1, 1, 1), "uint8"), np.arange(2), lambda images, digit: scores)
