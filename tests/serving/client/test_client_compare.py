"""The comparison behind the smoke test passes equal pictures, allows one grey level, and fails on more."""

import numpy as np
import pytest

from serving.client.results import Drawn
from serving.deploy import compare

PICTURES = np.arange(10 * 28 * 28, dtype="uint32").reshape(10, 28, 28).astype("uint8")


class Server:
    """A client whose server is off by some grey levels in one pixel of each answer."""

    def __init__(self, off=0):
        self.off = off

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass

    def wait_ready(self):
        return self

    def metadata(self):
        return {"sampler": "ddim", "steps": 7, "temperature": 1.2}

    def sample(self, digit, w, *, seed):
        images = PICTURES[np.atleast_1d(seed) - compare.SEEDS[0]].copy()
        images[-1, 0, 0] += self.off
        return Drawn(images, np.atleast_1d(seed))


@pytest.fixture(autouse=True)
def here(monkeypatch):
    def sample(digit, w, *, seed, sampler, steps, temperature, preset):
        assert (sampler, steps, temperature, preset) == ("ddim", 7, 1.2, "mnist")
        return PICTURES[np.asarray(seed) - compare.SEEDS[0]]

    monkeypatch.setattr(compare.keras_ddpm, "sample", sample)


@pytest.mark.parametrize(("off", "found"), [(0, (0, 0)), (1, (1, 2)), (3, (3, 2))])
def test_differences_are_found_in_the_batch_and_in_the_picture_alone(off, found):
    assert compare.compare(Server(off)) == found


def test_a_difference_beyond_rounding_is_exit_status_1(monkeypatch, capsys):
    monkeypatch.setattr(compare, "Client", lambda address: Server(1))
    compare.main(["localhost:8500"])
    monkeypatch.setattr(compare, "Client", lambda address: Server(2))
    with pytest.raises(SystemExit) as stop:
        compare.main(["localhost:8500"])
    assert stop.value.code == 1 and "by 2 grey levels at most" in capsys.readouterr().out
