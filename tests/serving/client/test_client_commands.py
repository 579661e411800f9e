"""The client's command line: what it prints and writes, and that it writes nothing when it cannot."""

import numpy as np
import pytest
from fake_serving import SERVERS, FakeModel, rest_server
from PIL import Image

from serving.__main__ import main


@pytest.fixture
def model():
    return FakeModel()


@pytest.fixture
def address(model):
    with rest_server(model) as address:
        yield address


@pytest.mark.parametrize("transport", list(SERVERS))
def test_sample_writes_a_row_for_each_digit(model, transport, tmp_path, capsys):
    out = tmp_path / "seven.png"
    with SERVERS[transport](model) as server:
        main(["sample", "7", "3", "--n", "4", "--seed", "5", "--scale", "1", "--out", str(out), "--server", server])
    page = np.asarray(Image.open(out))
    assert page.shape == (2 * 30 - 2, 4 * 30 - 2)
    assert [page[0, 0], page[30, 90], page[30, 92]] == [7, 3, 12]  # digit, digit, seed of the last
    assert "8 images, seeds 5 to 12" in capsys.readouterr().out
    assert [path.name for path in tmp_path.iterdir()] == ["seven.png"]


def test_status_prints_each_version(address, model, capsys):
    model.states = ["LOADING", "AVAILABLE"]
    main(["status", "--wait", "20", "--server", address])
    assert capsys.readouterr().out == "version 1: AVAILABLE\n"


def test_metadata_prints_the_model_and_its_signatures(address, capsys):
    main(["metadata", "--server", address])
    out = capsys.readouterr().out
    assert '"max_batch": 4' in out and "sample_png: digit int32 (N,), seed int64 (N,), w float32 (N,) -> " in out


def test_bench_counts_requests_and_errors_by_kind(address, model, capsys):
    model.faults = [None, None, ("RESOURCE_EXHAUSTED", "full"), ("UNAVAILABLE", "gone"), ("RESOURCE_EXHAUSTED", "full")]
    main(["bench", "--clients", "2", "--seconds", "0.5", "--n", "3", "--server", address])
    out = capsys.readouterr().out
    assert out.startswith("2 clients, ") and "p50 " in out and "p99 " in out and "images/s" in out
    assert out.endswith("errors: Overloaded 2, Unavailable 1\n")
    assert f": {len(model.requests) - 2 - 3} requests" in out  # less the first of each client, and the errors


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["12"], "`digit` must be in 0..9"),
        ([], "`digits` must be at least one"),
        (["7", "--w", "nan"], "`w` must be finite"),
        (["7", "--seed", "-1"], "`seed` must be in 0..2^63 - 1"),
        (["7", "--seed", str(2**63)], "`seed` must be in 0..2^63 - 1"),
        (["7", "--n", "0"], "`n` must be at least one"),
        (["7", "--deadline", "0"], "`deadline` must be"),
        (["7", "--out", "no/such/folder/x.png"], "Cannot write"),
        (["7", "--server", "http://localhost:1"], "ddpm at http://localhost:1 is not available"),
        (["7", "--root-certificate", "nowhere.pem"], "`root_certificate` must be a PEM file"),
    ],
)
def test_an_error_is_one_line_and_leaves_nothing(address, tmp_path, capsys, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    server = [] if "--server" in arguments else ["--server", address]
    with pytest.raises(SystemExit) as stop:
        main(["sample", *arguments, *server])
    error = capsys.readouterr().err
    assert stop.value.code == 2 and error.count("\n") == 1 and message in error
    assert list(tmp_path.iterdir()) == []


def test_an_error_of_several_lines_is_one_line(address, model, capsys):
    model.faults = [("INTERNAL", "first\nsecond")]
    with pytest.raises(SystemExit):
        main(["sample", "7", "--server", address])
    assert capsys.readouterr().err == "error: first second\n"
