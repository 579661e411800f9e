"""Turn PEM files into the text proto of `--ssl_config_file`, which holds their contents.

    python -m serving.deploy.write_ssl_config --key server.key --cert server.crt [--ca clients.crt]

With `--ca` the server asks each client for a certificate that this authority signed. The file holds the private key: it
is readable by its owner only and lies in a folder that git and Docker ignore.
"""

import dataclasses
import json
import os
import pathlib
import ssl
import string
import sys
from collections.abc import Sequence

import tyro

HERE = pathlib.Path(__file__).parent
TEMPLATE = HERE / "config" / "ssl.config.template"


@dataclasses.dataclass(frozen=True)
class Arguments:
    """Turn PEM files into the text proto of `--ssl_config_file`."""

    key: pathlib.Path
    """The server's private key, without a password."""
    cert: pathlib.Path
    """Its certificate, followed by the intermediate ones."""
    ca: pathlib.Path | None = None
    """Who signs the clients' certificates; without it clients need none."""
    out: pathlib.Path = HERE / "secrets" / "ssl.config"
    """File to write."""


def ssl_config(key: pathlib.Path, cert: pathlib.Path, ca: pathlib.Path | None = None) -> str:
    """A `tensorflow.serving.SSLConfig` as text, of the files that `Arguments` describes.

    Raises:
        ValueError: if a file is not PEM, or key and certificate are no pair.
        OSError: if a file cannot be read.
    """
    # A JSON string of ASCII is a string of a text proto too.
    texts = [json.dumps(path.read_text() if path else "") for path in (key, cert, ca)]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        # An empty password, for without one a locked key would stop here and ask.
        context.load_cert_chain(cert, key, password="")
        if ca:
            context.load_verify_locations(ca)
    except ssl.SSLError as error:
        paths = ", ".join(str(path) for path in (key, cert, ca) if path)
        raise ValueError(
            f"key and certificates must be one PEM pair without a password. Received: {paths}: {error}"
        ) from error
    names = ("server_key", "server_cert", "custom_ca", "client_verify")
    return string.Template(TEMPLATE.read_text()).substitute(dict(zip(names, (*texts, "true" if ca else "false"))))


def write(text: str, out: pathlib.Path) -> None:
    """Write what only the owner may read; a file that is there is replaced."""
    out.parent.mkdir(parents=True, exist_ok=True)
    partial = out.with_name(out.name + ".partial")
    partial.unlink(missing_ok=True)
    with open(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    partial.replace(out)


def main(args: Sequence[str] | None = None) -> None:
    """Run the command; what was wrong is one line and exit status 2."""
    options = tyro.cli(Arguments, prog="python -m serving.deploy.write_ssl_config", args=args)
    try:
        write(ssl_config(options.key, options.cert, options.ca), options.out)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    print(options.out)


if __name__ == "__main__":
    main()
