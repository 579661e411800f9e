"""One loss and one sampled path on the current Keras backend: python backend_probe.py PRESET OUT.npz"""

import sys

import numpy as np


def probe(preset):
    """dict of arrays that must not depend on the backend."""
    from keras_ddpm.presets import load_preset
    from keras_ddpm.training.ddpm import DDPM

    loaded, random = load_preset(preset), np.random.default_rng(0)
    x_0, eps = random.uniform(-1, 1, (4, 28, 28, 1)), random.standard_normal((4, 28, 28, 1))
    t, label = np.array([1, 11, 31, 50], "float32") / 50, np.array([0, 5, 9, 10], "int32")
    model = DDPM(loaded.network, loaded.diffusion)
    losses = model.losses(loaded.network, x_0.astype("float32"), {"label": label}, t, eps.astype("float32"))
    path = loaded.path([1, 2, 3], [0.0, 1.0, 3.0], [7, 8, 2**50])
    return {"losses": np.asarray(losses), **path}


if __name__ == "__main__":
    np.savez(sys.argv[2], **probe(sys.argv[1]))
