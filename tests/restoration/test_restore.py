"""Laws of `keras_ddpm.restore`: known pixels come back, an image depends on its own row, bad input is one error."""

import keras
import numpy as np
import pytest
from keras import ops

import keras_ddpm
from keras_ddpm.networks.build import build_network
from keras_ddpm.restoration import operators
from keras_ddpm.restoration.operators import Operator

pytestmark = pytest.mark.neutral

IMAGES = np.random.default_rng(0).integers(0, 256, (3, 28, 28), dtype="uint8")
HALF = np.arange(28)[None, :] + np.zeros((28, 1)) >= 14  # the right half is missing


@pytest.fixture(scope="module")
def restore(small_preset):
    return lambda image, **given: keras_ddpm.restore(
        image, **{"preset": small_preset, "steps": 4, "repeats": 1} | given
    )


@pytest.mark.parametrize("digit", [None, 3])
@pytest.mark.parametrize("steps, repeats", [(1, 1), (4, 1), (5, 2)])
def test_known_pixels_come_back_to_the_grey_level(restore, digit, steps, repeats):
    grey = np.resize(np.arange(256, dtype="uint8"), (28, 28))  # every grey level
    image = restore(grey, mask=HALF, digit=digit, seed=1, steps=steps, repeats=repeats)
    np.testing.assert_array_equal(image[~HALF], grey[~HALF])
    assert image.dtype == np.uint8 and np.any(image[HALF] != grey[HALF])


def test_what_a_mask_hides_does_not_matter(restore):
    hidden = np.where(HALF, 255 - IMAGES[0], IMAGES[0])
    np.testing.assert_array_equal(restore(hidden, mask=HALF, seed=1), restore(IMAGES[0], mask=HALF, seed=1))


