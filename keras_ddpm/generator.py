"""Sampling: DDPM's algorithm 2 as a Keras model, from (digit, w, seed) to an image.

    x_T ~ N(0, I);  for t = T-1 ... 0:  x_0 = guided network(x_t, t, digit),  x_s = step(x_t, x_0, noise)

The whole loop is one compiled graph. With TensorFlow the batch dimension is symbolic from the second size on, so one
graph serves every batch size; JAX compiles for each shape, so batches are filled up to a power of two there.

Reference: Ho et al., arXiv 2006.11239, algorithm 2.
"""

import functools
import math

import keras
import numpy as np
from keras import ops

from keras_ddpm import config, guidance, noise, samplers
from keras_ddpm.request import check_request

MAX_BATCH = 256
MAX_FLOATS = 2**24  # of noise held at once; more steps or larger images mean fewer rows


class Generator(keras.Model):
    """Network + diffusion + guidance + sampler, in one call.

    Args:
        network: A `UNet`, or any model called as (x_t, t, label) with an `image_shape` and `num_classes`.
        diffusion: `Diffusion`.
        sampler: One of `samplers.SAMPLERS`, or any function like them.
        steps: Number of steps, 1 ... T.
        guidance_interval: (low, high) noise levels sigma_t / alpha_t in which to guide; None for all.
        threshold: One of `guidance.THRESHOLDS`, or any function that wraps a denoiser.
        record: Whether to return every step beside the image.

    Call arguments:
        inputs: dict of digit int32 (B,), w float32 (B,) and key uint32 (B, 2) (see `noise.split_seed`); without a key,
            each call draws fresh ones.

    Returns:
        dict: image float32 (B, H, W, C) in about [-1, 1] and, if asked for, the path: x_T (B, H, W, C), x_s and
        x_0 (B, steps, H, W, C), where x_s is the state after each step and x_0 the estimate that led to it.
    """

    # Deviation: no `get_config`. A preset is kept as configuration and weights, and leaves as a SavedModel (export/).

    def __init__(
        self,
        network,
        diffusion,
        *,
        sampler=samplers.ddpm,
        steps=20,
        guidance_interval=None,
        threshold=guidance.clip,
        record=False,
        **kwargs,
    ):
        super().__init__(dtype="float32", **kwargs)
        self.network, self.diffusion = network, diffusion
        self.seeds = keras.random.SeedGenerator()
        self.times = samplers.trailing_times(diffusion.T, steps)
        self.columns = samplers.coefficients(sampler, diffusion.alpha_bar, self.times)
        self.guidance_interval, self.threshold, self.record = guidance_interval, threshold, record
        if guidance_interval is not None:
            guidance.within(guidance_interval, diffusion)  # a bad interval fails here
        self.compile(jit_compile=keras.backend.backend() == "jax")
        self.built = True

    @classmethod
    def from_names(cls, network, diffusion, sampling, **kwargs):
        """A generator from a `SamplingConfig`.

        Raises:
            ValueError: for an unknown sampler or threshold; the error lists the choices.
        """
        sampler = config.choose(samplers.SAMPLERS, sampling.sampler, "sampler")
        return cls(
            network,
            diffusion,
            sampler=functools.partial(sampler, eta=sampling.eta) if sampler is samplers.ddim else sampler,
            steps=sampling.steps,
            guidance_interval=sampling.guidance_interval,
            threshold=config.choose(guidance.THRESHOLDS, sampling.threshold, "threshold"),
            **kwargs,
        )

    def call(self, inputs):
        key = inputs["key"] if "key" in inputs else self.fresh_key(ops.shape(inputs["digit"])[0])
        x_T, between = self.draw_noise(key)
        return self.from_noise(inputs["digit"], inputs["w"], x_T, between)

    def from_noise(self, digit, w, x_T, between=None):
        """What a call returns, from noise that was drawn already (see `draw_noise`)."""
        denoise = self.denoiser(digit, w)
        x_s, x_0 = samplers.loop(denoise, x_T, self.times, self.columns, noise=between)  # (S, B, H, W, C)
        if not self.record:
            return {"image": x_s[-1]}
        return {"image": x_s[-1], "x_T": x_T, "x_s": ops.swapaxes(x_s, 0, 1), "x_0": ops.swapaxes(x_0, 0, 1)}

    def denoiser(self, digit, w):
        """The guided, thresholded denoiser (x_t, t) -> x_0 of a batch of digits (B,) with guidance w (B,)."""
        strength = guidance.within(self.guidance_interval, self.diffusion) if self.guidance_interval else None
        null = self.network.num_classes
        return self.threshold(guidance.classifier_free(self.network, self.diffusion, digit, null, w, strength=strength))

    def draw_noise(self, key):
        """x_T (B, H, W, C), and the noise of the steps (S, B, H, W, C), None if the sampler adds none."""
        stochastic = np.any(self.columns[:, 3])
        draws = noise.normal(key, 1 + stochastic * len(self.times), self.network.image_shape)  # (B, 1 or 1 + S, ...)
        return draws[:, 0], ops.moveaxis(draws[:, 1:], 1, 0) if stochastic else None

    def fresh_key(self, B):
        """Keys (B, 2) that differ from call to call, also in a graph that was traced once."""
        return ops.cast(keras.random.randint((B, 2), 0, 2**31 - 1, seed=self.seeds), "uint32")

    @staticmethod
    def eager():
        """Whether code runs now, rather than being traced into a graph."""
        return keras.backend.backend() != "tensorflow" or hasattr(ops.zeros(()), "numpy")

    def sample(self, digit, w, seed, *, progress=None):
        """Draw images, in batches of a size that fits into memory.

        Args:
            digit: int (N,), 0 ... num_classes - 1.
            w: float (N,), or one for all.
            seed: int (N,), 0 ... 2^63 - 1.
            progress: Called with the number of images drawn after each batch; None for nothing.

        Returns:
            dict of NumPy arrays like those of a call.

        Raises:
            ValueError: see `request.check_request`.
        """
        digit, w, seed = check_request(digit, w, seed, num_classes=self.network.num_classes)
        if digit.ndim != 1:
            raise ValueError(f"`digit`, `w` and `seed` must broadcast to (N,). Received: {digit.shape}")
        inputs = {"digit": digit, "w": w, "key": noise.split_seed(seed)}
        rows = max(1, min(MAX_BATCH, MAX_FLOATS // (len(self.times) * math.prod(self.network.image_shape))))
        parts = []
        for start in range(0, len(digit), rows):
            batch = {name: value[start : start + rows] for name, value in inputs.items()}
            parts.append(self._sample_batch(batch))
            if progress:
                progress(len(batch["digit"]))
        return keras.tree.map_structure(lambda *p: np.concatenate(p), *parts)

    def trajectory(self, digit, w, seed, *, every=10):
        """The state x_t at every k-th step, and at the end.

        Args:
            digit, w, seed: See `sample`.
            every: k >= 1.

        Returns:
            The times int32 (K,), from T - 1 down to -1, and the states float32 (N, K, H, W, C) at them.

        Raises:
            ValueError: without `record=True`, or for a bad `every`.
        """
        if not self.record or every < 1:
            raise ValueError(f"A trajectory needs `record=True` and `every` >= 1. Received: {self.record}, {every}")
        path = self.sample(digit, w, seed)
        states = np.concatenate([path["x_T"][:, None], path["x_s"]], axis=1)  # (N, S + 1, H, W, C)
        kept, times = self.kept(every)
        return times, states[:, kept]

    def kept(self, every):
        """Every k-th state of a path of S + 1, and the last: their places (K,) and times int32 (K,)."""
        last = len(self.times)
        places = [*range(0, last, every), last]
        return places, np.append(self.times, -1)[places].astype("int32")

    def traces(self, digit, w, seed):
        """x_t, eps, mu and x_0 in each step, for the numerical checks in `evaluation.health`.

        mu is the mean of the next state, before noise is added.

        Args:
            digit, w, seed: See `sample`.

        Returns:
            dict of float32 arrays (S, N, H, W, C); the steps start at `self.times`.

        Raises:
            ValueError: without `record=True`.
        """
        if not self.record:
            raise ValueError("Traces need `record=True`. Received: False")
        path = self.sample(digit, w, seed)
        x_0 = np.moveaxis(path["x_0"], 1, 0)  # (S, N, H, W, C), like all below
        x_t = np.concatenate([path["x_T"][None], np.moveaxis(path["x_s"], 1, 0)[:-1]])
        before = np.concatenate([np.zeros_like(x_0[:1]), x_0[:-1]])
        a, b, c, _ = self.columns.T.astype("float32")[..., None, None, None, None]
        alpha, sigma = (np.asarray(table)[:, None] for table in self.diffusion.alpha_sigma(self.times))
        return {"x_t": x_t, "eps": (x_t - alpha * x_0) / sigma, "mu": a * x_t + b * x_0 + c * before, "x_0": x_0}

    def _sample_batch(self, batch):
        n = len(batch["digit"])
        if keras.backend.backend() == "jax":
            full = 1 << (n - 1).bit_length()
            batch = {name: np.resize(value, (full, *value.shape[1:])) for name, value in batch.items()}
        return keras.tree.map_structure(lambda a: np.asarray(a)[:n], self.predict_on_batch(batch))
