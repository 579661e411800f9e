"""The client: `Client("localhost:8500").sample([3, 3, 7], w=3.0)` -> images, and the seeds that draw them again.

Each image depends on its own digit, w and seed and on nothing else. So a request may be cut into pieces of the size
that the server takes, sent at once, and tried again, and its pictures stay the same.
"""

import concurrent.futures
import functools

import numpy as np

from serving import arguments
from serving.connection import Connection, open_wire
from serving.deadline import Deadline, default_seconds
from serving.errors import wrong
from serving.pieces import in_pieces
from serving.results import Denoised, Drawn, Encoded, Trajectory
from serving.status import Target
from serving.waiting import wait_until_available

MAX_MESSAGE_BYTES = 256 * 2**20
CALLS = 16  # of `submit`, at once; the others wait for their turn
PIECES = 4  # of large requests, at once
UNKNOWN_STEPS = 1000  # of a model that does not say how many it takes


class Client:
    """One model on one server, over gRPC or REST; it may be used from several threads.

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
        InvalidRequest: for an argument that cannot be; nothing is sent yet.

    Example:
        >>> with Client("localhost:8500") as client:
        ...     images, seeds = client.sample([3, 3, 7], w=3.0)
        >>> images.shape
        (3, 28, 28)
    """

    def __init__(
        self,
        address,
        *,
        model="ddpm",
        version=None,
        label=None,
        deadline=None,
        retries=4,
        tls=None,
        max_message_bytes=MAX_MESSAGE_BYTES,
    ):
        target = Target(model, version, label).check()
        if type(max_message_bytes) is not int or not 0 < max_message_bytes < 2**31:
            raise wrong("max_message_bytes", "in 1..2^31 - 1, an integer", max_message_bytes)
        if deadline is not None:
            Deadline(deadline)
        self.address, self.deadline = address, deadline
        wire = open_wire(address, target, tls=tls, max_message_bytes=max_message_bytes)
        self._connection = Connection(address, target, wire, retries=retries)
        self._calls = concurrent.futures.ThreadPoolExecutor(CALLS, "serving-call")  # threads start when needed
        self._pieces = concurrent.futures.ThreadPoolExecutor(PIECES, "serving-piece")  # two: a call waits for pieces

    def sample(self, digit, w=None, *, seed=None, deadline=None):
        """Draw images of digits.

        Args:
            digit: int or array of ints, 0 ... 9 (or the model's number of classes).
            w: Guidance, float or array; None: the model's own.
            seed: int or array of ints in 0 ... 2^63 - 1; None draws fresh seeds.
            deadline: Seconds, instead of the client's.

        Returns:
            `Drawn`: images uint8 (N, H, W) and seeds int64 (N,), N from NumPy's broadcasting (1 for scalars).

        Raises:
            InvalidRequest: before anything is drawn, for a digit, w or seed that cannot be.
            ServingError: one of its other classes, when no answer comes.
        """
        outputs, seeds = self._draw("sample", digit, w, seed, deadline)
        images = outputs["image"]
        return Drawn(images[..., 0] if images.shape[-1] == 1 else images, seeds)

    def sample_png(self, digit, w=None, *, seed=None, deadline=None):
        """Draw images of digits as PNG files.

        Args:
            digit, w, seed, deadline: See `sample`.

        Returns:
            `Encoded`: list of N bytes, and seeds int64 (N,).

        Raises:
            ServingError: see `sample`.
        """
        outputs, seeds = self._draw("sample_png", digit, w, seed, deadline)
        return Encoded(list(outputs["image_bytes"]), seeds)

    def trajectory(self, digit, w=None, *, seed=None, deadline=None):
        """Draw images of digits, with some of the states on the way.

        Args:
            digit, w, seed, deadline: See `sample`.

        Returns:
            `Trajectory`: x_t float32 (N, K, H, W, C), t int32 (N, K) and seeds int64 (N,).

        Raises:
            ServingError: see `sample`.
        """
        outputs, seeds = self._draw("trajectory", digit, w, seed, deadline)
        return Trajectory(outputs["x_t"], outputs["t"], seeds)

    def denoise(self, x_t, t, digit, w=None, *, deadline=None):
        """Call the network once, with guidance.

        Args:
            x_t: float (N, H, W, C), noisy images.
            t: int or array of ints, 0 ... T - 1.
            digit, w, deadline: See `sample`.

        Returns:
            `Denoised`: eps and x_0, float32 (N, H, W, C).

        Raises:
            ServingError: see `sample`.
        """
        t, digit, w = arguments.integers("t", t), arguments.integers("digit", digit), _guidance(w)
        model, end = self._model(deadline)
        shape = (None, *model["image_shape"])
        x_t = np.asarray(x_t)
        if x_t.dtype.kind not in "iuf" or x_t.ndim != len(shape) or x_t.shape[1:] != shape[1:] or not len(x_t):
            raise wrong("x_t", f"numbers (N, {', '.join(map(str, shape[1:]))})", f"{x_t.dtype} {x_t.shape}")
        arguments.integers("t", t, model["T"] - 1)
        arguments.integers("digit", digit, model["num_classes"] - 1)
        w = np.float32(model["w"]) if w is None else w
        rows, inputs = arguments.rows(x_t=np.empty(len(x_t)), t=t, digit=digit, w=w)
        if rows != len(x_t):
            raise wrong("x_t", f"{rows} images, as many as digits", len(x_t))
        end = end or Deadline(default_seconds(rows, 1))
        return Denoised(**self._ask("denoise", inputs | {"x_t": x_t}, end, model["max_batch"]))

    def predict(self, signature, inputs, *, deadline=None):
        """Send one request to any signature of the model, as it is.

        Args:
            signature: Its name.
            inputs: dict of name -> anything like an array.
            deadline: See `sample`.

        Returns:
            dict of name -> array.

        Raises:
            InvalidRequest: naming what is wrong, and what the signature wants.
            ServingError: see `sample`.
        """
        sized = [value for value in inputs.values() if hasattr(value, "__len__") and getattr(value, "ndim", 1)]
        rows = max(map(len, sized), default=1)
        end = self._deadline(deadline) or Deadline(default_seconds(max(rows, 1), UNKNOWN_STEPS))
        return self._connection.predict(signature, inputs, end)

    def submit(self, digit, w=None, *, seed=None, deadline=None):
        """`sample` in a thread of its own; in a coroutine, `await asyncio.wrap_future(client.submit(7))`.

        Args:
            digit, w, seed, deadline: See `sample`.

        Returns:
            `concurrent.futures.Future` of a `Drawn`; errors come from its `result()`. Sixteen run at once, and the
            deadline of each counts from its start.

        Raises:
            ServingError: if the client is closed.
        """
        self._connection.check_open()
        return self._calls.submit(self.sample, digit, w, seed=seed, deadline=deadline)

    def metadata(self, *, deadline=None):
        """What the model says of itself, a dict: sampler, steps, w, num_classes, max_batch and more."""
        return dict(self._model(deadline)[0])

    def signatures(self, *, deadline=None):
        """The model's functions, dict of name -> `Signature` with the dtypes and shapes of inputs and outputs."""
        return dict(self._connection.signatures(self._asking(deadline)))

    def status(self, *, deadline=None):
        """The model's versions, a list of `VersionStatus` (version, state, error)."""
        return self._connection.status(self._asking(deadline))

    def wait_ready(self, timeout=60.0):
        """Wait until the server has the model, loaded and AVAILABLE; a connection alone is not enough.

        Args:
            timeout: Seconds.

        Returns:
            The client itself.

        Raises:
            DeadlineExceeded: saying what the server answered last.
            InvalidRequest: if waiting cannot help.
        """
        wait_until_available(self._connection, Deadline(timeout))
        return self

    def close(self):
        """End the connection; calls under way fail."""
        self._connection.close()
        for pool in (self._calls, self._pieces):
            pool.shutdown(wait=False)  # what still waits finds the connection closed

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()

    def __repr__(self):
        return f"Client({self.address!r}, model={self._connection.target.model!r})"

    def _draw(self, signature, digit, w, seed, deadline):
        """Outputs of a signature that draws, and the seeds."""
        digit, w = arguments.integers("digit", digit), _guidance(w)
        given = {} if seed is None else {"seed": arguments.integers("seed", seed)}
        rows, _ = arguments.rows(digit=digit, w=np.float32(0) if w is None else w, **given)  # fails before asking
        model, end = self._model(deadline)
        arguments.integers("digit", digit, model["num_classes"] - 1)
        given = given or {"seed": arguments.fresh_seeds(rows)}
        rows, inputs = arguments.rows(digit=digit, w=np.float32(model["w"]) if w is None else w, **given)
        end = end or Deadline(default_seconds(rows, model["steps"]))
        return self._ask(signature, inputs, end, model["max_batch"]), np.array(inputs["seed"])

    def _ask(self, signature, inputs, end, size):
        """Outputs for any number of rows, in requests of at most `size`."""
        ask = functools.partial(self._connection.predict_rows, signature, deadline=end)
        return in_pieces(ask, inputs, size, self._pieces)

    def _model(self, deadline):
        """The metadata, and the deadline of the call that asks; None if it is for the call to find."""
        end = self._deadline(deadline)
        return self._connection.metadata(end or self._asking(None)), end

    def _deadline(self, seconds):
        seconds = self.deadline if seconds is None else seconds
        return None if seconds is None else Deadline(seconds)

    def _asking(self, seconds):
        """A deadline for what is no work."""
        return self._deadline(seconds) or Deadline(default_seconds(0, 0))


def _guidance(w):
    return None if w is None else arguments.guidance(w)
