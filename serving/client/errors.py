"""What can go wrong between a client and a server: one class for each kind, the same over gRPC and REST.

Every class is also the built-in exception that a caller would think of, so `except ValueError` or `except TimeoutError`
works for code that knows nothing of servers. The names say what happened and leave out the ending "Error".
"""

import contextlib
from collections.abc import Iterator


class ServingError(Exception):
    """A request that failed.

    Args:
        message: One sentence for a person.
        code: Name of the gRPC status code.
    """

    code = "UNKNOWN"

    def __init__(self, message: str, *, code: str | None = None):
        super().__init__(message)
        self.code = code or self.code


class InvalidRequest(ServingError, ValueError):  # noqa: N818
    """The request is wrong and would fail again; the client or the server found out."""

    code = "INVALID_ARGUMENT"


class TooLarge(InvalidRequest):
    """A message is larger than the client or the server accepts."""


class NotFound(ServingError, LookupError):  # noqa: N818
    """The server has no such model, version or path."""

    code = "NOT_FOUND"


class DeadlineExceeded(ServingError, TimeoutError):  # noqa: N818
    """No answer came within the deadline."""

    code = "DEADLINE_EXCEEDED"


class Overloaded(ServingError):  # noqa: N818
    """The server's queue is full; the same request may succeed later."""

    code = "RESOURCE_EXHAUSTED"


class Unavailable(ServingError, ConnectionError):  # noqa: N818
    """No server answers, or it is not ready; the same request may succeed later."""

    code = "UNAVAILABLE"


CLASSES = {kind.code: kind for kind in (InvalidRequest, NotFound, DeadlineExceeded, Overloaded, Unavailable)}
CLASSES["FAILED_PRECONDITION"] = InvalidRequest  # TensorFlow Serving's answer to an unknown signature; 400 over REST
CLASSES["OUT_OF_RANGE"] = InvalidRequest


def from_code(code: str, message: str) -> ServingError:
    """The error for the name of a status code, such as "NOT_FOUND"; a plain `ServingError` for the rare ones."""
    return CLASSES.get(code, ServingError)(f"{message:.1000}", code=code)


def invalid(name: str, expected: str, received: object) -> InvalidRequest:
    """The error that says what an argument must be, and what came."""
    return InvalidRequest(f"`{name}` must be {expected}. Received: {received!r:.60}")


def client_closed() -> ServingError:
    """The error of a request that the client itself ended."""
    return ServingError("The client is closed", code="CANCELLED")


@contextlib.contextmanager
def reading_response() -> Iterator[None]:
    """Read a response that nobody vouches for: whatever goes wrong inside becomes a plain `ServingError`."""
    try:
        yield
    except Exception as error:  # MemoryError, RecursionError and KeyError too
        if type(error) is ServingError:
            raise
        reason = f"{type(error).__name__}: {error}"
        raise ServingError(f"The server's response cannot be read. {reason:.300}", code="INTERNAL") from error