@pytest.mark.parametrize(
    "scale",
    [
        2,
        pytest.param(4, marks=pytest.mark.slow),
        7,
        *(pytest.param(scale, marks=pytest.mark.slow) for scale in (14, 28)),
    ],
)
def test_the_averages_of_a_larger_picture_are_the_small_one(restore, scale):
    small = np.random.default_rng(scale).integers(64, 192, (28 // scale,) * 2, dtype="uint8")
    image = restore(small, scale=scale, digit=5, seed=0)
    inside = (image > 0) & (image < 255)  # where a pixel is clipped, the average is lost
    squares = lambda a: a.reshape(28 // scale, scale, 28 // scale, scale).swapaxes(1, 2)  # noqa: E731
    fine = squares(inside).all(axis=(2, 3))
    np.testing.assert_allclose(squares(image).mean(axis=(2, 3))[fine], small[fine], atol=0.51)
    assert image.shape == (28, 28) and image.std() > 0


def test_an_image_is_the_same_alone_and_at_any_place_in_a_batch(restore):
    masks, digits, seeds = np.stack([HALF, ~HALF, HALF.T]), [1, 8, 3], [5, 2**62, 7]
    together = restore(IMAGES, mask=masks, digit=digits, w=[0.0, 1.0, 3.0], seed=seeds).astype(int)
    for i in range(3):
        alone = restore(IMAGES[i], mask=masks[i], digit=digits[i], w=[0.0, 1.0, 3.0][i], seed=seeds[i])
        assert np.abs(alone - together[i]).max() <= 1
    turned = restore(IMAGES[::-1], mask=masks[::-1], digit=digits[::-1], w=[3.0, 1.0, 0.0], seed=seeds[::-1])
    assert np.abs(turned[::-1] - together).max() <= 1


def test_n_restorations_have_the_seeds_that_follow(restore):
    images, seeds = restore(IMAGES[0], mask=HALF, seed=5, n=3, return_seeds=True)
    assert images.shape == (3, 28, 28) and seeds.tolist() == [5, 6, 7]
    again = restore(IMAGES[0], mask=HALF, seed=seeds)
    assert np.abs(images.astype(int) - again).max() <= 1 and np.any(images[0] != images[1])
    assert restore(IMAGES, mask=HALF, n=2, seed=0).shape == (3, 2, 28, 28)


def test_fresh_seeds_differ_and_draw_the_same_images_again(restore):
    images, seeds = restore(IMAGES[:2], mask=HALF, return_seeds=True)
    assert len(set(seeds.tolist())) == 2
    np.testing.assert_array_equal(restore(IMAGES[:2], mask=HALF, seed=seeds), images)


def test_an_unknown_digit_is_the_null_and_differs_from_every_digit(restore):
    unknown = restore(IMAGES[0], mask=HALF, seed=1)
    known = restore(IMAGES[0], mask=HALF, seed=1, digit=range(10))
    assert known.shape == (10, 28, 28) and all(np.any(image != unknown) for image in known)
    ignored = restore(IMAGES[0], mask=HALF, seed=1, digit=range(10), w=0.0).astype(int)  # w = 0 is unconditional
    assert np.abs(ignored - unknown).max() <= 1


def test_masks_may_be_bool_or_of_0_and_255_or_of_0_and_1(restore):
    expected = restore(IMAGES[0], mask=HALF, seed=1)
    for mask in (HALF.astype("uint8") * 255, HALF.astype(int), HALF.astype("float32")):
        np.testing.assert_array_equal(restore(IMAGES[0], mask=mask, seed=1), expected)


def test_a_last_axis_of_one_channel_may_be_there_or_not(restore):
    expected = restore(IMAGES, mask=HALF, seed=1)
    np.testing.assert_array_equal(restore(IMAGES[..., None], mask=HALF[..., None], seed=1), expected)


def test_an_operator_of_ones_own_is_obeyed(restore):
    rows = Operator(lambda x: x[:, ::2], lambda y: ops.reshape(ops.stack([y, 0 * y], axis=2), (-1, 28, 28, 1)))
    image = restore(IMAGES[0, ::2], operator=rows, seed=1)
    np.testing.assert_array_equal(image[::2], IMAGES[0, ::2])
    mask = np.arange(28)[:, None] % 2 + np.zeros((1, 28)) == 1
    assert np.abs(image.astype(int) - restore(IMAGES[0], mask=mask, seed=1)).max() <= 1
    floats = IMAGES[0, ::2, :, None].astype("float32") / 127.5 - 1
    np.testing.assert_array_equal(restore(floats, operator=rows, seed=1), image)


def test_a_coloured_picture_keeps_its_grey_one(tmp_path):
    from conftest import randomise

    from keras_ddpm import config, presets
    from keras_ddpm.saving.weights import write_weights

    small = config.Config(
        name="colour",
        network=config.NetworkConfig(widths=(8,), depths=(1,), attention=(False,), embed_dim=16, groups=4),
        diffusion=config.DiffusionConfig(T=20),
        sampling=config.SamplingConfig(sampler="ddpm", steps=2, guidance_interval=None),
    )
    network = build_network(small, (8, 8, 3), 4)
    randomise(network)
    presets.write_config(tmp_path, small, (8, 8, 3), 4)
    write_weights(network, tmp_path / presets.WEIGHTS)
    grey = np.random.default_rng(0).integers(90, 160, (8, 8), dtype="uint8")
    image = keras_ddpm.restore(grey, operator=operators.colorization(), seed=1, preset=tmp_path)
    inside = np.all((image > 0) & (image < 255), axis=-1)
    assert image.shape == (8, 8, 3) and np.ptp(image, axis=-1).max() > 0 and inside.any()
    np.testing.assert_allclose(image.mean(axis=-1)[inside], grey[inside], atol=0.7)


def test_a_noisy_measurement_is_kept_less_the_more_noise_it_has(restore):
    errors = [
        np.abs(restore(IMAGES[0], mask=HALF, seed=1, noise=sigma).astype(float) - IMAGES[0])[~HALF].mean()
        for sigma in (0, 20, 100, 1e5)
    ]
    assert errors[0] == 0 and errors == sorted(errors) and errors[-1] > errors[1] > 0


A = Operator(lambda x: x[:, ::2], lambda y: ops.repeat(y, 2, axis=1))
NONE, ALL = np.zeros((28, 28), bool), np.ones((28, 28), bool)


@pytest.mark.parametrize(
    "given, message",
    [
        ({}, "exactly one of `mask`, `scale`, `operator`. Received: none"),
        ({"mask": HALF, "scale": 2}, "Received: mask, scale"),
        ({"scale": 2, "operator": A}, "Received: scale, operator"),
        ({"mask": HALF[:14]}, r"`mask` must be \(28, 28\).*Received: \(14, 28\)"),
        ({"mask": HALF[None, None]}, r"Received: \(1, 1, 28, 28\)"),
        ({"mask": NONE}, "one where nothing is missing"),
        ({"mask": ALL}, "one where all is missing"),
        ({"mask": np.stack([HALF, ALL])}, "one where all is missing"),
        ({"mask": HALF * 128}, "True .or 255. where a pixel is missing.*2 values up to 128"),
        ({"mask": HALF.astype(str)}, "`mask` must be True"),
        ({"mask": np.where(HALF, np.nan, 0.0)}, "`mask` must be True"),
        ({"mask": np.stack([HALF] * 2), "image": IMAGES}, "must broadcast together"),
        ({"mask": HALF, "image": IMAGES[0, :20]}, r"`image` must be \(28, 28\).*Received: \(20, 28\)"),
        ({"mask": HALF, "image": IMAGES[:0]}, r"Received: \(0, 28, 28\)"),
        ({"mask": HALF, "image": IMAGES[0] / 255}, "`image` must be uint8. Received: float64"),
        ({"mask": HALF, "image": [[1, 2], [3]]}, "`image` must be uint8"),
        ({"scale": 3}, r"`scale` must divide the 28 x 28 pixels: one of \[2, 4, 7, 14, 28\]. Received: 3"),
        ({"scale": 2.0}, "`scale` must divide"),
        ({"scale": 1}, "`scale` must divide"),
        ({"scale": 2, "image": IMAGES[0]}, r"`image` must be \(14, 14\), 1 / 2 of .*Received: \(28, 28\)"),
        ({"mask": HALF, "noise": -1}, "`noise` must be a finite number >= 0, in grey levels. Received: -1"),
        ({"mask": HALF, "noise": float("nan")}, "`noise` must be"),
        ({"mask": HALF, "noise": "much"}, "`noise` must be"),
        ({"mask": HALF, "n": 0}, "`n` must be an integer >= 1. Received: 0"),
        ({"mask": HALF, "repeats": 1.5}, "`repeats` must be an integer >= 1. Received: 1.5"),
        ({"mask": HALF, "steps": 51}, r"`steps` must be an integer in 1\.\.50. Received: 51"),
        ({"mask": HALF, "steps": 0}, "`steps` must be"),
        ({"mask": HALF, "digit": 10}, r"`digit` must be in 0\.\.9"),
        ({"mask": HALF, "digit": -1}, r"`digit` must be in 0\.\.9"),
        ({"mask": HALF, "w": 2.0}, "`w` must be None without a `digit`"),
        ({"mask": HALF, "digit": 3, "w": np.inf}, "`w` must be finite"),
        ({"mask": HALF, "seed": -1}, "`seed` must be in"),
        ({"mask": HALF, "seed": 2**63 - 1, "n": 2}, r"`seed` \+ `n` - 1"),
        ({"mask": HALF, "image": IMAGES, "digit": [1, 2]}, "must broadcast together"),
        ({"mask": HALF, "preset": "nothing"}, "`preset` must be one of"),
        ({"operator": 3}, "`operator` must be a pair of functions"),
        (
            {"operator": (lambda x: x[0], lambda y: y)},
            "A must return a measurement with the batch first|A. must return",
        ),
        ({"operator": (lambda x: x[:, ::2], lambda y: y)}, r"A\+ must return images \(1, 28, 28, 1\)"),
        ({"operator": (lambda x: x**2, lambda y: y)}, "A must be linear"),
        ({"operator": (lambda x: x[:, ::2], lambda y: 2 * ops.repeat(y, 2, axis=1))}, r"A A\+ A must be A"),
        ({"operator": A, "image": IMAGES[0]}, r"`image` must be \(14, 28\), as A of the operator"),
        ({"operator": A, "image": np.full((14, 28), np.nan)}, "`image` must be uint8 or float and finite"),
    ],
)
def test_bad_input_is_one_clear_error_before_any_work(restore, given, message, monkeypatch):
    monkeypatch.setattr("keras_ddpm.restoration.api.in_batches", lambda *args, **kwargs: pytest.fail("it was drawn"))
    with pytest.raises(ValueError, match=message):
        restore(given.get("image", IMAGES[0]), **{k: v for k, v in given.items() if k != "image"})


def test_a_model_whose_guidance_is_baked_in_restores_at_its_own_w_only():
    with pytest.raises(ValueError, match="baked into this model"):
        keras_ddpm.restore(IMAGES[0], mask=HALF, digit=3, w=2.0, preset="mnist_fast")


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="a graph of TensorFlow's")
def test_restoring_cannot_be_traced(small_preset):
    import tensorflow as tf

    with pytest.raises(RuntimeError, match="cannot be traced"):
        tf.function(lambda: keras_ddpm.restore(IMAGES[0], mask=HALF, preset=small_preset))()
