"""A weights file is loaded as it was written, or refused with one error."""

import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest

from keras_ddpm.saving.weights import read_weights, write_weights

pytestmark = pytest.mark.neutral
ROOT = Path(__file__).parent.parent.parent


def new_model(width=8, value=1.0):
    import keras

    model = keras.Sequential([keras.layers.Dense(width), keras.layers.Dense(2)])
    model.build((None, 4))
    model.set_weights([np.full(weight.shape, value, "float32") for weight in model.get_weights()])
    return model


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "a.weights.h5"
    write_weights(new_model(), path, state={"epoch": 3})
    return path


def change(path, name, value):
    """Replace a dataset whose name ends like this. HDF5 cuts the seal off."""
    with h5py.File(path, "a") as file:
        found = []
        file.visit(lambda key: found.append(key) if key.endswith(name) else None)
        del file[found[0]]
        if callable(value):
            value(file, found[0])
        else:
            file[found[0]] = value


def test_weights_and_state_come_back(path):
    model = new_model(value=5.0)
    assert read_weights(model, path) == {"epoch": 3}
    assert all(np.all(weight == 1.0) for weight in model.get_weights())


def test_the_state_of_an_optimizer_comes_back(tmp_path):
    models = [new_model() for _ in range(2)]
    for model in models:
        model.compile("adam", "mse")
        model.optimizer.build(model.trainable_variables)
    models[0].optimizer.learning_rate = 0.25
    write_weights(models[0], tmp_path / "a.weights.h5")
    read_weights(models[1], tmp_path / "a.weights.h5")
    assert float(models[1].optimizer.learning_rate) == 0.25


def test_another_architecture_is_named(path):
    with pytest.raises(ValueError, match="do not fit this network"):
        read_weights(new_model(width=16), path)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_not_finite_are_refused_and_the_model_keeps_its_own(path, value):
    weights = np.ones((4, 8), "float32")
    weights[2, 3] = value
    change(path, "vars/0", weights)
    model = new_model(value=5.0)
    with pytest.raises(ValueError, match="must be finite"):
        read_weights(model, path)
    assert all(np.all(weight == 5.0) for weight in model.get_weights())


def test_a_small_file_that_declares_a_huge_shape_is_refused_at_once(path):
    def declare(file, name):
        file.create_dataset(
            name, shape=(1_000_000, 1_000_000), dtype="float32", chunks=(1000, 1000), compression="gzip"
        )

    change(path, "vars/0", declare)
    assert path.stat().st_size < 100_000
    start = time.monotonic()
    with pytest.raises(ValueError, match="do not fit this network"):
        read_weights(new_model(), path)
    assert time.monotonic() - start < 2


@pytest.mark.parametrize("link", [h5py.ExternalLink("other.h5", "/a"), h5py.SoftLink("/a")])
def test_links_to_elsewhere_are_refused(path, link):
    change(path, "vars/0", lambda file, name: file.__setitem__(name, link))
    with pytest.raises(ValueError, match="is a link"):
        read_weights(new_model(), path)


def test_any_changed_number_is_noticed(path):
    content = bytearray(path.read_bytes())
    where = content.index(np.full(8, 1.0, "float32").tobytes())
    content[where] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match="checksum"):
        read_weights(new_model(), path)


def test_random_damage_is_one_value_error(path):
    content, random, model = path.read_bytes(), np.random.default_rng(0), new_model(value=5.0)
    for _ in range(300):
        damaged = bytearray(content)
        for place in random.integers(0, len(content), size=random.integers(1, 60)):
            damaged[place] ^= random.integers(1, 256)
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match="damaged"):
            read_weights(model, path)


def test_a_truncated_file_is_one_value_error(path):
    content, model = path.read_bytes(), new_model(value=5.0)
    for size in (0, 1, 100, 2000, len(content) // 2, len(content) - 100):
        path.write_bytes(content[:size])
        with pytest.raises(ValueError, match="damaged"):
            read_weights(model, path)


def test_a_file_that_keras_wrote_can_be_read(tmp_path):
    new_model().save_weights(tmp_path / "a.weights.h5")
    model = new_model(value=5.0)
    assert read_weights(model, tmp_path / "a.weights.h5") == {}
    assert all(np.all(weight == 1.0) for weight in model.get_weights())


def test_a_full_disk_is_one_error_and_leaves_the_old_file(tmp_path):
    """A limit on the size of files stands for the full disk: HDF5 meets both in the same way."""
    code = f"""
import pathlib, resource, sys
sys.path.insert(0, "tests/saving")
from test_weights import new_model, write_weights
path = pathlib.Path({str(tmp_path / "a.weights.h5")!r})
write_weights(new_model(), path)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
try:
    write_weights(new_model(value=2.0), path)
except OSError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0 and "Cannot write" in done.stdout and "Traceback" not in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["a.weights.h5"]
    model = new_model(value=5.0)
    read_weights(model, tmp_path / "a.weights.h5")
    assert np.all(model.get_weights()[0] == 1.0)
