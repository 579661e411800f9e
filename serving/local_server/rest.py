"""The REST interface of TensorFlow Serving, in the event loop and the queues of the gRPC one.

    GET  /v1/models/NAME[/versions/N | /labels/L]              status of versions
    GET  /v1/models/NAME[/versions/N | /labels/L]/metadata     signatures
    POST /v1/models/NAME[/versions/N | /labels/L]:predict      see `rest_json`

Every error is {"error": "..."} with the HTTP status that belongs to its code.
"""

import asyncio
import json
import logging
import re

from aiohttp import http_exceptions, web
from google.protobuf import json_format
from tensorflow_serving.apis import model_pb2

from . import errors, predict, rest_json
from .errors import StatusError
from .grpc_services import model_status
from .tensors import check_response_size

logger = logging.getLogger(__name__)

MAX_BODY = 16 * 2**20
LARGE = 2**16  # bytes; turning more than that into JSON would keep everybody else waiting
PATH = re.compile(
    r"/v1/models/(?P<name>[^/:]+)(?:/versions/(?P<version>[0-9]{1,19})|/labels/(?P<label>[^/:]+))?"
    r"(?P<verb>/metadata|:[a-z]+)?"
)
HTTP_STATUS = {
    errors.INVALID_ARGUMENT: 400,
    errors.DEADLINE_EXCEEDED: 504,
    errors.NOT_FOUND: 404,
    errors.RESOURCE_EXHAUSTED: 429,
    errors.FAILED_PRECONDITION: 400,
    errors.UNIMPLEMENTED: 501,
    errors.UNAVAILABLE: 503,
}


class RestServer:
    """REST for the versions of one model.

    Args:
        versions: Versions.
        timeout: Seconds for a request.
    """

    def __init__(self, versions, *, timeout):
        self._versions = versions
        self._timeout = timeout
        self._runner = None

    async def start(self, host, port):
        """Listen.

        Args:
            host: Address.
            port: Port; 0 takes a free one.

        Returns:
            The port.

        Raises:
            ValueError: if it is taken.
        """
        app = web.Application(client_max_size=MAX_BODY, middlewares=[_errors_as_json])
        app.router.add_route("*", "/{path:.*}", self._handle)
        # Without handler_cancellation the work of a client that hung up would go on.
        self._runner = web.AppRunner(
            app,
            access_log=None,
            handler_cancellation=True,
            shutdown_timeout=self._timeout,
            handle_signals=False,
            logger=_http_log(),
        )
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, port, reuse_port=False)
        try:
            await site.start()
        except OSError as error:
            raise ValueError(f"cannot listen at {host}:{port}: {error}") from error
        return self._runner.addresses[0][1]

    async def stop(self):
        """Refuse new requests and finish the running ones."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _handle(self, request):
        match = PATH.fullmatch(request.path)
        methods = {None: "GET", "/metadata": "GET", ":predict": "POST"}
        if match is None or match["verb"] not in methods:
            raise StatusError(errors.NOT_FOUND, f"Malformed request: {request.method} {request.path}")
        if request.method != methods[match["verb"]]:
            raise web.HTTPMethodNotAllowed(request.method, [methods[match["verb"]]])
        spec = _read_spec(match)
        if match["verb"] == ":predict":
            return await self._predict(request, spec)
        if match["verb"] == "/metadata":
            return self._metadata(spec)
        return web.json_response(_message(model_status(self._versions.entries(spec))))

    def _metadata(self, spec):
        with self._versions.use(spec) as version:
            return web.json_response(
                {
                    "model_spec": {"name": spec.name, "signature_name": "", "version": str(version.number)},
                    "metadata": {"signature_def": _message(predict.signature_map(version.signatures))},
                }
            )

    async def _predict(self, request, spec):
        loop = asyncio.get_running_loop()
        end = loop.time() + self._timeout
        with self._versions.use(spec) as version:
            try:
                async with asyncio.timeout_at(end):
                    body = await request.read()
            except TimeoutError:
                raise StatusError(errors.DEADLINE_EXCEEDED, "The request's body did not arrive in time") from None
            call, rows = await _beside(len(body), rest_json.read_body, body, version.signatures)
            outputs = await version.run(call, timeout=end - loop.time())
            text = await _beside(check_response_size(outputs), lambda: rest_json.write_body(outputs, rows=rows))
            return web.Response(text=text, content_type="application/json")


def _http_log():
    """aiohttp's log, in which what a client did wrong is one line and no traceback."""

    def shorten(record):
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, (http_exceptions.HttpProcessingError, web.RequestPayloadError)):
            record.msg, record.args = f"{record.getMessage()}: {' '.join(str(error).split()):.200}", ()
            record.exc_info = None
        return True

    log = logger.getChild("http")
    log.filters = [shorten]
    return log


@web.middleware
async def _errors_as_json(request, handler):
    try:
        return await handler(request)
    except StatusError as error:
        return _error(HTTP_STATUS.get(error.code, 500), error.message)
    except web.HTTPException as error:
        return _error(error.status, error.text or error.reason)
    except web.RequestPayloadError as error:  # not compressed as it says, or broken chunks
        return _error(400, f"The body cannot be read: {error}")
    except ConnectionError:  # nobody reads this
        return _error(400, "The connection was lost")
    except Exception as error:
        logger.exception("%s %s failed", request.method, request.path)
        return _error(500, f"{type(error).__name__}: {error}")


def _error(status, message):
    return web.json_response({"error": message}, status=status)


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


def _message(message):
    return json.loads(
        json_format.MessageToJson(message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)
    )


async def _beside(size, function, *args):
    """Call a function, in a thread if there is much to do."""
    return await asyncio.to_thread(function, *args) if size > LARGE else function(*args)
