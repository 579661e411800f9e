"""The gRPC services of TensorFlow Serving, answered by the versions of one model.

On the wire each call is unary. Here each is handled as a stream of one message, since only then reading the request and
writing the response are steps of our own, with a time limit each: a client that never sends its message, or never reads
its response, holds a place for `timeout` seconds and no longer. Calls beyond the limit are refused at once; health is
not counted, so that a crowded server still says that it lives.
"""

import asyncio
import functools
import logging

import grpc
from google.protobuf.message import DecodeError
from grpc_health.v1 import health_pb2
from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2, predict_pb2

from .. import errors, predict
from ..errors import StatusError
from ..tensors import MAX_RESPONSE, check_response_size, response_too_large
from ..versions import Entry, Versions

logger = logging.getLogger(__name__)

STATUS = {status.value[0]: status for status in grpc.StatusCode}
MAX_REQUEST = 16 * 2**20  # bytes
LARGE = 2**16  # bytes; decoding or encoding more than that would keep everybody else waiting
LAST_CALL = 0.5  # seconds in which messages may still arrive when the server stops
CALLS, CALLS_PER_PLACE = 64, 4  # calls at once, health aside: so many, and so many for each place in a queue


class GrpcServices(grpc.GenericRpcHandler):
    """PredictionService, ModelService and Health.

    Args:
        versions: What is served.
        health: grpc_health.v1.health.aio.HealthServicer.
        timeout: Seconds for a request that brings no deadline, and for reading and writing.
        calls: Calls at once.
        tensor_content: Whether numbers are answered as raw bytes.
    """

    def __init__(self, versions: Versions, health, *, timeout: float, calls: int, tensor_content: bool = False):
        self._versions = versions
        self._timeout = timeout
        self._limit = calls
        self._content = tensor_content
        self._calls = 0
        self._reading: set[asyncio.Timeout] = set()
        self._stopping = False
        self._idle = asyncio.Event()
        self._idle.set()
        tensorflow = {
            "PredictionService/Predict": (predict_pb2.PredictRequest, self._predict),
            "PredictionService/GetModelMetadata": (get_model_metadata_pb2.GetModelMetadataRequest, self._metadata),
            "ModelService/GetModelStatus": (get_model_status_pb2.GetModelStatusRequest, self._status),
        }
        self._handlers = {
            f"/tensorflow.serving.{name}": functools.partial(self._counted, *method)
            for name, method in tensorflow.items()
        }
        for name in ("Check", "Watch"):
            method = functools.partial(self._call, health_pb2.HealthCheckRequest, getattr(health, name))
            self._handlers[f"/grpc.health.v1.Health/{name}"] = method

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        """Called by gRPC: the handler of a method, None for one that is UNIMPLEMENTED."""
        handler = self._handlers.get(details.method)
        if handler is None:
            return None

        async def stream(messages, context):
            await handler(context)

        return grpc.stream_stream_rpc_method_handler(stream, response_serializer=_serialize)

    async def stop(self) -> None:
        """End the calls that have not sent their message, and wait for the others."""
        self._stopping = True
        for timeout in self._reading:
            timeout.reschedule(asyncio.get_running_loop().time() + LAST_CALL)
        await self._idle.wait()

    async def _counted(self, request_class, method, context):
        if self._calls >= self._limit:
            await context.abort(
                grpc.StatusCode.RESOURCE_EXHAUSTED, f"There are {self._calls} calls already. Try later."
            )
        self._calls += 1
        self._idle.clear()
        try:
            await self._call(request_class, method, context)
        finally:
            self._calls -= 1
            if not self._calls:
                self._idle.set()

    async def _call(self, request_class, method, context):
        """One call; what is wrong with it becomes gRPC's error, and a bug INTERNAL."""
        try:
            response = await method(await self._read(request_class, context), context)
            if response is not None:  # health's Watch writes by itself
                await self._write(response, context)
        except StatusError as error:
            await context.abort(STATUS[error.code], error.message)
        except (grpc.aio.AbortError, asyncio.CancelledError, ConnectionError):
            raise
        except Exception as error:
            logger.exception("%s failed", request_class.__name__)
            message = f"{type(error).__name__}: {error}"[: errors.LONGEST_MESSAGE]
            await context.abort(grpc.StatusCode.INTERNAL, message)

    async def _read(self, request_class, context):
        """The call's message; its time begins with the call."""
        try:
            async with asyncio.timeout(LAST_CALL if self._stopping else self._timeout) as timeout:
                self._reading.add(timeout)
                try:
                    message = await context.read()
                finally:
                    self._reading.discard(timeout)
        except TimeoutError:
            if self._stopping:
                raise StatusError(errors.UNAVAILABLE, "The server is stopping") from None
            raise StatusError(errors.DEADLINE_EXCEEDED, f"No message came within {self._timeout:g} s") from None
        if message is grpc.aio.EOF:
            raise StatusError(errors.INTERNAL, "The request is no message of its type: there is none")
        try:
            parse = request_class.FromString
            return await asyncio.to_thread(parse, message) if len(message) > LARGE else parse(message)
        except DecodeError as error:
            raise StatusError(errors.INTERNAL, f"The request is no message of its type: {error}") from error

    async def _write(self, response, context):
        try:
            async with asyncio.timeout(self._timeout):
                await context.write(response)
        except TimeoutError:
            raise StatusError(errors.DEADLINE_EXCEEDED, f"The response was not read in {self._timeout:g} s") from None

    async def _predict(self, request, context):
        with self._versions.use(predict.check_spec(request)) as version:
            read = functools.partial(predict.read_request, request, version.signatures)
            call = await asyncio.to_thread(read) if request.ByteSize() > LARGE else read()
            remaining = context.time_remaining()
            outputs = await version.run(call, timeout=self._timeout if remaining is None else remaining)
            write = functools.partial(self._encode, outputs, version.number, call.signature)
            return await asyncio.to_thread(write) if check_response_size(outputs) > LARGE else write()

    def _encode(self, outputs, version, signature):
        response = predict.write_response(
            outputs, name=self._versions.name, version=version, signature=signature, content=self._content
        )
        if (size := response.ByteSize()) > MAX_RESPONSE:  # small numbers in many bytes, such as -1
            raise response_too_large(size)
        return response.SerializeToString()

    async def _metadata(self, request, context):
        spec = predict.check_spec(request)
        predict.check_metadata_fields(request.metadata_field)
        with self._versions.use(spec) as version:
            return predict.write_metadata(version.signatures, name=self._versions.name, version=version.number)

    async def _status(self, request, context):
        return model_status(self._versions.entries(predict.check_spec(request)))


def model_status(entries: list[Entry]) -> get_model_status_pb2.GetModelStatusResponse:
    """The response to a status request."""
    response = get_model_status_pb2.GetModelStatusResponse()
    for entry in entries:
        status = response.model_version_status.add(version=entry.number, state=int(entry.state))
        status.status.SetInParent()  # OK
        if entry.error is not None:
            status.status.error_code = entry.error.code
            status.status.error_message = entry.error.message
    return response


def _serialize(response):
    return response if isinstance(response, bytes) else response.SerializeToString()
