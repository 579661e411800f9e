"""TLS as TensorFlow Serving is told about it: a text proto that holds the PEM files' contents, not their paths.

    server_key:  "-----BEGIN PRIVATE KEY-----\\n..."
    server_cert: "-----BEGIN CERTIFICATE-----\\n..."
    custom_ca:   "-----BEGIN CERTIFICATE-----\\n..."
    client_verify: true

The Python package of TensorFlow Serving does not have this message, so it is described here: four fields of
`tensorflow_serving/config/ssl_config.proto`.

Deviation: there REST stays without TLS; here it gets the same, so that no port is left open.
"""

import os
import pathlib
import ssl
import tempfile

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format
from google.protobuf.message import Message

FIELDS = (("server_key", "STRING"), ("server_cert", "STRING"), ("custom_ca", "STRING"), ("client_verify", "BOOL"))


def message_class() -> type[Message]:
    """The message class of tensorflow.serving.SSLConfig."""
    file = descriptor_pb2.FileDescriptorProto(
        name="tensorflow_serving/config/ssl_config.proto", package="tensorflow.serving", syntax="proto3"
    )
    message = file.message_type.add(name="SSLConfig")
    for number, (name, kind) in enumerate(FIELDS, start=1):
        field = descriptor_pb2.FieldDescriptorProto
        message.field.add(
            name=name, number=number, type=getattr(field, f"TYPE_{kind}"), label=field.LABEL_OPTIONAL, json_name=name
        )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("tensorflow.serving.SSLConfig"))


def read_config(path: str | os.PathLike) -> Message:
    """The SSLConfig in a file.

    Raises:
        ValueError: naming the file and what is wrong with it.
    """
    try:
        config = text_format.Parse(pathlib.Path(path).read_text(), message_class()())
    except (text_format.ParseError, UnicodeDecodeError, OSError) as error:
        raise ValueError(f"{path} must be a text proto of SSLConfig that can be read: {error}") from error
    if not config.server_key or not config.server_cert:
        raise ValueError(f"{path} must have `server_key` and `server_cert`")
    if config.client_verify and not config.custom_ca:
        raise ValueError(f"{path} has `client_verify` and so must have `custom_ca`")
    for name in ("server_key", "server_cert", "custom_ca"):
        content = getattr(config, name)
        if content and "-----BEGIN " not in content:
            raise ValueError(f"`{name}` in {path} must be the contents of a PEM file. Received: {content!r:.60}")
    return config


def grpc_credentials(config: Message) -> grpc.ServerCredentials:
    """grpc.ServerCredentials of an SSLConfig."""
    return grpc.ssl_server_credentials(
        [(config.server_key.encode(), config.server_cert.encode())],
        root_certificates=config.custom_ca.encode() or None,
        require_client_auth=config.client_verify,
    )


def ssl_context(config: Message) -> ssl.SSLContext:
    """The ssl.SSLContext of an SSLConfig.

    Raises:
        ValueError: if key and certificate do not fit together.
    """
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cadata=config.custom_ca or None)
    context.verify_mode = ssl.CERT_REQUIRED if config.client_verify else ssl.CERT_NONE
    with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:  # `ssl` reads paths only; 0600
        file.write(f"{config.server_key}\n{config.server_cert}\n")
        file.flush()
        try:
            context.load_cert_chain(file.name)
        except ssl.SSLError as error:
            raise ValueError(f"`server_key` and `server_cert` must be a pair in PEM: {error}") from error
    return context
