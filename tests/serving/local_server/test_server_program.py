"""The local server as a program: its line, its exit status, its signals, its TLS."""

import contextlib
import itertools
import pathlib
import re
import signal
import socket
import ssl
import subprocess
import sys
import types
import urllib.error

import pytest
import trustme
from bare_calls import calling, http, wait_until
from google.protobuf import text_format
from ovmsclient.tfs_compat.protos.tensorflow_serving.config.ssl_config_pb2 import SSLConfig
from small_model import request_arrays

from serving.client import Client
from serving.client.errors import Unavailable
from serving.client.tls import TLS
from serving.local_server import program as server_program
from serving.local_server import server
from serving.local_server.options import Options
from serving.local_server.wires import tls

ROOT = pathlib.Path(__file__).parents[3]
HOST = "localhost"


@contextlib.contextmanager
def program(base, *options, **streams):
    """The local server as a program of its own, killed at the end if it still runs."""
    command = [sys.executable, "-m", "serving.server", "--model-base-path", str(base), "--port=0", *options]
    process = subprocess.Popen(command, cwd=ROOT, text=True, **{"stdout": subprocess.PIPE, **streams})
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def at(port, rest_api_port):
    """What `calling` and `http` need of a LocalServer."""
    return types.SimpleNamespace(port=int(port), rest_api_port=int(rest_api_port))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, pytest.param(signal.SIGINT, marks=pytest.mark.slow)])
def test_it_says_when_it_is_ready_and_a_signal_lets_running_requests_finish(base, number):
    with program(base, "--rest-api-port=0") as process:
        line = process.stdout.readline()
        ready = re.fullmatch(r"Local server ready: model 'ddpm', gRPC 127.0.0.1:(\d+), REST http://.*:(\d+)/.*\n", line)
        local = at(*ready.groups())
        assert http(local, "/v1/models/ddpm")[0] == 200
        with calling(local) as caller:
            assert caller.predict(request_arrays([3]))["image"][0, 0, 0, 0] == 75
            begun = caller.start(request_arrays([7], seed=10**5), signature="slow")
            assert caller.predict(request_arrays([3]))["image"][0, 0, 0, 0] == 75  # so the slow one has arrived
            process.send_signal(number)
            assert begun.result().model_spec.version.value == 5
        assert process.wait(60) == 0


def test_a_signal_ends_a_server_that_waits_for_its_first_version(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]

    def listens():
        assert process.poll() is None
        with contextlib.suppress(urllib.error.URLError):
            return http(at(0, port), "/v1/models/ddpm")[0] == 404

    with program(tmp_path, "--wait=3600", f"--rest-api-port={port}") as process:
        wait_until(listens, seconds=120)  # so it waits for a version
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
        assert process.stdout.read() == ""


@pytest.mark.slow
def test_a_second_signal_ends_it_whatever_runs(base):
    with program(base, "--rest-api-port=0", "--timeout=3600") as process:
        port = re.search(r"gRPC 127.0.0.1:(\d+)", process.stdout.readline())[1]
        with calling(at(port, 0)) as caller:
            slow = caller.start(request_arrays([7], seed=2**62), signature="slow", timeout=3600)
            assert caller.predict(request_arrays([3]))["image"][0, 0, 0, 0] == 75  # so the slow one has arrived
            process.send_signal(signal.SIGINT)
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(2)
            assert slow.is_active()
            process.send_signal(signal.SIGINT)
            assert process.wait(60) == -signal.SIGINT


def test_it_serves_with_a_stdout_that_takes_nothing(base, tmp_path):
    log = tmp_path / "log"
    with (
        log.open("w") as stderr,
        open("/dev/full", "w") as stdout,
        program(base, "--rest-api-port=0", stdout=stdout, stderr=stderr) as process,
    ):
        wait_until(lambda: "Local server ready: " in log.read_text() or process.poll() is not None, seconds=120)
        port = re.search(r"Local server ready: .*:(\d+)/v1", log.read_text())[1]
        assert http(at(0, port), "/v1/models/ddpm")[0] == 200
        process.terminate()
        assert process.wait(60) == 0 and "Traceback" not in log.read_text()


