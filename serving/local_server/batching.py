"""Batching across clients: requests that wait together run together.

A network is faster with one batch of 16 than with 16 batches of 1. Whenever the model is free, everything that waits
(up to the largest batch) runs next, so an idle server answers at once and a busy one forms batches by itself: there is
no waiting time to tune. (After a merged batch it pauses for a fiftieth of its run, since the same clients ask again.) A
batch is padded to one of a few sizes by repeating a real row, since each new size costs the runtime memory and time. A
row never depends on its neighbours, so nobody sees a difference.

What cannot be merged (rows that do not fit together, none at all, more than the largest batch) runs alone, as it came,
and the graph says what is wrong with it. If a merged batch is refused, each member runs alone: only the guilty hear it.
"""

import asyncio
import collections
import dataclasses
import time

import numpy as np

from .errors import DEADLINE_EXCEEDED, INVALID_ARGUMENT, RESOURCE_EXHAUSTED, StatusError

PAUSE = 0.02  # share of the time that a merged batch took
LONGEST_PAUSE = 0.02  # seconds


@dataclasses.dataclass(frozen=True)
class Limits:
    """How large batches are.

    Args:
        max_rows: Rows that may be merged; 0 merges nothing.
        sizes: Sizes to pad to, rising.
        queue: Requests that may wait.
    """

    max_rows: int
    sizes: tuple[int, ...]
    queue: int


@dataclasses.dataclass(eq=False)
class Waiting:
    """A request in the queue."""

    inputs: dict
    outputs: tuple
    deadline: float
    answer: asyncio.Future

    def __post_init__(self):
        rows = {array.shape[0] if array.ndim else None for array in self.inputs.values()}
        self.rows = rows.pop() if len(rows) == 1 else None
        self.kind = sorted((alias, array.shape[1:]) for alias, array in self.inputs.items())


class Batcher:
    """The queue of one signature; belongs to one event loop.

    Args:
        run: Function of inputs, outputs and a timeout in seconds that runs the model in the calling thread.
        limits: Limits.
        pool: Executor for the runs.
    """

    def __init__(self, run, limits, pool):
        self._run = run
        self._limits = limits
        self._pool = pool
        self._queue = collections.deque()
        self._worker = None

    async def submit(self, inputs, outputs, *, timeout):
        """Wait for one's turn and for the answer.

        Args:
            inputs: dict of alias -> array.
            outputs: Aliases to compute.
            timeout: Seconds that the client will wait.

        Returns:
            dict of alias -> array.

        Raises:
            StatusError: what the model says; RESOURCE_EXHAUSTED if the queue is full; DEADLINE_EXCEEDED.
        """
        self._drop_gone()
        if len(self._queue) >= self._limits.queue:
            raise StatusError(
                RESOURCE_EXHAUSTED, f"The queue is full: {len(self._queue)} requests wait already. Try later."
            )
        loop = asyncio.get_running_loop()
        waiting = Waiting(inputs, outputs, loop.time() + timeout, loop.create_future())
        self._queue.append(waiting)
        if self._worker is None:
            self._worker = loop.create_task(self._work())
        try:
            async with asyncio.timeout_at(waiting.deadline):
                return await waiting.answer  # cancelled if the client hangs up: `_drop_gone` finds it so
        except TimeoutError:
            raise _too_late() from None

    async def drain(self):
        """Wait until nothing runs."""
        if self._worker is not None:
            await asyncio.wait([self._worker])

    async def _work(self):
        try:
            while members := self._take():
                start = time.monotonic()
                await self._answer(members)
                if len(members) > 1:  # who was answered together asks again together: the first shall not run alone
                    await asyncio.sleep(min(LONGEST_PAUSE, PAUSE * (time.monotonic() - start)))
        finally:
            self._worker = None

    def _take(self):
        """The next members of a batch: the oldest request, and those after it that fit."""
        self._drop_gone()
        if not self._queue:
            return []
        members = [self._queue.popleft()]
        rows = members[0].rows
        if self._alone(members[0]):
            return members
        while self._queue and not self._alone(self._queue[0]) and self._queue[0].kind == members[0].kind:
            rows += self._queue[0].rows
            if rows > self._limits.max_rows:
                break
            members.append(self._queue.popleft())
        return members

    def _drop_gone(self):
        now = asyncio.get_running_loop().time()
        if any(waiting.answer.done() or waiting.deadline <= now for waiting in self._queue):
            self._queue = collections.deque(w for w in self._queue if not w.answer.done() and w.deadline > now)

    def _alone(self, waiting):
        return waiting.rows is None or not 0 < waiting.rows <= self._limits.max_rows

    async def _answer(self, members):
        try:
            answers = await self._run_merged(members)
        except StatusError as refusal:
            if refusal.code == INVALID_ARGUMENT and len(members) > 1:
                for member in members:
                    await self._answer([member])
                return
            answers = [refusal] * len(members)
        except Exception as error:
            answers = [error] * len(members)
        for member, answer in zip(members, answers):
            if member.answer.done():
                continue
            if isinstance(answer, Exception):
                member.answer.set_exception(answer)
            else:
                member.answer.set_result(answer)

    async def _run_merged(self, members):
        """Run members as one batch until the last of them would stop waiting."""
        loop = asyncio.get_running_loop()
        deadline = max(member.deadline for member in members)
        if all(member.answer.done() for member in members):
            raise _too_late()
        outputs = tuple(dict.fromkeys(alias for member in members for alias in member.outputs))
        if self._alone(members[0]):
            inputs = members[0].inputs
        else:
            inputs = merge([member.inputs for member in members], self._limits.sizes)
        result = await loop.run_in_executor(self._pool, self._run_until, deadline, loop.time, inputs, outputs)
        return [result] if self._alone(members[0]) else split(result, members)

    def _run_until(self, deadline, clock, inputs, outputs):
        timeout = deadline - clock()  # only now: the thread may have been long in coming
        if timeout <= 0:
            raise _too_late()
        return self._run(inputs, outputs, timeout)


def merge(rows, sizes):
    """Requests one below the other, padded by repeating the last row.

    Args:
        rows: list of dict of alias -> array.
        sizes: Sizes to pad to, rising; a batch larger than all stays as it is.

    Returns:
        dict of alias -> array.
    """
    count = sum(len(next(iter(inputs.values()))) for inputs in rows)
    padding = next((size for size in sizes if size >= count), count) - count
    merged = {}
    for alias in rows[0]:
        parts = [inputs[alias] for inputs in rows]
        parts += [parts[-1][-1:]] * padding
        merged[alias] = np.concatenate(parts) if len(parts) > 1 else parts[0]
    return merged


def split(result, members):
    """Each member's own rows of its own outputs.

    Args:
        result: dict of alias -> array, of all members and of padding.
        members: list of Waiting.

    Returns:
        list of dict of alias -> array.
    """
    answers, start = [], 0
    for member in members:
        answers.append({alias: result[alias][start : start + member.rows] for alias in member.outputs})
        start += member.rows
    return answers


def _too_late():
    return StatusError(DEADLINE_EXCEEDED, "Deadline exceeded")
