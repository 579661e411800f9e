"""Laws of the network and its layers."""

import keras
import numpy as np
import pytest
from conftest import randomise

from keras_ddpm.conditions import Label, Scalar
from keras_ddpm.networks import blocks, embeddings
from keras_ddpm.networks.call import predict
from keras_ddpm.networks.unet import UNet

pytestmark = pytest.mark.neutral
X = np.random.default_rng(0).standard_normal((2, 6, 5, 16)).astype("float32")
E = np.random.default_rng(1).standard_normal((2, 12)).astype("float32")
TIMES, LABELS = np.array([0.01, 1.0], "float32"), np.array([3, 10], "int32")
CONDITION, NUMBERS = {"label": LABELS}, np.array([0.5, np.nan], "float32")

LAYERS = {
    "time": (lambda: embeddings.TimeEmbedding(12, "gelu", levels=100), (TIMES,)),
    "label": (lambda: embeddings.LabelEmbedding(10, 12), (LABELS,)),
    "scalar": (lambda: embeddings.ScalarEmbedding(-1.0, 2.0, 12), (NUMBERS,)),
    "block": (lambda: blocks.ResBlock(8, 4, "silu", film=True, dropout=0.1), (X, E)),
    "plain block": (lambda: blocks.ResBlock(16, 4, "gelu", film=False), (X,)),
    "attention": (lambda: blocks.SelfAttention(4, groups=2), (X,)),
}


def small_unet(**settings):
    defaults = {"widths": (8, 16), "depths": (1, 2), "attention": (False, True), "embed_dim": 16, "groups": 4}
    conditions = settings.pop("conditions", {"label": Label(10)})
    network = UNet(settings.pop("image_shape", (28, 28, 1)), conditions, **{**defaults, **settings})
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
    assert not np.array_equal(before, layer(*inputs))  # the weights had a say


@pytest.mark.parametrize("conditioning, widths", [("film", (8, 16)), ("bottleneck", (8, 16))])
def test_a_unet_round_trips_through_a_keras_file(tmp_path, conditioning, widths):
    network = small_unet(conditioning=conditioning, widths=widths)
    x = np.random.default_rng(0).standard_normal((2, 28, 28, 1)).astype("float32")
    network.save(tmp_path / "network.keras")
    twin = keras.models.load_model(tmp_path / "network.keras")
    np.testing.assert_array_equal(twin(x, TIMES, CONDITION), network(x, TIMES, CONDITION))


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
    assert network(np.zeros((2, *image_shape), "float32"), TIMES, CONDITION).shape == (2, *image_shape)


def test_the_reports_network_goes_28_14_7_4_2():
    from configs.report import get_config
    from keras_ddpm.networks.build import build_network

    network = build_network(get_config(), (28, 28, 1), 10)
    sizes = [28]
    for shrink in network.shrink:
        sizes.append(shrink.compute_output_shape((None, sizes[-1], sizes[-1], 16))[1])
    assert sizes == [28, 14, 7, 4, 2] and len(network.down) == len(network.up) == 4
    assert (network.in_blocks, network.at_bottleneck) == ("", "tc")
    assert network.settings["activation"] == "gelu" and network.settings["embed_dim"] == 128


def test_the_null_labels_embedding_is_zero_and_no_others_is():
    layer = embeddings.LabelEmbedding(10, 12)
    layer(LABELS)
    randomise(layer)
    e = np.asarray(layer(np.arange(11, dtype="int32")))
    assert np.all(e[10] == 0) and np.all(np.abs(e[:10]).max(axis=1) > 0)


def test_a_new_block_is_its_shortcut():
    np.testing.assert_allclose(blocks.ResBlock(16, 4)(X, E), X, atol=1e-6)


@pytest.mark.parametrize("conditioning", ["film", "bottleneck", "film_time", "film_label"])
def test_the_network_depends_on_time_and_class(conditioning):
    network = small_unet(conditioning=conditioning)
    x = np.repeat(np.random.default_rng(0).standard_normal((1, 28, 28, 1)), 2, axis=0).astype("float32")
    same, t_differs, label_differs = ([0.05, 0.05], [3, 3]), ([0.05, 0.5], [3, 3]), ([0.05, 0.05], [3, 4])
    timeless = conditioning == "film_label"
    for (t, label), equal in ((same, True), (t_differs, timeless), (label_differs, False)):
        y = np.asarray(network(x, np.array(t, "float32"), {"label": np.array(label, "int32")}))
        assert np.allclose(y[0], y[1], atol=1e-6) == equal


