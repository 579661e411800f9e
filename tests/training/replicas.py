"""Two steps of training on some devices: python replicas.py OBJECTIVE OUT.npz DEVICES [COORDINATOR PROCESSES PROCESS]

DEVICES is "all", or several numbers joined by commas, one training each; 0 trains without any distribution.
"""

import sys

import keras
import numpy as np

from keras_ddpm import schedules
from keras_ddpm.conditions import Label
from keras_ddpm.config import Devices
from keras_ddpm.data import Batches
from keras_ddpm.diffusion import Diffusion
from keras_ddpm.networks.unet import UNet
from keras_ddpm.training.ddpm import DDPM
from keras_ddpm.training.distribution.devices import Placement
from keras_ddpm.training.losses.adversarial import AdversarialTuning
from keras_ddpm.training.losses.consistency import ConsistencyTuning
from keras_ddpm.training.validation import validation_set

DIFFUSION = Diffusion(schedules.cosine(100))


class Small(keras.Model):
    """A network that compiles in a moment, with a normalisation, dropout and a label."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.embedding = keras.layers.Embedding(4, 4)
        self.first, self.last = (keras.layers.Conv2D(n, 3, padding="same") for n in (4, 1))
        self.norm, self.dropout = keras.layers.GroupNormalization(2), keras.layers.Dropout(0.5, seed=7)

    def build(self):
        self.embedding.build()
        self.first.build((None, 4, 4, 1))
        self.norm.build((None, 4, 4, 4))
        self.last.build((None, 4, 4, 4))
        self.built = True

    def call(self, x_t, t, condition, training=None):
        h = self.first(x_t) + (self.embedding(condition["label"]) + t[:, None])[:, None, None, :]
        return self.last(self.dropout(keras.ops.silu(self.norm(h)), training=training))

    def get_config(self):
        return {"name": self.name}


def unet():
    small = {"widths": (4,), "depths": (1,), "attention": (True,), "heads": 2, "patch": 1, "embed_dim": 8, "groups": 2}
    return UNet((28, 28, 1), {"label": Label(3)}, **small, levels=100)


MODELS = {
    "diffusion": lambda: DDPM(Small(), DIFFUSION, conditions={"label": Label(3)}, p_uncond=0.5),
    "consistency": lambda: ConsistencyTuning(Small(), DIFFUSION, conditions={"label": Label(3)}, steps=2, halvings=1),
    "adversarial": lambda: AdversarialTuning(unet(), DIFFUSION),
}


def train(objective, devices):
    """Weights, average, optimizer, random state and metrics after two steps of 12 images, validated on 31 by 24."""
    keras.utils.clear_session()  # the names of the variables begin anew
    placement, random = Placement(devices), np.random.default_rng(0)
    size = 28 if objective == "adversarial" else 4
    images, labels = random.integers(0, 256, (31, size, size, 1)).astype("uint8"), np.arange(31, dtype="int32") % 3
    with placement.scope():
        keras.utils.set_random_seed(0)
        model = MODELS[objective]()
        model.compile(optimizer=keras.optimizers.AdamW(1e-2, global_clipnorm=0.05), jit_compile=True)
        held_out = validation_set((images / 127.5 - 1.0).astype("float32"), labels, DIFFUSION)
        history = model.fit(
            placement.share(Batches(images, labels, batch_size=12)),
            validation_data=placement.held_out(held_out, 24),
            validation_batch_size=24,
            shuffle=False,
            verbose=0,
        ).history
    arrays = {variable.path: np.asarray(variable) for variable in [*model.variables, *model.optimizer.variables]}
    return {**arrays, **{name: np.asarray(values) for name, values in history.items()}}


if __name__ == "__main__":
    objective, out, counts, *cluster = sys.argv[1:]
    if cluster:
        cluster = Devices("all", cluster[0], int(cluster[1]), int(cluster[2]))
        np.savez(out, **train(objective, cluster))
    for n in [int(n) for n in counts.split(",") if n.isdigit()]:
        np.savez(out.replace("N", str(n)), **train(objective, Devices(n or None)))
