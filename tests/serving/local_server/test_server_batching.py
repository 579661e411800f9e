"""Batching across clients, with a model of three lines: what merges, what waits, and who gets an error."""

import asyncio
import concurrent.futures
import random
import threading

import numpy as np
import pytest

from serving.local_server import batching
from serving.local_server.errors import DEADLINE_EXCEEDED, INVALID_ARGUMENT, RESOURCE_EXHAUSTED, StatusError
from serving.local_server.merging import Limits, merge
from serving.local_server.run_times import RunTimes


class Model:
    """Doubles `x`, refuses 13, and stands still while `gate` is closed."""

    def __init__(self):
        self.batches = []
        self.gate = threading.Event()
        self.gate.set()
        self.started = threading.Event()

    def run(self, inputs, outputs, timeout):
        self.batches.append(inputs["x"].tolist())
        self.timeout = timeout
        self.started.set()
        assert self.gate.wait(10)
        if 13 in inputs["x"]:
            raise StatusError(INVALID_ARGUMENT, "13")
        everything = {"y": 2 * inputs["x"], "z": -inputs["x"]}
        return {name: everything[name] for name in outputs}


def in_loop(scenario, *, max_rows=8, queue=64, model=None):
    """Run `scenario(batcher, model)` in an event loop."""

    async def run():
        nonlocal model
        model = model or Model()
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            batcher = batching.Batcher(model.run, Limits(max_rows, (1, 2, 4, 8), queue), pool)
            try:
                await scenario(batcher, model)
            finally:
                model.gate.set()
                await batcher.drain()

    asyncio.run(run())


def ask(batcher, *values, outputs=("y",), timeout=10, shape=()):
    """A task that submits one request."""
    x = np.broadcast_to(np.reshape(values, (-1, *[1] * len(shape))), (len(values), *shape))
    return asyncio.ensure_future(batcher.submit({"x": x}, outputs, timeout=timeout))


async def busy(batcher, model):
    """Start a request that stands still, so that the next ones wait."""
    model.gate.clear()
    task = ask(batcher, 0)
    assert await asyncio.to_thread(model.started.wait, 10)
    return task


async def go_on(model, first, *tasks, **how):
    """Let a busy model run what waits: what `asyncio.gather` gives of the tasks."""
    await asyncio.sleep(0)
    model.gate.set()
    await first
    return await asyncio.gather(*tasks, **how)


def test_requests_that_wait_together_run_together_and_get_their_own_rows():
    async def scenario(batcher, model):
        first = await busy(batcher, model)
        tasks = [ask(batcher, 1, 2), ask(batcher, 3, outputs=("z",)), ask(batcher, 4, 5, outputs=("y", "z"))]
        answers = [{n: a.tolist() for n, a in answer.items()} for answer in await go_on(model, first, *tasks)]
        assert answers == [{"y": [2, 4]}, {"z": [-3]}, {"y": [8, 10], "z": [-4, -5]}]
        assert model.batches == [[0], [1, 2, 3, 4, 5, 5, 5, 5]]  # padded to 8 by a real row

    in_loop(scenario)


def test_an_idle_model_runs_a_request_at_once_and_alone():
    async def scenario(batcher, model):
        for value in (1, 2):
            assert (await ask(batcher, value))["y"].tolist() == [2 * value]
        assert model.batches == [[1], [2]]

    in_loop(scenario)


@pytest.mark.parametrize(
    "max_rows, batches", [(8, [[1, 2, 3]]), (2, [[1, 2], [3]]), (1, [[1], [2], [3]]), (0, [[1], [2], [3]])]
)
def test_batches_have_at_most_max_rows(max_rows, batches):
    async def scenario(batcher, model):
        first = await busy(batcher, model)
        tasks = [ask(batcher, value) for value in (1, 2, 3)]
        await go_on(model, first, *tasks)
        assert [list(dict.fromkeys(batch)) for batch in model.batches[1:]] == batches

    in_loop(scenario, max_rows=max_rows)


@pytest.mark.parametrize("odd", [(), tuple(range(9))])
def test_what_cannot_be_merged_runs_alone_as_it_came(odd):
    async def scenario(batcher, model):
        first = await busy(batcher, model)
        tasks = [ask(batcher, 1), ask(batcher, *odd), ask(batcher, 2)]
        await go_on(model, first, *tasks)
        assert model.batches[1:] == [[1, 2], list(odd)]

    in_loop(scenario)


