"""Muon: steps of hidden kernels are orthogonal, all others are AdamW's."""

import contextlib

import keras
import numpy as np
import pytest

from keras_ddpm.config import TrainingConfig
from keras_ddpm.training.optimizer import Muon, make_optimizer

pytestmark = pytest.mark.neutral
RANDOM = np.random.default_rng(0)


def variable(shape, path="block/conv_1/kernel"):
    *layers, name = path.split("/")
    with contextlib.ExitStack() as scopes:
        for layer in layers:
            scopes.enter_context(keras.name_scope(layer))
        return keras.Variable(RANDOM.normal(size=shape).astype("float32"), name=name)


def moves(optimizer, start, gradients):
    """How far each step moves a variable."""
    optimizer.build([start])
    values = [keras.ops.convert_to_numpy(start)]
    for gradient in gradients:
        optimizer.apply([keras.ops.convert_to_tensor(gradient)])
        values.append(keras.ops.convert_to_numpy(start))
    return np.diff(values, axis=0)


@pytest.mark.parametrize("shape", [(3, 3, 4, 16), (3, 3, 4, 64), (1, 1, 24, 8), (12, 20)])
def test_a_kernel_moves_by_an_orthogonal_matrix_as_far_as_adamw_would(shape):
    gradients = RANDOM.normal(size=(2, *shape)).astype("float32") * 1e-3
    steps = moves(Muon(0.01, weight_decay=None), variable(shape), gradients)
    for step in steps.reshape(2, -1, shape[-1]):
        turned = step / (0.01 * 0.2 * max(step.shape) ** 0.5)
        assert np.all(np.abs(np.linalg.svd(turned, compute_uv=False) - 1) < 0.4)
        assert 0.1 < np.sqrt(np.mean(step**2)) / 0.01 < 0.3  # Muon's 0.2, as AdamW's steps are in training
    momenta = gradients[0], 0.95 * gradients[0] + gradients[1]
    for step, gradient, momentum in zip(steps, gradients, momenta):
        rows = (gradient + 0.95 * momentum).reshape(-1, shape[-1])
        left, _, right = np.linalg.svd(rows, full_matrices=False)
        along = -step.reshape(rows.shape) / np.linalg.norm(step)
        assert np.sum(along * (left @ right)) / np.sqrt(min(rows.shape)) > 0.97  # the nearest orthogonal matrix


@pytest.mark.parametrize(
    ("path", "shape"),
    [
        ("u_net/stem/kernel", (4, 4, 1, 8)),
        ("u_net/head/kernel", (3, 3, 8, 4)),
        ("u_net/embed_label/hidden/kernel", (10, 16)),
        ("u_net/down_0_0/conv_1/bias", (8,)),
        ("u_net/norm_out/gamma", (8,)),
    ],
)
def test_the_first_layer_the_last_embeddings_and_vectors_follow_adamw(path, shape):
    gradients = RANDOM.normal(size=(2, *shape)).astype("float32")
    start = variable(shape, path)
    copy = keras.Variable(start, name="copy")
    training = TrainingConfig(optimizer="muon", learning_rate_schedule="constant")
    assert start.path.endswith(path)
    ours = moves(make_optimizer(training, steps=2), start, gradients)
    theirs = moves(make_optimizer(TrainingConfig(learning_rate_schedule="constant"), steps=2), copy, gradients)
    np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-6)
    assert np.abs(ours).min() > 0


def test_muon_is_read_back_and_goes_on_with_its_momentum():
    optimizer = make_optimizer(TrainingConfig(optimizer="muon"), steps=100)
    again = Muon.from_config(optimizer.get_config())
    assert type(optimizer) is Muon and again.get_config() == optimizer.get_config()
    gradients = RANDOM.normal(size=(3, 3, 3, 4, 8)).astype("float32")
    whole = variable((3, 3, 4, 8))
    part = keras.Variable(whole, name="kernel")
    moves(optimizer, whole, gradients)
    rest = make_optimizer(TrainingConfig(optimizer="muon"), steps=100)
    moves(again, part, gradients[:2])
    rest.build([part])
    for ours, theirs in zip(rest.variables, again.variables, strict=True):
        ours.assign(theirs)
    rest.apply([keras.ops.convert_to_tensor(gradients[2])])
    np.testing.assert_allclose(part, whole, rtol=1e-6)
