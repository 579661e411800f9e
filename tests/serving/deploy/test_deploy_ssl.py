"""PEM files become the text proto that the server's TLS is made of, and only if a server could use them."""

import stat

import pytest
import trustme
from deploy_files import parse
from ovmsclient.tfs_compat.protos.tensorflow_serving.config.ssl_config_pb2 import SSLConfig

from serving.deploy import write_ssl_config


@pytest.fixture(scope="module")
def pem(tmp_path_factory):
    """Paths of a key, its certificate, the authority's, and another key."""
    folder = tmp_path_factory.mktemp("pem")
    authority = trustme.CA()
    pair, other = authority.issue_cert("localhost"), authority.issue_cert("elsewhere")
    paths = {name: folder / name for name in ("key", "cert", "ca", "other")}
    pair.private_key_pem.write_to_path(paths["key"])
    pair.cert_chain_pems[0].write_to_path(paths["cert"])
    authority.cert_pem.write_to_path(paths["ca"])
    other.private_key_pem.write_to_path(paths["other"])
    return paths


def written(tmp_path, pem, *more):
    out = tmp_path / "new" / "ssl.config"
    write_ssl_config.main(["--key", str(pem["key"]), "--cert", str(pem["cert"]), "--out", str(out), *more])
    return out


def test_the_proto_holds_the_files_as_they_are(tmp_path, pem):
    config = parse(written(tmp_path, pem), SSLConfig)
    assert config.server_key == pem["key"].read_text() and config.server_cert == pem["cert"].read_text()
    assert config.custom_ca == "" and config.client_verify is False


def test_an_authority_makes_clients_show_certificates(tmp_path, pem):
    config = parse(written(tmp_path, pem, "--ca", str(pem["ca"])), SSLConfig)
    assert config.custom_ca == pem["ca"].read_text() and config.client_verify is True


def test_only_the_owner_reads_the_key_even_where_a_file_was_open(tmp_path, pem):
    out = written(tmp_path, pem)
    out.chmod(0o644)
    assert stat.S_IMODE(written(tmp_path, pem).stat().st_mode) == 0o600
    assert [path.name for path in out.parent.iterdir()] == ["ssl.config"]


@pytest.mark.parametrize(("key", "cert"), [("other", "cert"), ("cert", "key"), ("ca", "cert"), ("missing", "cert")])
def test_what_is_no_pair_is_one_line_and_writes_nothing(tmp_path, pem, capsys, key, cert):
    out = tmp_path / "ssl.config"
    paths = {name: str(pem.get(name, tmp_path / name)) for name in (key, cert)}
    with pytest.raises(SystemExit) as stop:
        write_ssl_config.main(["--key", paths[key], "--cert", paths[cert], "--out", str(out)])
    errors = capsys.readouterr().err
    assert stop.value.code == 2 and errors.startswith("error: ") and errors.count("\n") == 1
    assert not out.exists()
