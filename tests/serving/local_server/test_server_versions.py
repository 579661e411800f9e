"""New versions of a model: they take over without a gap, and a broken one changes nothing."""

import asyncio
import gc
import os
import shutil
import threading
import time
import weakref

import numpy as np
import pytest
import tensorflow as tf
from bare_calls import calling, predict_request, refused, wait_until
from small_model import request_arrays, write_model
from tensorflow_serving.apis import model_pb2, prediction_log_pb2

from serving.local_server import server
from serving.local_server import versions as server_versions
from serving.local_server.errors import StatusError
from serving.local_server.options import Options
from serving.local_server.servable import Servable
from serving.local_server.versions import State, Versions

ONE = request_arrays([1])


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Two SavedModels whose `image` is digit * 10 and digit * 20."""
    folder = tmp_path_factory.mktemp("models")
    for gain in (10, 20):
        write_model(folder / str(gain), gain=gain)
    return folder


@pytest.fixture
def base(models, tmp_path):
    shutil.copytree(models / "10", tmp_path / "1")
    return tmp_path


def running(base, **options):
    return server.running(Options(model_base_path=base, port=0, rest_api_port=0, poll=0.1, **options))


def add_version(models, base, number, *, gain=20):
    """As an export does: complete, or not at all."""
    shutil.copytree(models / str(gain), base / f".{number}.partial")
    (base / f".{number}.partial").rename(base / str(number))


def grey(caller, **spec):
    return int(caller.predict(ONE, **spec)["image"][0, 0, 0, 0])


def states(caller):
    return {version: state for version, (state, _, _) in caller.status().items()}


def test_a_new_version_takes_over_under_load_and_no_request_fails(models, base):
    failures, greys, stop = [], [], threading.Event()

    def load(local):
        with calling(local) as caller:
            while not stop.is_set():
                try:
                    greys.append(grey(caller))
                except Exception as error:
                    failures.append(error)

    with running(base) as local, calling(local) as caller:
        threads = [threading.Thread(target=load, args=[local]) for _ in range(4)]
        for thread in threads:
            thread.start()
        try:
            wait_until(lambda: len(greys) > 20)
            for number, gain in ((2, 20), (3, 10), (4, 20)):
                add_version(models, base, number, gain=gain)
                wait_until(lambda: states(caller).get(number) == State.AVAILABLE)  # noqa: B023
            wait_until(lambda: states(caller) == {4: 30, 3: 50, 2: 50, 1: 50})
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        assert not failures
        assert set(greys) == {10, 20} and grey(caller) == 20
        assert refused(grey, caller, version=1)[0] == "NOT_FOUND"


def test_the_old_version_finishes_what_it_began(models, base):
    with running(base) as local, calling(local) as caller:
        begun = caller.start(request_arrays([7], seed=3 * 10**5), signature="slow", version=1)
        time.sleep(0.1)
        add_version(models, base, 2)
        wait_until(lambda: states(caller).get(2) == State.AVAILABLE)
        assert begun.done() or states(caller)[1] == State.UNLOADING
        assert begun.result().model_spec.version.value == 1
        wait_until(lambda: states(caller)[1] == State.END)


@pytest.mark.parametrize(
    "missing", [pytest.param("saved_model.pb", marks=pytest.mark.slow), "variables/variables.index"]
)
def test_a_half_copied_version_changes_nothing_until_it_is_complete(models, base, missing):
    with running(base) as local, calling(local) as caller:
        half = base / "2"
        shutil.copytree(models / "20", half, ignore=lambda _, names: {missing.split("/")[-1]} & set(names))
        (half / "saved_model.pb").touch()
        wait_until(lambda: states(caller).get(2) == State.END)
        assert caller.status(version=2)[2][1] != 0 and caller.status(version=2)[2][2]
        assert grey(caller) == 10 and states(caller)[1] == State.AVAILABLE
        for file in ("saved_model.pb", missing):
            shutil.copy(models / "20" / file, half / file)
        wait_until(lambda: grey(caller) == 20)


def test_a_removed_version_gives_way_to_the_one_before(models, base):
    add_version(models, base, 2)
    with running(base) as local, calling(local) as caller:
        assert grey(caller) == 20 and states(caller) == {2: State.AVAILABLE}
        shutil.rmtree(base / "2")
        wait_until(lambda: grey(caller) == 10)
        shutil.rmtree(base / "1")
        time.sleep(0.3)
        assert grey(caller) == 10  # better than nothing


@pytest.mark.parametrize("name", ["0x2", "2.partial", ".2", "²", str(2**63), "2"])
def test_only_numbered_folders_are_versions(models, base, name):
    if name == "2":
        (base / name).write_text("a file")
    else:
        shutil.copytree(models / "20", base / name)
    with running(base) as local, calling(local) as caller:
        assert states(caller) == {1: State.AVAILABLE} and grey(caller) == 10


def test_a_version_that_failed_is_not_tried_again_until_its_files_change(tmp_path):
    (tmp_path / "1").mkdir()
    tried = []

    def load(path):
        tried.append(path.name)
        raise StatusError(3, "broken")

    async def scenario():
        versions = Versions("ddpm", tmp_path, load)
        assert not await versions.scan() and not await versions.scan()
        assert tried == ["1"]
        [entry] = versions.entries(model_pb2.ModelSpec(name="ddpm"))
        assert (entry.state, str(entry.error)) == (State.END, "broken")
        (tmp_path / "1" / "file").touch()
        await versions.scan()
        assert tried == ["1", "1"]

    asyncio.run(scenario())


def write_warm_up(folder, *logs):
    (folder / "assets.extra").mkdir()
    with tf.io.TFRecordWriter(str(folder / "assets.extra" / "tf_serving_warmup_requests")) as writer:
        for log in logs:
            writer.write(log.SerializeToString())


def predict_log(inputs, **spec):
    log = prediction_log_pb2.PredictionLog()
    log.predict_log.request.CopyFrom(predict_request(inputs, **spec))
    return log


def test_good_warm_up_records_let_a_version_load(base):
    write_warm_up(base / "1", predict_log(ONE), predict_log(request_arrays([1, 2]), signature="sample_png"))
    Servable(base / "1").close()


@pytest.mark.parametrize("bad, message", [
    (predict_log(request_arrays([11])), "`digit` must be in 0..9"),
    (predict_log({"digit": np.int32([1])}), "input size does not match signature"),
    (predict_log(ONE, signature="zzz"), "not found"),
    (prediction_log_pb2.PredictionLog(), "must be a predict_log"),
])  # fmt: skip
def test_one_bad_warm_up_record_fails_the_load(base, bad, message):
    write_warm_up(base / "1", predict_log(ONE), bad)
    with pytest.raises(StatusError, match=message):
        Servable(base / "1")


@pytest.mark.parametrize("left", [-3, 7])
def test_warm_up_records_that_cannot_be_read_fail_the_load(base, left):
    write_warm_up(base / "1", predict_log(ONE))
    path = base / "1" / "assets.extra" / "tf_serving_warmup_requests"
    path.write_bytes(path.read_bytes()[:left])
    with pytest.raises((tf.errors.DataLossError, StatusError)):
        Servable(base / "1")


def test_a_named_pipe_as_a_graph_holds_up_neither_later_versions_nor_the_end(models, base):
    with running(base) as local, calling(local) as caller:
        (base / "2").mkdir()
        os.mkfifo(base / "2" / "saved_model.pb")
        wait_until(lambda: states(caller).get(2) == State.END)
        assert caller.status(version=2)[2][2].endswith("saved_model.pb must be a regular file")
        add_version(models, base, 3)
        wait_until(lambda: grey(caller) == 20)


def hanging(tmp_path, scenario, *, load_timeout):
    """Run `scenario(versions, loading)`: version 2 hangs while it loads, and sets `loading`."""
    loading, go_on = threading.Event(), threading.Event()

    class Loaded:
        def __init__(self, path):
            self.servable, self.closed = self, threading.Event()
            if path.name == "2":
                loading.set()
                assert go_on.wait(60)
                late.append(self)

        def close(self):
            self.closed.set()

    late = []
    (tmp_path / "2").mkdir()
    try:
        asyncio.run(scenario(Versions("ddpm", tmp_path, Loaded, load_timeout=load_timeout), loading))
    finally:
        go_on.set()
    wait_until(lambda: late and late[0].closed.is_set())


def test_a_load_that_hangs_is_given_up_and_a_later_version_is_served(tmp_path):
    async def scenario(versions, loading):
        assert not await versions.scan()
        [(number, error)] = versions.errors()
        assert (number, error.code) == (2, 4) and str(error) == "It must load within 0.1 s"
        (tmp_path / "3").mkdir()
        assert await versions.scan()

    hanging(tmp_path, scenario, load_timeout=0.1)


def test_nobody_waits_for_a_load_that_hangs_at_the_end(tmp_path):
    async def scenario(versions, loading):
        scan = asyncio.create_task(versions.scan())
        assert await asyncio.to_thread(loading.wait, 20) and versions.is_loading()
        scan.cancel()
        await asyncio.wait([scan])
        await asyncio.wait_for(versions.close(), 5)

    hanging(tmp_path, scenario, load_timeout=60)


def test_looking_at_files_lets_the_event_loop_go_on(tmp_path, monkeypatch):
    async def scenario():
        (tmp_path / "1").mkdir()
        looked = threading.Event()
        monkeypatch.setattr(server_versions, "_files", lambda folder: looked.wait(20) and ())
        scan = asyncio.create_task(Versions("ddpm", tmp_path, lambda path: 1 / 0).scan())
        await asyncio.sleep(0.1)
        assert not scan.done()
        looked.set()
        assert not await scan

    asyncio.run(scenario())


def test_a_folder_is_looked_at_one_level_deep_and_not_through_links(tmp_path):
    for name in ("model/variables/deep", "elsewhere"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("model/saved_model.pb", "model/variables/index", "model/variables/deep/x", "elsewhere/y"):
        (tmp_path / name).touch()
    (tmp_path / "model" / "link").symlink_to(tmp_path / "elsewhere")
    found = {path.removeprefix(f"{tmp_path}/model/") for path, _, _ in server_versions._files(tmp_path / "model")}
    assert found == {"saved_model.pb", "link", "variables", "variables/index", "variables/deep"}


def test_a_version_that_did_not_load_leaves_nothing_behind(tmp_path):
    (tmp_path / "1").mkdir()
    graphs = []

    class Graph:
        def __init__(self):
            self.itself = self  # as TensorFlow's graphs, a cycle

    def load(path):
        graph = Graph()
        graphs.append(weakref.ref(graph))
        raise OSError(f"half of {graph}")

    versions = Versions("ddpm", tmp_path, load)
    gc.disable()
    try:
        assert not asyncio.run(versions.scan())
        assert graphs[0]() is None and "half of" in str(versions.errors()[0][1])
    finally:
        gc.enable()


def test_a_quick_signature_does_not_wait_behind_the_operations_of_slow_ones(models):
    servable = Servable(models / "10")
    one = {"digit": np.ones(1, "int32")}

    def slow(seed):
        servable.run("slow", request_arrays([1], seed=seed))

    servable.run("metadata", one)
    slow(0)  # what runs first is prepared first
    threads = [threading.Thread(target=slow, args=[10**5]) for _ in range(6)]  # three times as many as cores
    for thread in threads:
        thread.start()
    time.sleep(0.2)
    try:
        for _ in range(3):
            started = time.monotonic()
            servable.run("metadata", one)
            assert time.monotonic() - started < 0.5
        assert any(thread.is_alive() for thread in threads)
    finally:
        for thread in threads:
            thread.join()
        servable.close()
