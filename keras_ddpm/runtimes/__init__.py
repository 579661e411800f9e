"""Drawing without TensorFlow and Keras: a small runtime calls the network, NumPy does the rest.

What is exported is one call of the network, (x_t, t, condition) -> y, with a batch of one. The loop, guidance,
threshold and noise are a few lines of NumPy over a table of numbers (`steps.py`). That is the simplest form that is
fast:

- One file draws with any sampler, any number of steps and any w, as the network itself does.
- Random operations, `while` and `cond` never reach a converter; each of the three knows another subset of them.
- The batch is static, since LiteRT's fast kernels (XNNPACK) switch themselves off on dynamic shapes. It is one, since
  rows one after the other take no longer than a batch of 16 (the activations of one row stay in the cache), and the
  network then computes the same for a row in any batch. Cores share the rows.
"""

from keras_ddpm.runtimes.drawer import Drawer, load
from keras_ddpm.runtimes.engines import ENGINES
from keras_ddpm.runtimes.files import description, usable

__all__ = ["ENGINES", "Drawer", "description", "load", "usable"]