def test_options_that_cannot_be_are_one_line_and_status_2(base, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken" / "1").mkdir(parents=True)
    (tmp_path / "no.config").write_text("x: 1")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        cases = {
            ("--model-base-path", str(tmp_path / "missing")): "`model_base_path` must be a folder",
            ("--model-base-path", str(tmp_path / "empty"), "--wait", "0.2"): "no numbered folder",
            ("--model-base-path", str(tmp_path / "broken"), "--wait", "0"): "version 1: ",
            ("--model-base-path", str(base), "--port", str(port)): f"cannot listen at 127.0.0.1:{port}",
            ("--model-base-path", str(base), "--rest-api-port", str(port)): f"cannot listen at 127.0.0.1:{port}",
            ("--model-base-path", str(base), "--port", "99999"): "ports must be at most 65535",
            ("--model-base-path", str(base), "--queue", "0"): "`queue` must be at least 1",
            ("--model-base-path", str(base), "--timeout", "nan"): "`timeout` must be above 0",
            ("--model-base-path", str(base), "--ssl-config-file", str(tmp_path / "no.config")): "must be a text proto",
            ("--model-base-path", str(base), "--ssl-config-file", str(tmp_path / "no")): "that can be read",
        }
        for args, message in cases.items():
            ports = [option for name in ("--port", "--rest-api-port") if name not in args for option in (name, "0")]
            assert server_program.main([*args, *ports]) == 2, args
            *_, line = capsys.readouterr().err.strip().splitlines()
            assert line.startswith("error: ") and message in line, args


def test_two_servers_cannot_share_a_port(base):
    with server.running(Options(model_base_path=base, port=0, rest_api_port=0)) as first:
        for ports in ({"port": first.port, "rest_api_port": 0}, {"port": 0, "rest_api_port": first.rest_api_port}):
            with (
                pytest.raises(ValueError, match="cannot listen"),
                server.running(Options(model_base_path=base, **ports)),
            ):
                pass
        with calling(first) as caller:
            assert caller.status() == {5: (30, 0, "")}


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


def pem(blob):
    return blob.bytes().decode()


def write_ssl_config(path, authority, *, client_verify=False, **changes):
    pair = authority.issue_cert(HOST)
    values = {
        "server_key": pem(pair.private_key_pem),
        "server_cert": pem(pair.cert_chain_pems[0]),
        "custom_ca": pem(authority.cert_pem),
        "client_verify": client_verify,
        **changes,
    }
    path.write_text(text_format.MessageToString(SSLConfig(**values)))
    return path


@pytest.mark.parametrize("client_verify", [False, True])
def test_over_tls_both_sides_check_certificates_on_both_wires(base, tmp_path, authority, client_verify):
    config = write_ssl_config(tmp_path / "ssl.config", authority, client_verify=client_verify)
    pair, paths = authority.issue_cert("client"), {n: tmp_path / n for n in ("root", "key", "certificate")}
    authority.cert_pem.write_to_path(paths["root"])
    pair.private_key_pem.write_to_path(paths["key"])
    pair.cert_chain_pems[0].write_to_path(paths["certificate"])
    showing = TLS(paths["root"], client_key=paths["key"], client_certificate=paths["certificate"])
    # Without TLS, or with the usual authorities, which do not know the test's own, nobody is let in.
    allowed = {None: False, TLS(): False, TLS(paths["root"]): not client_verify, showing: True}
    with server.running(Options(model_base_path=base, port=0, rest_api_port=0, ssl_config_file=config)) as local:
        for (tls_files, ok), rest in itertools.product(allowed.items(), (False, True)):
            scheme = "" if not rest else "http://" if tls_files is None else "https://"
            address = f"{scheme}{HOST}:{local.rest_api_port if rest else local.port}"
            with Client(address, tls=tls_files, retries=0, deadline=20) as client:
                if ok:
                    assert client.predict("sample", request_arrays([3]))["image"][0, 0, 0, 0] == 75
                else:
                    with pytest.raises(Unavailable):
                        client.predict("sample", request_arrays([3]))


def test_a_server_stops_while_a_tls_connection_is_idle(base, tmp_path, authority):
    config = write_ssl_config(tmp_path / "ssl.config", authority)
    context = ssl.create_default_context(cadata=authority.cert_pem.bytes().decode())
    with server.running(Options(model_base_path=base, port=0, rest_api_port=0, ssl_config_file=config)) as local:
        idle = context.wrap_socket(socket.create_connection((HOST, local.rest_api_port)), server_hostname=HOST)
        idle.sendall(b"GET /v1/models/ddpm HTTP/1.1\r\nHost: x\r\n\r\n")
        assert idle.recv(12) == b"HTTP/1.1 200"
    with idle:
        idle.settimeout(20)
        while idle.recv(2**16):  # the rest of the answer, and the end
            pass


@pytest.mark.parametrize("changes, message", [
    ({"server_key": ""}, "must have `server_key` and `server_cert`"),
    ({"server_key": "/etc/server.key"}, "must be the contents of a PEM file. Received: '/etc/server.key'"),
    ({"custom_ca": "", "client_verify": True}, "and so must have `custom_ca`"),
    ({"server_cert": "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"}, "must be a pair in PEM"),
])  # fmt: skip
def test_tls_that_cannot_work_is_said_before_anything_is_loaded(base, tmp_path, authority, changes, message):
    config = write_ssl_config(tmp_path / "ssl.config", authority, **changes)
    options = Options(model_base_path=base, port=0, rest_api_port=0, ssl_config_file=config)
    with pytest.raises(ValueError, match=re.escape(message)), server.running(options):
        pass


def test_the_message_of_tls_has_the_fields_of_tensorflow_serving():
    def fields(message):
        return [(field.name, field.number, field.type) for field in message.DESCRIPTOR.fields]

    assert fields(tls.message_class()) == fields(SSLConfig)
