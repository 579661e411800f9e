"""TensorFlow and JAX: the same loss, the same sampled path, the same weights file."""

import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from backend_probe import probe

HERE = Path(__file__).parent


@pytest.mark.slow
def test_tensorflow_and_jax_agree_on_the_loss_and_on_a_sampled_path(small_preset, tmp_path):
    other = "jax" if keras.backend.backend() == "tensorflow" else "tensorflow"
    environment = {**os.environ, "KERAS_BACKEND": other, "PYTHONPATH": str(HERE.parent)}
    command = [sys.executable, str(HERE / "backend_probe.py"), str(small_preset), str(tmp_path / "other.npz")]
    subprocess.run(command, env=environment, check=True, capture_output=True)
    theirs, ours = np.load(tmp_path / "other.npz"), probe(small_preset)
    assert set(theirs) == set(ours) >= {"losses", "image", "x_T", "x_s", "x_0"}
    for name, value in ours.items():
        np.testing.assert_allclose(theirs[name], value, atol=1e-4, err_msg=name)


@pytest.mark.slow
def test_the_first_steps_of_training_agree(tmp_path):
    """Gradients are taken by each backend; with the same noise both must take the same steps."""
    code = (
        "import sys; sys.path[:0] = [{here!r}, {here!r} + '/training']; import numpy as np\n"
        "from test_ddpm import new_model, batches\n"
        "m, random = new_model(p_uncond=0.0), np.random.default_rng(1)\n"  # the backends' own initial weights differ
        "first = [0.2 * random.standard_normal(w.shape) for w in m.network.weights]\n"
        "m.network.set_weights(first); m.ema_network.set_weights(first)"
        "\nfrom keras import ops\n"
        "def call(x_0, condition, training=None):\n"
        "    eps = ops.convert_to_tensor(np.random.default_rng(0).standard_normal((16, 8, 8, 1)).astype('float32'))\n"
        "    t = ops.convert_to_tensor(((np.arange(16) * 6 + 1) / 100).astype('float32'))\n"
        "    return m.losses(m.network, x_0, {{'label': condition}}, t, eps, training=training), t\n"
        "m.call = call\n"
        "m.fit(batches(), epochs=3, verbose=0, shuffle=False)\n"
        "np.savez({out!r}, *[np.asarray(w) for w in m.network.weights + m.ema_network.weights])"
    )
    weights = {}
    for backend in ("tensorflow", "jax"):
        out = str(tmp_path / f"{backend}.npz")
        environment = {**os.environ, "KERAS_BACKEND": backend, "PYTHONPATH": str(HERE.parent)}
        subprocess.run([sys.executable, "-c", code.format(here=str(HERE), out=out)], env=environment, check=True)
        weights[backend] = np.load(out)
    for name in weights["jax"]:
        np.testing.assert_allclose(weights["tensorflow"][name], weights["jax"][name], atol=2e-3, err_msg=name)
