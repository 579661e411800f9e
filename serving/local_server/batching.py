"""Batching across clients: requests that wait together run together, in batches that their deadlines allow.

A network is faster with one batch of 16 than with 16 batches of 1. Whenever the model is free, the requests that wait
run next, so an idle server answers at once and a busy one forms batches by itself: there is no waiting time to tune.
(After a merged batch it pauses for a fiftieth of its run, since the same clients ask again.) A batch is padded to one
of a few sizes by repeating a real row, since each new size costs the runtime memory and time. A row never depends on
its neighbours, so nobody sees a difference.

The time that a batch of each size takes is measured (`run_times`). A batch takes the oldest request and, of those
behind it, as many as give the most rows a second, but never so many that a member would miss its deadline. A request
that cannot be answered in time, given what runs and what waits, is refused when it comes, and costs nothing.

Requests that cannot be merged (inputs of different lengths, no rows, more than the largest batch) run alone, and the
graph says what is wrong with them. A merged batch that the graph refuses is halved until the wrong request is alone.
"""

import asyncio
import collections
import concurrent.futures
import dataclasses
import itertools
import math
from collections.abc import Callable

from .errors import DEADLINE_EXCEEDED, INVALID_ARGUMENT, RESOURCE_EXHAUSTED, StatusError
from .merging import Limits, merge, split
from .run_times import RunTimes

PAUSE = 0.02  # share of the time that a merged batch took
LONGEST_PAUSE = 0.02  # seconds
ABOUT = 0.9  # of the best rate is as good


