"""Gradients: means over replicas, and a clear word where there is no train step."""

import subprocess
import sys
from pathlib import Path

import keras
import pytest
from test_ddpm import batches, new_model

ROOT = Path(__file__).parents[2]

REPLICAS = """
import sys; sys.path[:0] = ["tests", "tests/training"]
import numpy as np, tensorflow as tf
import keras
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from keras_ddpm.training.train_step import TwoBackendModel

class Slope(TwoBackendModel):
    def __init__(self):
        super().__init__()
        self.slope = self.add_weight(shape=(), initializer="zeros")
        self.built = True
    def learn(self, data):
        x, y = data
        gradients, _ = self.gradients(lambda: (keras.ops.mean((self.slope * x - y) ** 2), None), [self.slope])
        self.optimizer.apply(gradients, [self.slope])
        return {"slope": self.slope}

x = np.arange(8, dtype="float32").reshape(8, 1)
slopes = []
for strategy in (tf.distribute.get_strategy(), tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])):
    with strategy.scope():
        model = Slope()
        model.compile(optimizer=keras.optimizers.SGD(0.01))
    data = tf.data.Dataset.from_tensor_slices((x, 3 * x)).batch(8)
    model.fit(data, epochs=1, verbose=0)
    slopes.append(float(np.asarray(model.slope)))
print(strategy.num_replicas_in_sync, *slopes)
"""


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="TensorFlow's replicas")
def test_a_step_on_two_replicas_is_the_step_on_one():
    done = subprocess.run([sys.executable, "-c", REPLICAS], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    replicas, one, two = done.stdout.split()[-3:]
    assert replicas == "2" and float(one) == pytest.approx(float(two), rel=1e-5) and float(one) > 0.5


def test_a_backend_without_a_train_step_is_named(monkeypatch):
    model = new_model()
    monkeypatch.setattr(keras.backend, "backend", lambda: "torch")
    with pytest.raises(RuntimeError, match=r"Training needs KERAS_BACKEND tensorflow or jax\. Received: 'torch'"):
        model.train_step(batches()[0])
