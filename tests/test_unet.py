"""Laws of the network and its layers."""

import keras
import numpy as np
import pytest
from conftest import randomise

from keras_ddpm import blocks
from keras_ddpm.unet import UNet

pytestmark = pytest.mark.neutral
X = np.random.default_rng(0).standard_normal((2, 6, 5, 16)).astype("float32")
E = np.random.default_rng(1).standard_normal((2, 12)).astype("float32")
TIMES, LABELS = np.array([0, 99], "int32"), np.array([3, 10], "int32")

LAYERS = {
    "time": (lambda: blocks.TimeEmbedding(12, "gelu"), (TIMES,)),
    "label": (lambda: blocks.LabelEmbedding(10, 12), (LABELS,)),
    "block": (lambda: blocks.ResBlock(8, 4, "silu", film=True, dropout=0.1), (X, E)),
    "plain block": (lambda: blocks.ResBlock(16, 4, "gelu", film=False), (X,)),
    "attention": (lambda: blocks.SelfAttention(4, groups=2), (X,)),
}


def small_unet(**settings):
    defaults = {"widths": (8, 16), "depths": (1, 2), "attention": (False, True), "embed_dim": 16, "groups": 4}
    network = UNet(settings.pop("image_shape", (28, 28, 1)), 10, **{**defaults, **settings})
    network.build()
    randomise(network)
    return network


@pytest.mark.parametrize("name", LAYERS)
def test_every_layer_round_trips(name):
    make, inputs = LAYERS[name]
    layer = make()
    before = layer(*inputs)
    twin = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    twin(*inputs)
    randomise(layer)
    twin.set_weights(layer.get_weights())
    assert twin.get_config() == layer.get_config()
    np.testing.assert_array_equal(twin(*inputs), layer(*inputs))
    assert not np.array_equal(before, layer(*inputs))  # the weights were heard


@pytest.mark.parametrize("conditioning, widths", [("film", (8, 16)), ("bottleneck", (8, 16))])
def test_a_unet_round_trips_through_a_keras_file(tmp_path, conditioning, widths):
    network = small_unet(conditioning=conditioning, widths=widths)
    x = np.random.default_rng(0).standard_normal((2, 28, 28, 1)).astype("float32")
    network.save(tmp_path / "network.keras")
    twin = keras.models.load_model(tmp_path / "network.keras")
    np.testing.assert_array_equal(twin(x, TIMES, LABELS), network(x, TIMES, LABELS))


@pytest.mark.parametrize(
    "image_shape, patch, levels",
    [
        ((28, 28, 1), 1, 5),
        ((28, 28, 1), 2, 2),
        ((7, 9, 3), 1, 3),
        ((5, 12, 2), 2, 2),
        ((32, 32, 3), 4, 2),
        ((1, 1, 1), 1, 2),
    ],
)
def test_the_output_has_the_shape_of_the_image(image_shape, patch, levels):
    network = small_unet(
        image_shape=image_shape, patch=patch, widths=(8,) * levels, depths=(1,) * levels, attention=(False,) * levels
    )
    assert network(np.zeros((2, *image_shape), "float32"), TIMES, LABELS).shape == (2, *image_shape)


def test_the_reports_network_goes_28_14_7_4_2():
    from configs.report import get_config
    from keras_ddpm.presets import build_network

    network = build_network(get_config(), (28, 28, 1), 10)
    sizes = [28]
    for shrink in network.shrink:
        sizes.append(shrink.compute_output_shape((None, sizes[-1], sizes[-1], 16))[1])
    assert sizes == [28, 14, 7, 4, 2] and len(network.down) == len(network.up) == 4
    assert (network.in_blocks, network.at_bottleneck) == ("", "tc")
    assert network.settings["activation"] == "gelu" and network.settings["embed_dim"] == 128


def test_the_null_labels_embedding_is_zero_and_no_others_is():
    layer = blocks.LabelEmbedding(10, 12)
    layer(LABELS)
    randomise(layer)
    e = np.asarray(layer(np.arange(11, dtype="int32")))
    assert np.all(e[10] == 0) and np.all(np.abs(e[:10]).max(axis=1) > 0)


def test_a_new_block_is_its_shortcut():
    np.testing.assert_allclose(blocks.ResBlock(16, 4)(X, E), X, atol=1e-6)


@pytest.mark.parametrize("conditioning", ["film", "bottleneck", "film_time", "film_label"])
def test_the_network_hears_time_and_class(conditioning):
    network = small_unet(conditioning=conditioning)
    x = np.repeat(np.random.default_rng(0).standard_normal((1, 28, 28, 1)), 2, axis=0).astype("float32")
    same, t_differs, label_differs = ([5, 5], [3, 3]), ([5, 50], [3, 3]), ([5, 5], [3, 4])
    deaf_to_time = conditioning == "film_label"
    for (t, label), equal in ((same, True), (t_differs, deaf_to_time), (label_differs, False)):
        y = np.asarray(network(x, np.array(t, "int32"), np.array(label, "int32")))
        assert np.allclose(y[0], y[1], atol=1e-6) == equal


def test_images_of_a_batch_do_not_hear_each_other():
    network = small_unet()
    x = np.random.default_rng(0).standard_normal((3, 28, 28, 1)).astype("float32")
    t, label = np.array([1, 50, 99], "int32"), np.array([0, 5, 10], "int32")
    together = network(x, t, label)
    for i in range(3):
        np.testing.assert_allclose(network(x[i : i + 1], t[i : i + 1], label[i : i + 1])[0], together[i], atol=1e-5)


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"widths": (8, 16, 32)}, "one entry for each level"),
        ({"conditioning": "cross"}, "conditioning"),
        ({"conditioning": "bottleneck", "embed_dim": 32}, "last width"),
        ({"groups": 3}, "must divide"),
        ({"heads": 5}, "heads"),
        ({"image_shape": (28, 28)}, "image_shape"),
        ({"embed_dim": 7}, "even"),
    ],
)
def test_sizes_that_do_not_fit_are_named(settings, message):
    with pytest.raises(ValueError, match=message):
        small_unet(**settings)


def test_every_layer_follows_the_networks_policy_whatever_the_global_one():
    network = small_unet(dtype="mixed_bfloat16")
    policies = {layer.dtype_policy.name for layer in network._flatten_layers(include_self=False)}
    assert policies == {"mixed_bfloat16", "float32"} and network.head.dtype_policy.name == "float32"
    assert network.stem.compute_dtype == network.down[0][0][0].conv_1.compute_dtype == "bfloat16"
    twin = UNet.from_config(network.get_config())
    twin.build()
    twin.set_weights(network.get_weights())
    x = np.random.default_rng(0).standard_normal((2, 28, 28, 1)).astype("float32")
    np.testing.assert_array_equal(twin(x, TIMES, LABELS), network(x, TIMES, LABELS))