def test_rows_of_different_shapes_are_not_merged():
    async def scenario(batcher, model):
        first = await busy(batcher, model)
        tasks = [ask(batcher, 1, shape=(2,)), ask(batcher, 2, shape=(3,))]
        assert [answer["y"].shape for answer in await go_on(model, first, *tasks)] == [(1, 2), (1, 3)]

    in_loop(scenario)


def test_an_error_reaches_only_the_request_that_caused_it():
    async def scenario(batcher, model):
        first = await busy(batcher, model)
        tasks = [ask(batcher, 1), ask(batcher, 13), ask(batcher, 2)]
        answers = await go_on(model, first, *tasks, return_exceptions=True)
        assert [answers[0]["y"].tolist(), answers[1].code, answers[2]["y"].tolist()] == [[2], INVALID_ARGUMENT, [4]]

    in_loop(scenario)


def test_a_full_queue_refuses():
    async def scenario(batcher, model):
        first = await busy(batcher, model)
        tasks = [ask(batcher, value) for value in (1, 2, 3)]
        await asyncio.sleep(0)
        assert tasks[2].done() and tasks[2].exception().code == RESOURCE_EXHAUSTED
        model.gate.set()
        await asyncio.gather(first, *tasks[:2])

    in_loop(scenario, queue=2)


def test_a_client_that_hangs_up_leaves_the_queue_and_costs_no_work():
    async def scenario(batcher, model):
        first = await busy(batcher, model)
        tasks = [ask(batcher, value) for value in (1, 2)]
        await asyncio.sleep(0)
        tasks[0].cancel()
        await asyncio.sleep(0)
        await go_on(model, first, tasks[1], ask(batcher, 3))  # there is room again
        assert model.batches == [[0], [2, 3]]

    in_loop(scenario, queue=2)


def test_a_deadline_that_passes_in_the_queue_costs_no_work():
    async def scenario(batcher, model):
        first = await busy(batcher, model)
        with pytest.raises(StatusError) as refusal:
            await ask(batcher, 1, timeout=0.05)
        assert refusal.value.code == DEADLINE_EXCEEDED
        model.gate.set()
        await first
        assert model.batches == [[0]]

    in_loop(scenario)


def test_a_deadline_that_passes_before_a_thread_is_free_costs_no_work():
    async def scenario(batcher, model):
        model.gate.clear()
        batcher._pool.submit(model.gate.wait, 10)  # the only thread
        with pytest.raises(StatusError) as refusal:
            await ask(batcher, 1, timeout=0.05)
        assert refusal.value.code == DEADLINE_EXCEEDED
        model.gate.set()
        await batcher.drain()
        assert model.batches == []

    in_loop(scenario)


def test_a_batch_may_run_until_its_last_deadline():
    async def scenario(batcher, model):
        first = await busy(batcher, model)
        tasks = [ask(batcher, 1, timeout=1000), ask(batcher, 2, timeout=20)]
        await go_on(model, first, *tasks)
        assert 900 < model.timeout <= 1000

    in_loop(scenario)


def test_a_bug_in_the_model_reaches_everybody_and_the_queue_goes_on():
    async def scenario(batcher, model):
        first = await busy(batcher, model)
        tasks = [ask(batcher, 1, outputs=("nope",)), ask(batcher, 2)]
        answers = await go_on(model, first, *tasks, return_exceptions=True)
        assert all(isinstance(answer, KeyError) for answer in answers)
        assert (await ask(batcher, 3))["y"].tolist() == [6]

    in_loop(scenario)


@pytest.mark.parametrize("count, padded", [(1, 1), (2, 2), (3, 4), (5, 8), (9, 9)])
def test_merged_rows_are_padded_to_the_next_size(count, padded):
    [merged] = merge([{"x": np.arange(count)}], Limits(8, (1, 2, 4, 8), 1)).values()
    assert merged.tolist() == [*range(count), *[count - 1] * (padded - count)]


def learnt(batcher):
    """Seconds that are long beside what the tests take: 1, 2, 3 and 5 for 1, 2, 4 and 8 rows."""
    for size, seconds in ((1, 1.0), (2, 2.0), (4, 3.0), (8, 5.0)):
        batcher.times.add(size, seconds)


def test_a_request_that_cannot_be_in_time_is_refused_at_once_and_costs_nothing():
    async def scenario(batcher, model):
        first = await busy(batcher, model)
        learnt(batcher)
        tasks = [ask(batcher, value, timeout=60) for value in range(9)]  # 5 s, and 1 s
        await asyncio.sleep(0)
        with pytest.raises(StatusError, match=r"in [56]\.\d s, is too soon: it takes 7\.0 s") as error:
            await ask(batcher, 99, timeout=6)
        assert error.value.code == RESOURCE_EXHAUSTED and len(model.batches) == 1
        model.gate.set()
        await asyncio.gather(first, *tasks)
        assert not any(99 in batch for batch in model.batches)

    in_loop(scenario)


