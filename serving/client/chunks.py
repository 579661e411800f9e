"""A large request as several small ones, sent at once, their results put together in order."""

import concurrent.futures
from collections.abc import Callable

import numpy as np

from .errors import client_closed, reading_response

Arrays = dict[str, np.ndarray]  # by name, all with the same number of rows


def in_chunks(ask: Callable[[Arrays], Arrays], inputs: Arrays, size: int, pool: concurrent.futures.Executor) -> Arrays:
    """Ask for any number of rows, in chunks of at most `size` rows that are sent from a pool.

    Raises:
        Exception: what the first chunk that fails raises; chunks not yet sent are not sent then.
    """
    rows = len(next(iter(inputs.values())))
    if rows <= size:
        return ask(inputs)
    chunks = [{name: array[i : i + size] for name, array in inputs.items()} for i in range(0, rows, size)]
    try:
        futures = [pool.submit(ask, chunk) for chunk in chunks]
    except RuntimeError as error:  # the pool has shut down
        raise client_closed() from error
    try:
        done, _ = concurrent.futures.wait(futures, return_when=concurrent.futures.FIRST_EXCEPTION)
        for future in done:
            future.result()
    finally:
        for future in futures:
            future.cancel()
    results = [future.result() for future in futures]
    with reading_response():  # free sizes may differ from chunk to chunk
        return {name: np.concatenate([result[name] for result in results]) for name in results[0]}
