"""The rules of TensorFlow Serving's Predict: which requests run, and what the others are told.

Pure functions of messages: no network, no event loop, no session. The words of each error are TensorFlow Serving's, so
that a program that reads them works with both.

Deviation: an input whose shape cannot fit the signature is refused here, and so never meets other people's rows.
"""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from google.protobuf.message import Message
from tensorflow.core.protobuf.meta_graph_pb2 import SignatureDef
from tensorflow_serving.apis import get_model_metadata_pb2, model_pb2, predict_pb2

from . import tensors
from .errors import FAILED_PRECONDITION, INVALID_ARGUMENT, StatusError

METHODS = ("tensorflow/serving/predict", "tensorflow/serving/classify", "tensorflow/serving/regress")
DEFAULT_SIGNATURE = "serving_default"

Signatures = Mapping[str, SignatureDef]  # by name


@dataclasses.dataclass(frozen=True)
class Call:
    """A request that was checked: what to run."""

    signature: str
    inputs: dict[str, np.ndarray]
    outputs: tuple[str, ...]


def check_spec(request: Message) -> model_pb2.ModelSpec:
    """The model that a request names.

    Raises:
        StatusError: if it names none.
    """
    if not request.HasField("model_spec"):
        raise StatusError(INVALID_ARGUMENT, "Missing ModelSpec")
    return request.model_spec


def find_signature(signatures: Signatures, name: str) -> tuple[str, SignatureDef]:
    """Name and signature for the name that a request has, "" for the default one.

    Raises:
        StatusError: if there is none, or if it is not one for Predict.
    """
    name = name or DEFAULT_SIGNATURE
    if name not in signatures:
        raise StatusError(FAILED_PRECONDITION, f'Serving signature key "{name}" not found.')
    method = signatures[name].method_name
    if method not in METHODS:
        wanted = ", ".join(METHODS)
        raise StatusError(
            INVALID_ARGUMENT, f"Expected prediction signature method_name to be one of {{{wanted}}}. Was: {method}"
        )
    return name, signatures[name]


def read_request(request: predict_pb2.PredictRequest, signatures: Signatures) -> Call:
    """Check a request against a model's signatures.

    Raises:
        StatusError: with the code and the words of TensorFlow Serving.
    """
    name, signature = find_signature(signatures, request.model_spec.signature_name)
    check_names(request.inputs, signature)
    inputs = {alias: _decode(request.inputs[alias], alias) for alias in sorted(request.inputs)}
    outputs = check_filter(request.output_filter, signature)
    check_types({alias: request.inputs[alias].dtype for alias in inputs}, signature)
    check_shapes(inputs, signature)
    return Call(name, inputs, outputs)


def check_names(inputs: Iterable[str], signature: SignatureDef) -> None:
    """Refuse inputs that are not exactly the signature's."""
    sent, wanted = sorted(inputs), sorted(signature.inputs)
    if len(sent) != len(wanted):
        extra, missing = sorted(set(sent) - set(wanted)), sorted(set(wanted) - set(sent))
        raise StatusError(
            INVALID_ARGUMENT,
            f"input size does not match signature: {len(sent)}!={len(wanted)} len({{{','.join(sent)}}}) "
            f"!= len({{{','.join(wanted)}}}). Sent extra: {{{','.join(extra)}}}. "
            f"Missing but required: {{{','.join(missing)}}}.",
        )
    for alias in sent:
        if alias not in wanted:
            raise StatusError(
                INVALID_ARGUMENT,
                f"input tensor alias not found in signature: {alias}. "
                f"Inputs expected to be in the set {{{','.join(wanted)}}}.",
            )


def check_filter(names: Sequence[str], signature: SignatureDef) -> tuple[str, ...]:
    """The outputs that are asked for: all of them if none is named."""
    wanted = sorted(signature.outputs)
    for i, alias in enumerate(names):
        if alias not in signature.outputs:
            raise StatusError(
                INVALID_ARGUMENT,
                f"output tensor alias not found in signature: {alias} "
                f"Outputs expected to be in the set {{{','.join(wanted)}}}.",
            )
        if alias in names[:i]:
            raise StatusError(INVALID_ARGUMENT, f"duplicate output tensor alias: {alias}")
    return tuple(names) or tuple(wanted)


def check_types(types: dict[str, int], signature: SignatureDef) -> None:
    """Refuse a wrong type; arguments are numbered as TensorFlow's session does it, in the order of tensor names."""
    for i, alias in enumerate(sorted(types, key=lambda alias: signature.inputs[alias].name)):
        expected = signature.inputs[alias].dtype
        if types[alias] != expected:
            expected, provided = tensors.type_name(expected), tensors.type_name(types[alias])
            raise StatusError(INVALID_ARGUMENT, f"Expects arg[{i}] to be {expected} but {provided} is provided")


def check_shapes(inputs: dict[str, np.ndarray], signature: SignatureDef) -> None:
    """Refuse a shape that the signature rules out."""
    for alias, array in inputs.items():
        shape = signature.inputs[alias].tensor_shape
        sizes = [dim.size for dim in shape.dim]
        if shape.unknown_rank:
            continue
        if len(sizes) != array.ndim or any(size not in (-1, n) for size, n in zip(sizes, array.shape)):
            expected = [None if size < 0 else size for size in sizes]
            raise StatusError(INVALID_ARGUMENT, f"`{alias}` must have shape {expected}. Received: {list(array.shape)}")


def write_response(
    outputs: dict[str, np.ndarray], *, name: str, version: int, signature: str, content: bool = False
) -> predict_pb2.PredictResponse:
    """The answer of the model, version and signature that ran; `content` as in `tensors.to_proto`."""
    response = predict_pb2.PredictResponse()
    _fill_spec(response.model_spec, name, version, signature)
    for alias, array in outputs.items():
        response.outputs[alias].CopyFrom(tensors.to_proto(array, content=content))
    return response


def check_metadata_fields(fields: Sequence[str]) -> None:
    """Refuse a metadata request for nothing, or for anything but signatures."""
    if not fields:
        raise StatusError(INVALID_ARGUMENT, "GetModelMetadataRequest must specify at least one metadata_field")
    for field in fields:
        if field != "signature_def":
            raise StatusError(INVALID_ARGUMENT, f"Metadata field {field} is not supported")


def write_metadata(signatures: Signatures, *, name: str, version: int) -> Message:
    """The answer to a metadata request, of a version of the model `name`: GetModelMetadataResponse."""
    response = get_model_metadata_pb2.GetModelMetadataResponse()
    _fill_spec(response.model_spec, name, version, "")
    response.metadata["signature_def"].Pack(signature_map(signatures))
    return response


def signature_map(signatures: Signatures) -> get_model_metadata_pb2.SignatureDefMap:
    """Signatures as the message that holds them."""
    message = get_model_metadata_pb2.SignatureDefMap()
    for name, signature in signatures.items():
        message.signature_def[name].CopyFrom(signature)
    return message


def _decode(tensor, alias):
    try:
        return tensors.to_array(tensor)
    except (ValueError, MemoryError) as error:
        raise StatusError(INVALID_ARGUMENT, f"tensor parsing error: {alias}") from error


def _fill_spec(spec, name, version, signature):
    spec.name = name
    spec.version.value = version
    spec.signature_name = signature
