"""A network computed in parts of a batch is the network, with its gradients; cores are claimed before any work."""

import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import ops

from keras_ddpm import Diffusion, Label, UNet
from keras_ddpm.networks.call import in_parts, predict
from keras_ddpm.schedules import cosine
from keras_ddpm.training.ddpm import DDPM
from keras_ddpm.training.distribution.side_by_side import claim_cores

TENSORFLOW = keras.backend.backend() == "tensorflow"


@pytest.fixture(scope="module")
def network():
    keras.utils.set_random_seed(3)
    made = UNet((8, 8, 1), {"label": Label(3)}, widths=(8, 8), depths=(1, 1), embed_dim=8, heads=2)
    made.build()
    for weight in made.weights:  # the head of a new network is zero
        weight.assign(weight + 0.1 * keras.random.normal(weight.shape, seed=5))
    return made


def batch(n):
    random = np.random.default_rng(0)
    x_t, t = random.normal(size=(n, 8, 8, 1)).astype("float32"), random.uniform(0.1, 1, n).astype("float32")
    return x_t, t, {"label": (np.arange(n) % 4).astype("int32")}


@pytest.mark.parametrize("n, parts", [(4, 2), (5, 2), (5, 3), (2, 4)])
def test_a_prediction_in_parts_is_the_prediction(network, n, parts):
    x_t, t, condition = batch(n)
    whole = predict(network, x_t, t, condition)
    with in_parts(parts):
        found = predict(network, x_t, t, condition)
    assert np.ptp(whole) > 0.1
    np.testing.assert_allclose(found, whole, atol=1e-5)


@pytest.mark.parametrize("parts", [1, 2])
def test_a_batch_of_none_has_a_prediction_of_none(network, parts):
    with in_parts(parts):
        assert predict(network, *batch(0)).shape == (0, 8, 8, 1)


def test_each_part_is_a_call_and_none_outside(network, monkeypatch):
    seen = []
    monkeypatch.setattr(network, "call", lambda x_t, *given, **named: seen.append(len(x_t)) or x_t)
    with in_parts(2):
        predict(network, *batch(5))
    predict(network, *batch(5))
    assert seen == [2, 3, 5]


def test_gradients_in_parts_are_the_gradients(network):
    model = DDPM(network, Diffusion(cosine(1000)), ema_decay=0)
    model.compile(optimizer="sgd")
    x_t, t, condition = batch(6)

    def gradients():
        def loss():
            return ops.mean(ops.square(predict(network, x_t, t, condition, training=True) - 1.0)), ()

        return [np.asarray(g) for g in model.gradients(loss, network.trainable_variables)[0]]

    whole = gradients()
    with in_parts(3):
        found = gradients()
    assert max(np.abs(g).max() for g in whole) > 1e-3
    for ours, theirs in zip(found, whole, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_a_network_of_inputs_and_outputs_is_computed_in_parts_too():
    inputs = {
        "x_t": keras.Input((4, 4, 1), name="x_t"),
        "t": keras.Input((), name="t"),
        "label": keras.Input((), dtype="int32", name="label"),
    }
    functional = keras.Model(inputs, inputs["x_t"] * ops.reshape(inputs["t"], (-1, 1, 1, 1)))
    x_t, t = np.ones((3, 4, 4, 1), "float32"), np.array([0.1, 0.2, 0.3], "float32")
    with in_parts(2):
        found = predict(functional, x_t, t, {"label": np.zeros(3, "int32")})
    np.testing.assert_allclose(found, x_t * t[:, None, None, None])


@pytest.mark.skipif(not TENSORFLOW, reason="of TensorFlow's graphs")
@pytest.mark.parametrize("n", [1, 3])
def test_a_graph_of_any_batch_computes_parts_and_gradients(network, n):
    import tensorflow as tf

    x_t, t, condition = batch(n)
    free = [tf.TensorSpec((None, *array.shape[1:]), array.dtype) for array in (x_t, t, condition["label"])]
    weight = network.trainable_variables[0].value

    def step(x_t, t, label):
        with tf.GradientTape() as tape:
            y = predict(network, x_t, t, {"label": label}, training=True)
            loss = tf.reduce_sum(y**2)
        return y, tape.gradient(loss, weight)

    with in_parts(2):
        found = tf.function(step, input_signature=free)(x_t, t, condition["label"])
    for ours, theirs in zip(found, step(x_t, t, condition["label"]), strict=True):
        assert np.ptp(theirs) > 1e-3
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4)


@pytest.mark.skipif(not TENSORFLOW, reason="of TensorFlow's threads")
def test_a_placement_with_parts_claims_cores_and_splits_batches():
    """In a process of its own, since threads are set once."""
    program = (
        "from keras_ddpm.config import Devices\nfrom keras_ddpm.networks.call import PARTS\n"
        "from keras_ddpm.training.distribution.cluster import resolve\n"
        "from keras_ddpm.training.distribution.devices import Placement\nimport tensorflow as tf\n"
        "placement = Placement(resolve(Devices(parts=2), {}))\nseen = [PARTS.get()]\n"
        "with placement.scope():\n    seen.append(PARTS.get())\nseen.append(PARTS.get())\n"
        "threads = tf.config.threading\n"
        "print(seen, threads.get_intra_op_parallelism_threads(), threads.get_inter_op_parallelism_threads())\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip().splitlines()[-1] == "[1, 2, 1] 1 2"


@pytest.mark.skipif(not TENSORFLOW, reason="of TensorFlow's threads")
def test_cores_are_claimed_before_tensorflow_computes():
    claim_cores(1)  # nothing to do
    ops.convert_to_numpy(ops.zeros(1) + 1)
    with pytest.raises(ValueError, match=r"`parts` must be set before anything is computed .* Received: 3"):
        claim_cores(3)


@pytest.mark.skipif(TENSORFLOW, reason="what other backends are refused")
def test_parts_are_refused_on_other_backends():
    with pytest.raises(ValueError, match="`parts` are for TensorFlow: with KERAS_BACKEND=jax use `devices`"):
        claim_cores(2)
