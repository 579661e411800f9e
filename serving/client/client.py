"""The client: `Client("localhost:8500").sample([3, 3, 7], w=3.0)` -> images, and the seeds that draw them again.

Each image depends on its own digit, w, seed and attributes and on nothing else. So a request may be cut into chunks of
the size that the server takes, sent at once, and tried again, and its pictures stay the same.
"""

import concurrent.futures
import os
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from . import arguments, restoring
from .chunks import in_chunks
from .deadline import Deadline, default_seconds
from .errors import invalid
from .model_spec import ModelSpec, VersionStatus
from .remote_model import RemoteModel
from .results import Denoised, Drawn, Encoded, Trajectory, diffused_shape, output_specs
from .signature import Signature
from .tls import TLS
from .transports import open_transport

Numbers = ArrayLike | None
Seconds = float | None

MAX_MESSAGE_BYTES = 256 * 2**20
UNKNOWN_STEPS = 1000  # of a signature that the client does not know


class Client:
    """One model on one server, over gRPC or REST, for any number of threads.

    After a fork, a REST client opens connections of its own in the child; a gRPC client raises `ServingError` there.

    Args:
        address: "host:port" for gRPC (the first one takes seconds, since it imports TensorFlow), or
            "http://host:port" or https for REST.
        model: Name of the model on the server.
        version: Its version; None: the latest.
        label: Label of a version, such as "stable", instead of its number.
        deadline: Seconds for a whole call; None: enough for its images and steps on a slow machine.
        retries: Tries after the first one, where the server did no work (it was unavailable or overloaded).
        tls: `TLS`, for encryption over gRPC or for certificates of one's own; https needs none.
        max_message_bytes: Largest message to send or to take.

    Raises:
        InvalidRequest: for a wrong argument; nothing is sent yet.

    Example:
        >>> with Client("localhost:8500") as client:
        ...     images, seeds = client.sample([3, 3, 7], w=3.0)
        >>> images.shape
        (3, 28, 28)
    """

    def __init__(
        self,
        address: str,
        *,
        model: str = "ddpm",
        version: int | None = None,
        label: str | None = None,
        deadline: float | None = None,
        retries: int = 4,
        tls: TLS | None = None,
        max_message_bytes: int = MAX_MESSAGE_BYTES,
    ):
        spec = ModelSpec(model, version, label).check()
        if type(max_message_bytes) is not int or not 0 < max_message_bytes < 2**31:
            raise invalid("max_message_bytes", "in 1..2^31 - 1, an integer", max_message_bytes)
        if deadline is not None:
            Deadline(deadline)
        self.address, self.deadline = address, deadline
        transport = open_transport(address, spec, tls=tls, max_message_bytes=max_message_bytes)
        self._of_process = RemoteModel(address, spec, transport, retries=retries)

    def sample(
        self,
        digit: ArrayLike,
        w: Numbers = None,
        *,
        seed: Numbers = None,
        deadline: Seconds = None,
        **attributes: Numbers,
    ) -> Drawn:
        """Draw images of digits.

        Args:
            digit: int or array of ints, 0 ... 9 (or the model's number of classes).
            w: Guidance, float or array; None: the model's own.
            seed: int or array of ints in 0 ... 2^63 - 1; None draws fresh seeds.
            deadline: Seconds, instead of the client's.
            **attributes: What else the model knows, number or array, such as thickness=0.8; `metadata` has their names
                and ranges. One that is left out, or None, is the model's choice.

        Returns:
            `Drawn`: images uint8 (N, H, W) and seeds int64 (N,), N from NumPy's broadcasting (1 for scalars).

        Raises:
            InvalidRequest: for a wrong digit, w, seed or attribute, before anything is drawn.
            ServingError: one of its other classes, if no answer comes.
        """
        outputs, seeds = self._draw("sample", digit, w, seed=seed, deadline=deadline, **attributes)
        return Drawn.of(outputs["image"], seeds)

    def sample_png(
        self,
        digit: ArrayLike,
        w: Numbers = None,
        *,
        seed: Numbers = None,
        deadline: Seconds = None,
        **attributes: Numbers,
    ) -> Encoded:
        """Draw images of digits as PNG files; takes and raises what `sample` does.

        Returns:
            `Encoded`: list of N bytes, and seeds int64 (N,).
        """
        outputs, seeds = self._draw("sample_png", digit, w, seed=seed, deadline=deadline, **attributes)
        return Encoded(list(outputs["image_bytes"]), seeds)

    def trajectory(
        self,
        digit: ArrayLike,
        w: Numbers = None,
        *,
        seed: Numbers = None,
        deadline: Seconds = None,
        **attributes: Numbers,
    ) -> Trajectory:
        """Draw images of digits, with some of the states on the way; takes and raises what `sample` does.

        Returns:
            `Trajectory`: x_t float32 (N, K, H, W, C), t int32 (N, K) and seeds int64 (N,).
        """
        outputs, seeds = self._draw("trajectory", digit, w, seed=seed, deadline=deadline, **attributes)
        return Trajectory(outputs["x_t"], outputs["t"], seeds)

    def restore(
        self,
        image: ArrayLike,
        *,
        mask: ArrayLike,
        digit: Numbers = None,
        w: Numbers = None,
        seed: Numbers = None,
        deadline: Seconds = None,
    ) -> Drawn:
        """Draw what is missing of images; known pixels come back as they are. Attributes are the model's choice.

        Args:
            image: uint8 (H, W), (H, W, 3) in colour, or a batch (N, ...).
            mask: True, 1 or 255 where a pixel is missing: (H, W) or (N, H, W).
            digit: int or array of ints; None: unknown.
            w: Guidance towards the digit; None: the model's own. Without a digit there is none.
            seed, deadline: See `sample`.

        Returns:
            `Drawn`: images uint8 (N, H, W) and seeds int64 (N,), N from NumPy's broadcasting (1 for scalars).

        Raises:
            InvalidRequest: for a wrong argument, before anything is drawn, or for a model that was exported before
                there was `restore`.
            ServingError: see `sample`.
        """
        model, end = self._metadata(deadline)
        calls, inputs = restoring.calls(model), restoring.inputs(image, mask, digit, w, seed, model=model)
        images = self._predict_rows("restore", inputs, model, end, steps=calls)["image"]
        return Drawn.of(images, np.array(inputs["seed"]))

    def denoise(
        self,
        x_t: ArrayLike,
        t: ArrayLike,
        digit: ArrayLike,
        w: Numbers = None,
        *,
        deadline: Seconds = None,
        **attributes: Numbers,
    ) -> Denoised:
        """Call the network once, with guidance.

        Args:
            x_t: float (N, H, W, C), noisy images; of a model of latents, noisy latents.
            t: int or array of ints, 0 ... T - 1.
            digit, w, deadline, **attributes: See `sample`.

        Returns:
            `Denoised`: eps and x_0, float32 (N, H, W, C).

        Raises:
            ServingError: see `sample`.
        """
        rows: dict[str, Any] = {"t": arguments.integers("t", t), "digit": arguments.integers("digit", digit)}
        guidance = None if w is None else arguments.guidance(w)
        model, end = self._metadata(deadline)
        shape = diffused_shape(model)
        x_t = np.asarray(x_t)
        if x_t.dtype.kind not in "iuf" or x_t.ndim != len(shape) + 1 or x_t.shape[1:] != shape or not len(x_t):
            raise invalid("x_t", f"numbers (N, {', '.join(map(str, shape))})", f"{x_t.dtype} {x_t.shape}")
        arguments.integers("t", rows["t"], model["T"] - 1)
        arguments.integers("digit", rows["digit"], model["num_classes"] - 1)
        rows["w"] = np.float32(model["w"]) if guidance is None else guidance
        rows |= arguments.attributes(attributes, model.get("attributes", {}))
        count, inputs = arguments.rows(x_t=np.empty(len(x_t)), **rows)
        if count != len(x_t):
            raise invalid("x_t", f"{count} images, as many as digits", len(x_t))
        return Denoised(**self._predict_rows("denoise", inputs | {"x_t": x_t}, model, end, steps=1))

    def predict(
        self, signature: str, inputs: Mapping[str, ArrayLike], *, deadline: Seconds = None
    ) -> dict[str, np.ndarray]:
        """Send one request to any signature of the model, as it is.

        Args:
            signature: Its name.
            inputs: dict of name -> anything like an array.
            deadline: See `sample`.

        Returns:
            dict of name -> array, of the dtypes and shapes that the signature gives.

        Raises:
            InvalidRequest: naming what is wrong, and what the signature wants.
            ServingError: see `sample`.
        """
        sized: Any = [array for array in inputs.values() if hasattr(array, "__len__") and getattr(array, "ndim", True)]
        rows = max(map(len, sized), default=1)
        end = self._deadline(deadline) or Deadline(default_seconds(max(rows, 1), UNKNOWN_STEPS))
        return self._model.predict(signature, inputs, end)

    def submit(
        self,
        digit: ArrayLike,
        w: Numbers = None,
        *,
        seed: Numbers = None,
        deadline: Seconds = None,
        **attributes: Numbers,
    ) -> "concurrent.futures.Future[Drawn]":
        """`sample` in a thread of its own; in a coroutine, `await asyncio.wrap_future(client.submit(7))`.

        It takes what `sample` does.

        Returns:
            A future; errors come from its `result()`. Sixteen run at once, and the deadline of each counts from its
            start.

        Raises:
            ServingError: if the client is closed.
        """
        model = self._model
        model.check_open()
        return model.calls.submit(self.sample, digit, w, seed=seed, deadline=deadline, **attributes)

    def metadata(self, *, deadline: Seconds = None) -> dict[str, Any]:
        """What the model says about itself: sampler, steps, w, num_classes, attributes, max_batch and more."""
        return dict(self._metadata(deadline)[0])

    def signatures(self, *, deadline: Seconds = None) -> dict[str, Signature]:
        """The model's functions by name, with the dtypes and shapes of their inputs and outputs."""
        return dict(self._model.signatures(self._quick_deadline(deadline)))

    def status(self, *, deadline: Seconds = None) -> list[VersionStatus]:
        """The model's versions and their states."""
        return self._model.status(self._quick_deadline(deadline))

    def wait_ready(self, timeout: float = 60.0) -> "Client":
        """Wait until the server has the model, loaded and AVAILABLE; a connection alone is not enough.

        Args:
            timeout: Seconds.

        Returns:
            The client itself.

        Raises:
            DeadlineExceeded: with the server's last answer.
            InvalidRequest: if waiting cannot help.
        """
        self._model.wait_until_available(Deadline(timeout))
        return self

    def close(self) -> None:
        """End the connections of this process; calls under way fail."""
        if self._of_process.process_id == os.getpid():
            self._of_process.close()

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Client({self.address!r}, model={self._of_process.spec.model!r})"

    @property
    def _model(self):
        """The remote model of this process."""
        if self._of_process.process_id != os.getpid():
            self._of_process = self._of_process.after_fork()
        return self._of_process

    def _draw(self, signature, digit, w, /, *, seed=None, deadline=None, **attributes):
        """Outputs of a signature that draws, and the seeds."""
        digit = arguments.integers("digit", digit)
        w = None if w is None else arguments.guidance(w)
        given = {} if seed is None else {"seed": arguments.integers("seed", seed)}
        arguments.rows(digit=digit, w=np.float32(0) if w is None else w, **given)  # fails before asking
        model, end = self._metadata(deadline)
        arguments.integers("digit", digit, model["num_classes"] - 1)
        given |= arguments.attributes(attributes, model.get("attributes", {}))
        rows, inputs = arguments.rows(digit=digit, w=np.float32(model["w"]) if w is None else w, **given)
        inputs |= {} if "seed" in inputs else {"seed": arguments.fresh_seeds(rows)}
        outputs = self._predict_rows(signature, inputs, model, end, steps=model["steps"])
        return outputs, np.array(inputs["seed"])

    def _predict_rows(self, signature, inputs, model, end, *, steps):
        """Outputs for any number of rows, in requests of as many as the model takes."""
        remote, outputs = self._model, output_specs(signature, model)
        end = end or Deadline(default_seconds(len(next(iter(inputs.values()))), steps))

        def ask(chunk):
            rows = len(next(iter(chunk.values())))
            return remote.predict(signature, chunk, end, outputs=outputs, rows=rows)

        return in_chunks(ask, inputs, model["max_batch"], remote.chunks)

    def _metadata(self, seconds):
        """The metadata, and the deadline of the call that needs it; None if it depends on the work to do."""
        end = self._deadline(seconds)
        return self._model.metadata(end or self._quick_deadline(None)), end

    def _deadline(self, seconds):
        seconds = self.deadline if seconds is None else seconds
        return None if seconds is None else Deadline(seconds)

    def _quick_deadline(self, seconds):
        """A deadline for a request that draws nothing."""
        return self._deadline(seconds) or Deadline(default_seconds(0, 0))
