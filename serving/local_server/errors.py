"""Why a request fails: one of gRPC's status codes, as a number, and a sentence.

TensorFlow, gRPC and REST share these codes, so one exception serves all three.
"""

import re

import tensorflow as tf

INVALID_ARGUMENT = 3
DEADLINE_EXCEEDED = 4
NOT_FOUND = 5
RESOURCE_EXHAUSTED = 8
FAILED_PRECONDITION = 9
UNIMPLEMENTED = 12
INTERNAL = 13
UNAVAILABLE = 14

LONGEST_MESSAGE = 1000  # gRPC sends it as a header, and headers are limited to 8 KiB
ASSERTION = re.compile(r"assertion failed: \[(.*)\]", re.DOTALL)


class StatusError(Exception):
    """A request that ends in an error.

    Args:
        code: Number of a gRPC status code.
        message: What was expected and what came.
    """

    def __init__(self, code: int, message: str):
        self.code = code
        self.message = message if len(message) <= LONGEST_MESSAGE else message[: LONGEST_MESSAGE - 3] + "..."
        super().__init__(self.message)


def from_tensorflow(error: tf.errors.OpError) -> StatusError:
    """What an error of a session says, with the same code and without the names of nodes."""
    message = (error.message or type(error).__name__).removeprefix("Graph execution error:").split("\n\t [[")[0].strip()
    assertion = ASSERTION.search(message)
    if assertion:  # [what should hold] [a value] ... [Condition x < y did not hold element-wise:] [x] ...
        message = assertion.group(1).split("] [Condition ")[0].replace("] [", " ").strip()
    return StatusError(error.error_code, message)
