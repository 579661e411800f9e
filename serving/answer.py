"""How large an answer may be: asked before it is encoded, since encoding is what would cost the memory and the time.

A client that is told so asks for less; asking again would not help, so it is INVALID_ARGUMENT (400 over REST) and not
the RESOURCE_EXHAUSTED of a full queue.
"""

from serving.refusal import INVALID_ARGUMENT, RefusalError

MAX_ANSWER = 64 * 2**20  # bytes


def check_size(outputs):
    """Refuse outputs that are larger than an answer may be.

    Args:
        outputs: dict of alias -> array; strings are bytes in an object array.

    Returns:
        Their bytes as arrays; on the wire they are about as many, and as JSON some more.

    Raises:
        RefusalError: if they are more than MAX_ANSWER.
    """
    size = sum(array.nbytes for array in outputs.values())
    size += sum(len(item) for array in outputs.values() if array.dtype.kind == "O" for item in array.flat)
    if size > MAX_ANSWER:
        raise too_large(size)
    return size


def too_large(size):
    """The refusal of an answer of so many bytes."""
    return RefusalError(
        INVALID_ARGUMENT, f"An answer must have at most {MAX_ANSWER} bytes, this one has {size}. Ask for fewer rows."
    )
