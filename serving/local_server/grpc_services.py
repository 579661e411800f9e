"""The gRPC services of TensorFlow Serving, answered by the versions of one model."""

import asyncio
import functools
import logging

import grpc
from google.protobuf.message import DecodeError
from tensorflow_serving.apis import (
    get_model_status_pb2,
    model_service_pb2_grpc,
    prediction_service_pb2_grpc,
)

from . import errors, predict
from .errors import StatusError
from .tensors import MAX_RESPONSE, check_response_size, response_too_large

logger = logging.getLogger(__name__)

STATUS = {status.value[0]: status for status in grpc.StatusCode}
MAX_REQUEST = 16 * 2**20  # bytes
LARGE = 2**16  # bytes; decoding or encoding more than that would keep everybody else waiting


def answers(method):
    """Make a handler's refusals gRPC's errors, and its bugs INTERNAL."""

    @functools.wraps(method)
    async def handler(self, request, context):
        try:
            return await method(self, request, context)
        except StatusError as error:
            await context.abort(STATUS[error.code], error.message)
        except Exception as error:
            logger.exception("%s failed", method.__name__)
            await context.abort(grpc.StatusCode.INTERNAL, f"{type(error).__name__}: {error}"[: errors.LONGEST_MESSAGE])

    return handler


class ParseErrors(grpc.aio.ServerInterceptor):
    """Answers what is no message with INTERNAL, as gRPC's list of status codes has it, instead of with a traceback."""

    async def intercept_service(self, continuation, details):
        """Called by gRPC for each request."""
        handler = await continuation(details)
        if handler is None or handler.unary_unary is None:
            return handler

        def parse(message):
            try:
                return handler.request_deserializer(message)
            except DecodeError as error:
                return error

        async def answer(request, context):
            if isinstance(request, DecodeError):
                await context.abort(grpc.StatusCode.INTERNAL, f"The request is no message of its type: {request}")
            return await handler.unary_unary(request, context)

        return handler._replace(request_deserializer=parse, unary_unary=answer)


class PredictionService(prediction_service_pb2_grpc.PredictionServiceServicer):
    """Predict and GetModelMetadata; the calls for tf.Example are refused.

    Args:
        versions: Versions.
        timeout: Seconds for a request that brings no deadline.
        tensor_content: Whether numbers are answered as raw bytes.
    """

    def __init__(self, versions, *, timeout, tensor_content=False):
        self._versions = versions
        self._timeout = timeout
        self._content = tensor_content

    @answers
    async def Predict(self, request, context):
        with self._versions.use(predict.check_spec(request)) as version:
            read = functools.partial(predict.read_request, request, version.signatures)
            call = await asyncio.to_thread(read) if request.ByteSize() > LARGE else read()
            remaining = context.time_remaining()
            outputs = await version.run(call, timeout=self._timeout if remaining is None else remaining)
            write = functools.partial(self._write, outputs, version.number, call.signature)
            return await asyncio.to_thread(write) if check_response_size(outputs) > LARGE else write()

    def _write(self, outputs, version, signature):
        response = predict.write_response(
            outputs, name=self._versions.name, version=version, signature=signature, content=self._content
        )
        if (size := response.ByteSize()) > MAX_RESPONSE:  # small numbers in many bytes, such as -1
            raise response_too_large(size)
        return response

    @answers
    async def GetModelMetadata(self, request, context):
        spec = predict.check_spec(request)
        predict.check_metadata_fields(request.metadata_field)
        with self._versions.use(spec) as version:
            return predict.write_metadata(version.signatures, name=self._versions.name, version=version.number)

    @answers
    async def Classify(self, request, context):
        raise predict.no_examples("Classify")

    @answers
    async def Regress(self, request, context):
        raise predict.no_examples("Regress")

    @answers
    async def MultiInference(self, request, context):
        raise predict.no_examples("MultiInference")


class ModelService(model_service_pb2_grpc.ModelServiceServicer):
    """GetModelStatus; the configuration cannot be reloaded, since it is on the command line.

    Args:
        versions: Versions.
    """

    def __init__(self, versions):
        self._versions = versions

    @answers
    async def GetModelStatus(self, request, context):
        return model_status(self._versions.entries(predict.check_spec(request)))

    @answers
    async def HandleReloadConfigRequest(self, request, context):
        raise StatusError(
            errors.UNIMPLEMENTED,
            "The local server serves one model, named on its command line; new versions of it are found by themselves.",
        )


def model_status(entries):
    """The answer to a status request.

    Args:
        entries: list of versions.Entry.

    Returns:
        GetModelStatusResponse.
    """
    response = get_model_status_pb2.GetModelStatusResponse()
    for entry in entries:
        status = response.model_version_status.add(version=entry.number, state=int(entry.state))
        status.status.SetInParent()  # OK
        if entry.error is not None:
            status.status.error_code = entry.error.code
            status.status.error_message = entry.error.message
    return response
