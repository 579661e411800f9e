"""Sampling: DDPM's algorithm 2 as a Keras model, from (condition, w, seed) to an image.

    x_1 ~ N(0, I);  for t -> s = 1 ... 0:  x_0 = guided network(x_t, t, condition),  x_s = step(x_t, x_0, noise)

and at the end the codec makes an image of it, if latents are diffused.

The whole loop is one compiled graph. With TensorFlow the batch dimension is symbolic from the second size on, so one
graph serves every batch size; JAX compiles for each shape, so batches are filled up to a power of two there.

Reference: Ho et al., arXiv 2006.11239, algorithm 2.
"""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_ddpm import config, guidance, noise, samplers
from keras_ddpm.backends.compiled import compiled, in_batches
from keras_ddpm.checks.sampling import check_conditions
from keras_ddpm.codec import Codec, codec_of, is_latent
from keras_ddpm.conditions import Condition, nulls
from keras_ddpm.data.pixels import to_uint8
from keras_ddpm.diffusion import Diffusion
from keras_ddpm.saving.serialization import PACKAGE, deserialize, register, serialize
from keras_ddpm.types import Denoiser, Tensor

MAX_BATCH = 256
MAX_STATES = 16_384  # images held at once when the path is kept

register(*samplers.SAMPLERS.values())


