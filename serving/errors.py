"""What can go wrong between a client and a server: one class for each kind, the same over gRPC and REST.

Every class is also the built-in exception that a caller would think of, so that `except ValueError` or
`except TimeoutError` is enough where nobody wants to know about servers. Their names are what happened, without the
ending "Error".
"""


class ServingError(Exception):
    """A request that failed.

    Args:
        message: One sentence for a person.
        code: Name of the gRPC status code.
    """

    code = "UNKNOWN"

    def __init__(self, message, *, code=None):
        super().__init__(message)
        self.code = code or self.code


class InvalidRequest(ServingError, ValueError):  # noqa: N818
    """What was asked for cannot be, now or later; found by the client or by the server."""

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


CLASSES = {
    "INVALID_ARGUMENT": InvalidRequest,
    "FAILED_PRECONDITION": InvalidRequest,  # TensorFlow Serving's answer to an unknown signature; 400 over REST
    "OUT_OF_RANGE": InvalidRequest,
    "NOT_FOUND": NotFound,
    "DEADLINE_EXCEEDED": DeadlineExceeded,
    "RESOURCE_EXHAUSTED": Overloaded,
    "UNAVAILABLE": Unavailable,
}


def closed():
    """The error of a request that the client itself ended."""
    return ServingError("The client is closed", code="CANCELLED")


def from_code(code, message):
    """The error of a status code's name, such as "NOT_FOUND"; a plain `ServingError` for the rare ones."""
    return CLASSES.get(code, ServingError)(message, code=code)


def wrong(name, expected, received):
    """The `InvalidRequest` that says what an argument must be, and what came."""
    return InvalidRequest(f"`{name}` must be {expected}. Received: {received!r:.60}")
