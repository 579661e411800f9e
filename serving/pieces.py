"""A large request as several small ones, sent at once, put together in order."""

import concurrent.futures

import numpy as np

from serving.errors import closed


def in_pieces(ask, inputs, size, pool):
    """Ask for any number of rows.

    Args:
        ask: Called with a piece of the inputs; returns a dict of name -> array with as many rows.
        inputs: dict of name -> array, all of N rows.
        size: Largest number of rows in a piece.
        pool: Executor in which the pieces are sent.

    Returns:
        dict of name -> array of N rows.

    Raises:
        Exception: what the first piece that fails raises; pieces not yet sent are not sent then.
    """
    rows = len(next(iter(inputs.values())))
    if rows <= size:
        return ask(inputs)
    starts = range(0, rows, size)
    cut = [{name: array[start : start + size] for name, array in inputs.items()} for start in starts]
    try:
        futures = [pool.submit(ask, piece) for piece in cut]
    except RuntimeError as error:  # the pool has shut down
        raise closed() from error
    try:
        done, _ = concurrent.futures.wait(futures, return_when=concurrent.futures.FIRST_EXCEPTION)
        for future in done:
            future.result()
    finally:
        for future in futures:
            future.cancel()
    parts = [future.result() for future in futures]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