def test_a_request_beyond_the_largest_batch_is_for_the_graph_to_refuse():
    async def scenario(batcher, model):
        batcher.times.add(8, 0.1)
        first = await busy(batcher, model)
        [answer] = await go_on(model, first, ask(batcher, *[1] * 10_000, timeout=5))
        assert len(answer["y"]) == 10_000  # in proportion to 8 rows it would have been too late

    in_loop(scenario)


def test_a_batch_is_no_larger_than_its_deadlines_allow():
    async def scenario(batcher, model):
        first = await busy(batcher, model)
        learnt(batcher)
        tasks = [ask(batcher, value, timeout=3.9 if value < 4 else 60) for value in range(8)]
        await go_on(model, first, *tasks)
        assert model.batches[1:] == [[0, 1, 2, 3], [4, 5, 6, 7]]  # 8 rows would take 5 s, more than the first four have

    in_loop(scenario)


class SimulatedTime(asyncio.SelectorEventLoop):
    """An event loop whose clock jumps to the next event; a batch of n rows takes 0.08 + 0.06 n seconds."""

    now = 0.0

    def time(self):
        return self.now

    def _run_once(self):
        if not self._ready and self._scheduled:
            self.now = max(self.now, self._scheduled[0].when())
        super()._run_once()

    def run_in_executor(self, pool, function, deadline, clock, inputs, outputs):
        future, rows = self.create_future(), len(inputs["x"])

        def end():
            try:
                future.set_result(function(deadline, clock, inputs, outputs))
            except Exception as error:
                future.set_exception(error)

        self.call_at(min(deadline, self.now + 0.08 + 0.06 * rows), end)
        return future


def goodput(load, *, seconds=120):
    """Answers in time a second, of requests at random times with deadlines of 1 to 4 s, and the share of late ones."""
    draw, loop = random.Random(0), SimulatedTime()
    sizes = (1, 2, 4, 8, 16, 32, 64)

    async def scenario():
        batcher, tasks, at = batching.Batcher(Model().run, Limits(64, sizes, 64), None), [], 0.0
        while (at := at + draw.expovariate(load)) < seconds:
            await asyncio.sleep(at - loop.time())
            tasks.append(ask(batcher, 1, timeout=draw.uniform(1, 4)))
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        await batcher.drain()
        late = sum(getattr(answer, "code", None) == DEADLINE_EXCEEDED for answer in answers)
        return sum(isinstance(answer, dict) for answer in answers) / seconds, late / len(answers)

    try:
        return loop.run_until_complete(scenario())
    finally:
        loop.close()


def test_under_twice_the_load_as_many_are_answered_in_time_and_the_others_refused_at_once():
    capacity = 1 / 0.06
    at_capacity, under_twice = goodput(capacity), goodput(2 * capacity)
    assert at_capacity[0] >= 0.6 * capacity  # batches of 8 make 0.86 of it
    assert under_twice[0] >= 0.9 * at_capacity[0] and under_twice[1] < 0.02


def test_a_wrong_request_among_many_costs_few_runs():
    async def scenario(batcher, model):
        first = await busy(batcher, model)
        tasks = [ask(batcher, value) for value in (1, 2, 3, 13, 5, 6, 7, 8)]
        answers = await go_on(model, first, *tasks, return_exceptions=True)
        assert [isinstance(answer, StatusError) for answer in answers] == [value == 3 for value in range(8)]
        assert len(model.batches) == 1 + 7  # all, two halves of each wrong part, three times

    in_loop(scenario)


def test_neighbours_bound_what_a_size_takes():
    times = RunTimes()
    assert times.mean(4) == times.bound(4) == 0 and not times
    times.add(4, 1.0)
    assert [times.mean(size) for size in (1, 4, 8, 16)] == [1.0, 1.0, 2.0, 4.0]
    times.add(16, 2.0)
    assert [times.mean(size) for size in (8, 16, 32)] == [2.0, 2.0, 4.0]
    for _ in range(50):
        times.add(1, 0.1)
    assert times.mean(4) == pytest.approx(0.4) and 4 in times and 2 not in times  # 1.0 was a bad day
    for seconds in (0.1, 0.3) * 20:
        times.add(1, seconds)
    assert times.mean(1) < 0.25 < times.bound(1)