@keras.saving.register_keras_serializable(PACKAGE)
class Generator(keras.Model):
    """Network + diffusion + guidance + sampler, in one call.

    Args:
        network: A `UNet`, or any model called like one, with an `image_shape` and `conditions`.
        diffusion: `Diffusion`.
        codec: `Codec` whose latents the network diffuses; None for images.
        sampler: One of `samplers.SAMPLERS`, or any function like them.
        steps: Number of steps, at least 1; at most T if the schedule is discrete.
        guidance: Function (network, diffusion, condition, null, w) -> denoiser, such as
            `guidance.classifier_free`, perhaps with its interval bound by functools.partial.
        threshold: One of `guidance.THRESHOLDS`, or any function that wraps a denoiser.
        temperature: Standard deviation of x_T, above 0.

    Call arguments:
        inputs: dict of each condition (B,), w float32 (B,) and key uint32 (B, 2) (see `noise.split_seed`); without a
            key, each call draws fresh ones.

    Returns:
        dict: image float32 (B, H, W, C) in about [-1, 1].

    Raises:
        ValueError: if the number of steps or the guidance's interval cannot be used, the codec's latents are not what
            the network diffuses, or they would be clipped, or for a temperature that is no finite number above 0.

    Example:
        >>> generator = Generator.from_preset("mnist", sampler="ddim", steps=10)
        >>> generator.sample([3, 3], 1.5, [0, 1])["image"].shape
        (2, 28, 28, 1)
    """

    def __init__(
        self,
        network,
        diffusion,
        *,
        codec: Codec | None = None,
        sampler: samplers.Sampler = samplers.ddpm,
        steps: int = 20,
        guidance: Callable = guidance.classifier_free,
        threshold: Callable = guidance.clip,
        temperature: float = 1.0,
        **kwargs,
    ):
        super().__init__(dtype="float32", **kwargs)
        self.network, self.diffusion, self.codec = network, diffusion, codec_of(network, codec)
        _check_threshold(self.codec, threshold)
        config.check_temperature(temperature)
        self.sampler, self.steps, self.guidance, self.threshold = sampler, steps, guidance, threshold
        self.temperature = temperature
        self.seeds = keras.random.SeedGenerator()
        self._graphs: dict[str, Callable] = {}
        self.times = samplers.times_of(sampler, steps, diffusion.schedule)
        self.columns = samplers.coefficients(sampler, diffusion.schedule, self.times)
        guidance(network, diffusion, {n: np.zeros(1, c.dtype) for n, c in self.conditions.items()}, self.nulls, 1.0)
        self.compile(jit_compile=keras.backend.backend() == "jax")
        self.built = True

    @classmethod
    def from_names(cls, network: keras.Model, diffusion: Diffusion, sampling: Any, **kwargs) -> "Generator":
        """A generator from a `SamplingConfig`.

        Raises:
            ValueError: for an unknown sampler, guidance, guide or threshold (the error lists the choices); for a guide
                or a weaker network of other images.
        """
        chosen = config.choose(guidance.GUIDANCES, sampling.guidance, "guidance")
        if sampling.guidance == "autoguidance":
            from keras_ddpm.presets import load_weak

            chosen = functools.partial(chosen, weak=load_weak(sampling, network, diffusion))
        if sampling.guidance_interval is not None and sampling.guidance != "none":
            chosen = functools.partial(chosen, interval=sampling.guidance_interval)
        if sampling.guide is not None:
            from keras_ddpm import guides

            score = guides.load(sampling.guide, network.image_shape, network.num_classes)
            moved = functools.partial(guidance.by_score, score=score, scale=float(sampling.guide_scale))
            chosen = functools.partial(moved, **getattr(chosen, "keywords", {}))
        return cls(
            network,
            diffusion,
            sampler=samplers.with_eta(config.choose(samplers.SAMPLERS, sampling.sampler, "sampler"), sampling.eta),
            steps=sampling.steps,
            guidance=chosen,
            threshold=config.choose(guidance.THRESHOLDS, sampling.threshold, "threshold"),
            temperature=sampling.temperature,
            **kwargs,
        )

    @classmethod
    def from_preset(cls, preset: str, **sampling) -> "Generator":
        """A preset's generator; see `presets.load_preset`."""
        from keras_ddpm.presets import load_preset

        return load_preset(preset, **sampling)

    @property
    def models(self) -> list[keras.Model]:
        """The models that draw: the network, its codec if that is one, and the weaker network of autoguidance."""
        parts = (self.network, self.codec, *getattr(self.guidance, "keywords", {}).values())
        return [part for part in parts if isinstance(part, keras.Model)]

    @property
    def conditions(self) -> dict[str, Condition]:
        """The network's conditions."""
        return self.network.conditions

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(H, W, C) of what is drawn."""
        return self.codec.image_shape

    @property
    def nulls(self) -> dict[str, int | float]:
        """The null of each condition."""
        return nulls(self.conditions)

    def call(self, inputs: Any) -> dict[str, Tensor]:
        condition = {name: inputs[name] for name in self.conditions}
        key = inputs["key"] if "key" in inputs else self.fresh_key(ops.shape(inputs["w"])[0])
        return {"image": self.draw(condition, inputs["w"], key)}

    def draw(self, condition: Mapping[str, Tensor], w: Any, key: Any, *, path=False) -> Any:
        """The image (B, H, W, C) of each row; with `path` x_T and what `samplers.loop` returns, all before decoding."""
        x_T, between = self.start(self.noise(key, 0)), functools.partial(self.noise, key)
        denoise = self.denoiser(condition, w)
        drawn = samplers.loop(denoise, x_T, self.times, self.columns, noise=between, path=path)
        return (x_T, *drawn) if path else self.codec.decode(drawn)

    def noise(self, key: Any, step: Any) -> Tensor:
        """Standard normal noise of a step, 0 for that of x_T, of the shape of what is diffused: (B, H, W, C)."""
        return noise.normal(key, step, self.network.image_shape)

    def start(self, eps: Tensor) -> Tensor:
        """x_T from standard normal noise: its standard deviation is `temperature`."""
        return self.temperature * eps

    def denoiser(self, condition: Mapping[str, Tensor], w: Any) -> Denoiser:
        """The guided, thresholded denoiser (x_t, t) -> x_0 of a batch with its condition bound and guidance w (B,).

        A condition that is left out is not given: it becomes its null.
        """
        condition = self.complete(condition)
        return self.threshold(self.guidance(self.network, self.diffusion, condition, self.nulls, w))

    def complete(self, condition: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The condition (B,), at least one entry of it, with the null of each that is left out."""
        B = ops.shape(next(iter(condition.values())))
        left_out = {name: kind for name, kind in self.conditions.items() if name not in condition}
        return {**condition, **{name: ops.full(B, kind.null, dtype=kind.dtype) for name, kind in left_out.items()}}

    def fresh_key(self, B) -> Tensor:
        """Keys (B, 2) that differ from call to call, also in a graph that was traced once."""
        return ops.cast(keras.random.randint((B, 2), 0, 2**31 - 1, seed=self.seeds), "uint32")

    @staticmethod
    def eager() -> bool:
        """Whether code runs now, rather than being traced into a graph."""
        return keras.backend.backend() != "tensorflow" or hasattr(ops.zeros(()), "numpy")

    def sample(self, digit: Any, w: Any, seed: Any, *, progress=None, **others) -> dict[str, np.ndarray]:
        """Draw images, in batches of a size that fits into memory.

        Args:
            digit: int (N,), 0 ... num_classes - 1.
            w: float (N,), or one for all.
            seed: int (N,), 0 ... 2^63 - 1.
            progress: Called with the number of images drawn after each batch; None for nothing.
            **others: The network's other conditions, (N,) or one for all; one that is left out is not given.

        Returns:
            dict of NumPy arrays like those of a call.

        Raises:
            ValueError: see `checks.sampling.check_conditions`.
        """
        return self._batched(self.predict_on_batch, MAX_BATCH, digit, w, seed, progress=progress, **others)

    def images(self, digit: Any, w: Any, seed: Any, *, progress=None, **others) -> np.ndarray:
        """Draw images as uint8: noise, loop and conversion are one graph, called without the machinery of `predict`.

        Args:
            digit, w, seed, progress, **others: See `sample`.

        Returns:
            uint8 (N, H, W, C): `to_uint8` of what `sample` draws.

        Raises:
            ValueError: see `checks.sampling.check_conditions`.
        """
        return self._batched(self._compiled("images"), MAX_BATCH, digit, w, seed, progress=progress, **others)

    def image(self, digit: Any, w: Any, seed: Any, **others) -> np.ndarray:
        """Draw one image as uint8, by a graph of its own, which XLA compiles if the steps are few.

        XLA takes some seconds once; then a call costs about three quarters of the other graph's (see docs/runtimes.md).

        Args:
            digit, w, seed, **others: One of each; see `sample`.

        Returns:
            uint8 (H, W, C).

        Raises:
            ValueError: see `checks.sampling.check_conditions`.
        """
        alone = "image" if self.steps <= samplers.UNROLLED else "images"
        given = {name: [value] for name, value in others.items()}
        return self._batched(self._compiled(alone), 1, [digit], [w], [seed], progress=None, **given)[0]

    def path(self, digit: Any, w: Any, seed: Any, *, progress=None, **others) -> dict[str, np.ndarray]:
        """The way of each image: what `sample` draws, with every state it goes through.

        Args:
            digit, w, seed, progress, **others: See `sample`.

        Returns:
            dict of float32 arrays: image and x_T (N, H, W, C), x_s and x_0 (N, S, H, W, C), where x_s is the state
            after each step and x_0 the estimate that led to it. The steps start at `times`. All but the image are of
            what is diffused: `decoded` makes images of latents.

        Raises:
            ValueError: see `checks.sampling.check_conditions`.
        """
        rows = max(1, min(MAX_BATCH, MAX_STATES // self.steps))
        return self._batched(self._compiled("path"), rows, digit, w, seed, progress=progress, **others)

    def trajectory(self, digit: Any, w: Any, seed: Any, *, every: int = 10, **others) -> tuple[np.ndarray, np.ndarray]:
        """The state x_t at every k-th step, and at the end, as an image.

        Args:
            digit, w, seed, **others: See `sample`.
            every: k >= 1.

        Returns:
            The times float64 (K,), from 1 down to 0, and the states float32 (N, K, H, W, C) at them.

        Raises:
            ValueError: for a bad `every`.
        """
        if every < 1:
            raise ValueError(f"`every` must be at least 1. Received: {every}")
        path = self.path(digit, w, seed, **others)
        states = np.concatenate([path["x_T"][:, None], path["x_s"]], axis=1)  # (N, S + 1, H, W, C)
        kept, times = self.kept(every)
        return times, self.decoded(states[:, kept])

    def decoded(self, states: np.ndarray) -> np.ndarray:
        """The images of states (..., h, w, c) that were drawn: float32 (..., H, W, C)."""
        return self._by_codec("decoded", states)

    def encoded(self, images: np.ndarray) -> np.ndarray:
        """What is diffused, of images float32 (..., H, W, C): (..., h, w, c)."""
        return self._by_codec("encoded", images)

    def kept(self, every: int) -> tuple[list[int], np.ndarray]:
        """Every k-th state of a path of S + 1, and the last: their places (K,) and times float64 (K,)."""
        places = [*range(0, self.steps, every), self.steps]
        return places, np.append(self.times, 0.0)[places]

    def get_config(self) -> dict:
        objects = {"network": self.network, "diffusion": self.diffusion, "codec": self.codec}
        functions = {"sampler": self.sampler, "guidance": self.guidance, "threshold": self.threshold}
        return {
            "name": self.name,
            "steps": self.steps,
            "temperature": self.temperature,
            **{name: keras.saving.serialize_keras_object(value) for name, value in objects.items()},
            **{name: serialize(function) for name, function in functions.items()},
        }

    @classmethod
    def from_config(cls, config: dict) -> "Generator":
        objects = {n: keras.saving.deserialize_keras_object(config.get(n)) for n in ("network", "diffusion", "codec")}
        functions: dict[str, Any] = {name: deserialize(config[name]) for name in ("sampler", "guidance", "threshold")}
        numbers = {"steps": config["steps"], "temperature": config.get("temperature", 1.0)}
        return cls(**objects, **functions, **numbers, name=config["name"])

    def _batched(self, draw, rows, digit, w, seed, *, progress, **others):
        condition, w, seed = check_conditions({"label": digit, **others}, w, seed, conditions=self.conditions)
        if w.ndim != 1:
            raise ValueError(f"`digit`, `w` and `seed` must broadcast to (N,). Received: {w.shape}")
        inputs = {**condition, "w": w, "key": noise.split_seed(seed)}
        return in_batches(draw, inputs, rows, progress=progress)

    def _by_codec(self, name, arrays):
        if not is_latent(self.codec):
            return arrays
        rows = {"x": arrays.reshape(-1, *arrays.shape[-3:])}
        found = in_batches(self._compiled(name), rows, MAX_BATCH)
        return found.reshape(*arrays.shape[:-3], *found.shape[1:])

    def _compiled(self, name):
        """The graph of the "images" of a batch, of one "image" alone, of the "path", or of one half of the codec."""
        if name not in self._graphs:
            functions = {
                "images": self._as_uint8,
                "image": self._as_uint8,
                "path": self._with_path,
                "decoded": lambda rows: self.codec.decode(rows["x"]),
                "encoded": lambda rows: self.codec.encode(rows["x"]),
            }
            self._graphs[name] = compiled(functions[name], model=self, xla=name == "image")
        return self._graphs[name]

    def _as_uint8(self, inputs):
        return to_uint8(self.call(inputs)["image"])

    def _with_path(self, inputs):
        condition = {name: inputs[name] for name in self.conditions}
        x_T, x_s, x_0 = self.draw(condition, inputs["w"], inputs["key"], path=True)
        x_s, x_0 = ops.swapaxes(x_s, 0, 1), ops.swapaxes(x_0, 0, 1)
        return {"image": self.codec.decode(x_s[:, -1]), "x_T": x_T, "x_s": x_s, "x_0": x_0}


def _check_threshold(codec, threshold):
    if is_latent(codec) and threshold in (guidance.clip, guidance.dynamic_threshold):
        raise ValueError(
            "`threshold` must be `guidance.unlimited` where latents are diffused, which have no range. "
            f"Received: {threshold.__name__!r}"
        )
