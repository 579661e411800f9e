"""The REST interface of TensorFlow Serving, in the event loop and the queues of the gRPC one.

    GET  /                                                     a page on which to draw digits
    GET  /v1/models/NAME[/versions/N | /labels/L]              status of versions
    GET  /v1/models/NAME[/versions/N | /labels/L]/metadata     signatures
    POST /v1/models/NAME[/versions/N | /labels/L]:predict      see `rest_json`

Every error is {"error": "..."} with the HTTP status that belongs to its code.
"""

import asyncio
import html
import importlib.resources
import json
import re
import urllib.parse

from google.protobuf import json_format
from tensorflow_serving.apis import model_pb2

from .. import errors, predict
from ..errors import StatusError
from ..tensors import check_response_size
from ..versions import Versions
from . import rest_json
from .grpc_services import model_status
from .http_server import HttpError, Request, Response

LARGE = 2**16  # bytes; turning more than that into JSON would keep everybody else waiting
PATH = re.compile(
    r"/v1/models/(?P<name>[^/:]+)(?:/versions/(?P<version>[0-9]{1,19})|/labels/(?P<label>[^/:]+))?"
    r"(?P<verb>/metadata|:[a-z]+)?"
)
METHODS = {None: "GET", "/metadata": "GET", ":predict": "POST"}
HTTP_STATUS = {
    errors.INVALID_ARGUMENT: 400,
    errors.DEADLINE_EXCEEDED: 504,
    errors.NOT_FOUND: 404,
    errors.RESOURCE_EXHAUSTED: 429,
    errors.FAILED_PRECONDITION: 400,
    errors.UNIMPLEMENTED: 501,
    errors.UNAVAILABLE: 503,
}
PAGE_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; connect-src 'self'"
)


class Rest:
    """Answers HTTP requests with the versions of one model."""

    def __init__(self, versions: Versions):
        self._versions = versions
        page = importlib.resources.files(__package__).joinpath("page.html").read_text()
        self._page = page.replace("MODEL_NAME", html.escape(versions.name)).encode()

    async def answer(self, request: Request) -> Response:
        """The response to a request.

        Raises:
            HttpError: if it is refused.
        """
        try:
            return await self._route(request)
        except StatusError as error:
            raise HttpError(HTTP_STATUS.get(error.code, 500), error.message) from error

    async def _route(self, request):
        path = _read_path(request.target)
        if path == "/":
            _check_method(request, "GET")
            headers = (("Content-Security-Policy", PAGE_POLICY),)
            return Response(200, self._page, "text/html; charset=utf-8", headers)
        match = PATH.fullmatch(path)
        if match is None or match["verb"] not in METHODS:
            raise StatusError(errors.NOT_FOUND, f"Malformed request: {request.method} {path}")
        _check_method(request, METHODS[match["verb"]])
        spec = _read_spec(match)
        if match["verb"] == ":predict":
            return await self._predict(request, spec)
        if match["verb"] == "/metadata":
            return self._metadata(spec)
        return _json(_message(model_status(self._versions.entries(spec))))

    def _metadata(self, spec):
        with self._versions.use(spec) as version:
            return _json(
                {
                    "model_spec": {"name": spec.name, "signature_name": "", "version": str(version.number)},
                    "metadata": {"signature_def": _message(predict.signature_map(version.signatures))},
                }
            )

    async def _predict(self, request, spec):
        with self._versions.use(spec) as version:
            call, rows = await _call(len(request.body), rest_json.read_body, request.body, version.signatures)
            outputs = await version.run(call, timeout=request.deadline - asyncio.get_running_loop().time())
            size = check_response_size(outputs)
            return Response(200, await _call(size, lambda: rest_json.write_body(outputs, rows=rows).encode()))


def _read_path(target):
    try:
        path = urllib.parse.unquote_to_bytes(target.split(b"?")[0]).decode()
    except UnicodeDecodeError as error:
        raise HttpError(400, f"The path must be UTF-8: {error}") from error
    return "/" + path.split("/", 3)[-1] if path.startswith(("http://", "https://")) else path


def _check_method(request, method):
    if request.method != method:
        raise HttpError(405, f"405: Method Not Allowed: must be {method}")


def _read_spec(match):
    spec = model_pb2.ModelSpec(name=match["name"])
    if match["version"] is not None:
        version = int(match["version"])
        if version > 2**63 - 1:
            raise StatusError(errors.INVALID_ARGUMENT, f"version must be below 2^63. Received: {version}")
        spec.version.value = version
    elif match["label"] is not None:
        spec.version_label = match["label"]
    return spec


def _json(content):
    return Response(200, json.dumps(content).encode())


def _message(message):
    return json_format.MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )


async def _call(size, function, *args):
    """Call a function, in a thread if there is much to do."""
    return await asyncio.to_thread(function, *args) if size > LARGE else function(*args)