@dataclasses.dataclass(eq=False)
class Request:
    """A request in the queue."""

    inputs: dict
    outputs: tuple
    deadline: float
    result: asyncio.Future

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

    def __init__(self, run: Callable, limits: Limits, pool: concurrent.futures.Executor):
        self._run = run
        self._limits = limits
        self._pool = pool
        self._queue: collections.deque[Request] = collections.deque()
        self._worker: asyncio.Task | None = None
        self._free_at = 0.0  # when the running batch should be done
        self.times = RunTimes()

    async def submit(self, inputs: dict, outputs: tuple, *, timeout: float) -> dict:
        """Wait for one's turn and for the result.

        Args:
            inputs: dict of alias -> array.
            outputs: Aliases to compute.
            timeout: Seconds that the client will wait.

        Returns:
            dict of alias -> array.

        Raises:
            StatusError: what the model says; RESOURCE_EXHAUSTED if the queue is full, or too long for the deadline;
                DEADLINE_EXCEEDED.
        """
        loop = asyncio.get_running_loop()
        request = Request(inputs, outputs, loop.time() + timeout, loop.create_future())
        self._drop_dead(loop.time())
        self._check_queue(request, loop.time())
        self._queue.append(request)
        if self._worker is None:
            self._worker = loop.create_task(self._work())
        try:
            async with asyncio.timeout_at(request.deadline):
                return await request.result  # cancelled if the client hangs up: `_drop_dead` finds it so
        except TimeoutError:
            raise _too_late() from None

    async def drain(self) -> None:
        """Wait until nothing runs."""
        if self._worker is not None:
            await asyncio.wait([self._worker])

    def _check_queue(self, request, now):
        if len(self._queue) >= self._limits.queue:
            raise StatusError(
                RESOURCE_EXHAUSTED, f"The queue is full: {len(self._queue)} requests wait already. Try later."
            )
        if self._worker is not None and (wait := self._expected_wait(request, now)) > request.deadline - now:
            raise _cannot_be_in_time(request.deadline - now, wait)

    def _expected_wait(self, request, now):
        """Seconds until a request would be answered if it joined the queue."""
        wait, merged = max(0.0, self._free_at - now), 0
        for member in (*self._queue, request):
            if self._is_alone(member):
                wait += self._own_time(member)
            else:
                merged += member.rows
        if merged:
            sizes = [size for size in self._limits.sizes if size <= self._limits.max_rows] or [1]
            best = max(sizes, key=lambda size: (size / max(self.times.mean(size), 1e-9), size))
            full, rest = divmod(merged, best)
            wait += full * self.times.mean(best) + (self._seconds(rest) if rest else 0.0)
        return wait

    def _own_time(self, request):
        """Seconds that a request takes by itself."""
        return self._seconds(request.rows or 1)

    def _seconds(self, rows):
        """Seconds that so many rows take; more than the largest size count as that, since the graph refuses them."""
        return self.times.mean(min(self._limits.padded(rows), self._limits.sizes[-1]))

    async def _work(self):
        try:
            clock = asyncio.get_running_loop().time
            while members := self._next_batch():
                start = clock()
                await self._answer(members)
                if len(members) > 1:  # clients that were answered together ask again together
                    await asyncio.sleep(min(LONGEST_PAUSE, PAUSE * (clock() - start)))
        finally:
            self._worker = None

    def _next_batch(self):
        """Take the next members out of the queue: the oldest request, and those behind it that fit."""
        now = asyncio.get_running_loop().time()
        self._drop_dead(now)
        self._refuse_late(now)
        if not self._queue:
            return []
        head = self._queue[0]
        members = [head] if self._is_alone(head) else self._best_batch(head, now)
        taken = set(map(id, members))
        self._queue = collections.deque(request for request in self._queue if id(request) not in taken)
        return members

    def _best_batch(self, head, now):
        """The oldest request, and those behind it that make the most rows a second with it, all of them in time."""
        members, rows, deadline = [head], head.rows, head.deadline
        best, best_rate = 1, self._rate(rows)
        for request in itertools.islice(self._queue, 1, None):
            if self._is_alone(request) or request.kind != head.kind or rows + request.rows > self._limits.max_rows:
                continue
            end = now + self.times.bound(self._limits.padded(rows + request.rows))
            if end > deadline or not self.times:
                break
            if end > request.deadline:
                continue  # it would be late in this company
            members.append(request)
            rows, deadline = rows + request.rows, min(deadline, request.deadline)
            rate = self._rate(rows)
            if rate >= ABOUT * best_rate:  # then larger: more clients are answered together
                best = len(members)
            best_rate = max(best_rate, rate)
        return members[:best]

    def _rate(self, rows):
        """Rows a second; a size that never ran is tried."""
        size = self._limits.padded(rows)
        return rows / self.times.mean(size) if size in self.times else math.inf

    def _drop_dead(self, now):
        """Forget requests whose clients have gone, or whose time is over."""
        if any(request.result.done() or request.deadline <= now for request in self._queue):
            self._queue = collections.deque(r for r in self._queue if not r.result.done() and r.deadline > now)

    def _refuse_late(self, now):
        """Refuse requests that would be late even if they ran now, by themselves."""
        for request in list(self._queue):
            seconds = self._own_time(request)
            if len(self._queue) > 1 and now + seconds > request.deadline:
                request.result.set_exception(_cannot_be_in_time(request.deadline - now, seconds))
                self._queue.remove(request)

    def _is_alone(self, request):
        return request.rows is None or not 0 < request.rows <= self._limits.max_rows

    async def _answer(self, members):
        try:
            results = await self._run_batch(members)
        except StatusError as error:
            if error.code == INVALID_ARGUMENT and len(members) > 1:
                half = len(members) // 2
                await self._answer(members[:half])
                await self._answer(members[half:])
                return
            results = [error] * len(members)
        except Exception as error:
            results = [error] * len(members)
        for member, result in zip(members, results):
            if member.result.done():
                continue
            if isinstance(result, Exception):
                member.result.set_exception(result)
            else:
                member.result.set_result(result)

    async def _run_batch(self, members):
        """Run members as one batch until the last of them would stop waiting."""
        loop = asyncio.get_running_loop()
        members_left = [member for member in members if not member.result.done()]
        if not members_left:
            raise _too_late()
        deadline = max(member.deadline for member in members_left)
        outputs = tuple(dict.fromkeys(alias for member in members for alias in member.outputs))
        alone = self._is_alone(members[0])
        inputs = members[0].inputs if alone else merge([member.inputs for member in members], self._limits)
        rows = sum(member.rows or 1 for member in members)
        self._free_at, size = loop.time() + self._seconds(rows), self._limits.padded(rows)
        start = loop.time()
        try:
            result = await loop.run_in_executor(self._pool, self._run_until, deadline, loop.time, inputs, outputs)
        except StatusError as error:
            if error.code == DEADLINE_EXCEEDED:
                self.times.add(size, max(loop.time() - start, self.times.mean(size)))  # at least so long
            raise
        self.times.add(size, loop.time() - start)
        return [result] if alone else split(result, members)

    def _run_until(self, deadline, clock, inputs, outputs):
        timeout = deadline - clock()  # only now: the thread may have been long in coming
        if timeout <= 0:
            raise _too_late()
        return self._run(inputs, outputs, timeout=timeout)


def _too_late():
    return StatusError(DEADLINE_EXCEEDED, "Deadline exceeded")


def _cannot_be_in_time(left, wait):
    return StatusError(
        RESOURCE_EXHAUSTED,
        f"The deadline, in {max(0, left):.1f} s, is too soon: it takes {wait:.1f} s now. Try later.",
    )