def test_images_of_a_batch_do_not_depend_on_each_other():
    network = small_unet()
    x = np.random.default_rng(0).standard_normal((3, 28, 28, 1)).astype("float32")
    t, label = np.array([0.01, 0.5, 1.0], "float32"), np.array([0, 5, 10], "int32")
    together = network(x, t, {"label": label})
    for i in range(3):
        one = slice(i, i + 1)
        np.testing.assert_allclose(network(x[one], t[one], {"label": label[one]})[0], together[i], atol=1e-5)


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
        ({"conditions": {}}, "at least one entry"),
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
    np.testing.assert_array_equal(twin(x, TIMES, CONDITION), network(x, TIMES, CONDITION))


def test_the_time_is_not_rounded_to_the_networks_precision():
    """Levels 998 and 999 of a thousand are one number in bfloat16, which would give them one embedding."""
    network = small_unet(dtype="mixed_bfloat16", levels=1000)
    e = np.asarray(network.embed_time(np.array([0.998, 0.999], "float32")), "float32")
    assert np.abs(e[0] - e[1]).max() > 0.01
    seen = []
    network.embed_time.call, call = lambda t: seen.append(t.dtype) or call(t), network.embed_time.call
    network(np.zeros((2, 28, 28, 1), "float32"), TIMES, CONDITION)
    assert [keras.backend.standardize_dtype(dtype) for dtype in seen] == ["float32"]


def test_a_level_has_the_embedding_of_the_papers_time_index():
    layer = embeddings.TimeEmbedding(12, levels=1000)
    layer.build((None,))
    randomise(layer)
    waves = embeddings.sinusoidal(np.array([0.0, 499.0, 999.0], "float32"), 12)
    expected = layer.out(layer.hidden(waves))
    np.testing.assert_allclose(layer(np.array([0.001, 0.5, 1.0], "float32")), expected, atol=1e-3)


def test_two_conditions_both_count_and_each_can_be_left_out():
    network = small_unet(conditions={"label": Label(10), "slant": Scalar(-1.0, 1.0)})
    x = np.repeat(np.random.default_rng(0).standard_normal((1, 28, 28, 1)), 4, axis=0).astype("float32")
    condition = {
        "label": np.array([3, 4, 3, 10], "int32"),
        "slant": np.array([0.2, 0.2, -0.5, np.nan], "float32"),
    }
    y = np.asarray(network(x, np.full(4, 0.5, "float32"), condition))
    assert np.all(np.isfinite(y)) and len({image.tobytes() for image in y}) == 4
    with pytest.raises(ValueError, match=r"must hold \['label', 'slant'\]. Received: \['label'\]"):
        network(x, np.full(4, 0.5, "float32"), {"label": condition["label"]})


def test_the_null_of_a_scalar_is_embedded_as_zero():
    layer = embeddings.ScalarEmbedding(0.0, 1.0, 12)
    layer.build((None,))
    randomise(layer)
    e = np.asarray(layer(np.array([np.nan, 0.0, 1.0], "float32")))
    assert np.all(e[0] == 0) and np.abs(e[1:]).max(axis=1).min() > 0 and np.abs(e[1] - e[2]).max() > 0.01


def test_a_functional_model_is_called_by_the_names_of_its_inputs():
    inputs = {
        "x_t": keras.Input((4, 4, 1), name="x_t"),
        "t": keras.Input((), name="t"),
        "label": keras.Input((), dtype="int32", name="label"),
    }
    outputs = inputs["x_t"] * keras.ops.reshape(inputs["t"], (-1, 1, 1, 1))
    network = keras.Model(inputs, outputs + 0.0 * keras.ops.cast(inputs["label"][:, None, None, None], "float32"))
    x = np.ones((2, 4, 4, 1), "float32")
    np.testing.assert_allclose(predict(network, x, TIMES, CONDITION)[:, 0, 0, 0], TIMES)
