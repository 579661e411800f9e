"""Functions of images that remember their results, so that metrics can share a judge's work."""

import hashlib
from collections.abc import Callable
from typing import Any

import numpy as np


def memoize(function: Callable[[np.ndarray], Any]) -> Callable[[np.ndarray], Any]:
    """Wraps a function of images so that the same images are computed once only.

    Args:
        function: Function of one array.

    Returns:
        The same function. Results are looked up by the array's content, and kept as long as the returned function.
    """
    results = {}

    def remembered(images):
        key = hashlib.sha256(np.ascontiguousarray(images)).digest()
        if key not in results:
            results[key] = function(images)
        return results[key]

    return remembered
