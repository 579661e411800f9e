"""Arrays on the wire: TensorProto <-> NumPy, by the rules of TensorFlow's `Tensor::FromProto`.

A tensor's values come either as raw bytes (`tensor_content`) or in the field of their type (`float_val`, `int_val`...).
A typed field may be shorter than the shape asks, then its last value is repeated, and longer, then the rest is ignored.

Deviation: a message of a few bytes can so ask for terabytes; here what is repeated is bounded (MAX_REPEATED). Complex,
quantised and bfloat16 tensors, and strings packed into `tensor_content`, are refused.
"""

import itertools
import math

import numpy as np
from tensorflow.core.framework import tensor_pb2, types_pb2

from .errors import INVALID_ARGUMENT, StatusError

MAX_REPEATED = 2**20
MAX_RESPONSE = 64 * 2**20  # bytes
BLOCK = 2**16  # values encoded at a time: other threads run in between, and Python's numbers are ten times as large
MAX_RANK = 64  # NumPy's; the product of a million sizes would take the interpreter minutes

# dtype: (its field, NumPy's type, DataTypeString)
TYPES: dict[int, tuple[str, np.dtype, str]] = {
    types_pb2.DT_HALF: ("half_val", np.dtype("float16"), "half"),
    types_pb2.DT_FLOAT: ("float_val", np.dtype("float32"), "float"),
    types_pb2.DT_DOUBLE: ("double_val", np.dtype("float64"), "double"),
    types_pb2.DT_INT8: ("int_val", np.dtype("int8"), "int8"),
    types_pb2.DT_INT16: ("int_val", np.dtype("int16"), "int16"),
    types_pb2.DT_INT32: ("int_val", np.dtype("int32"), "int32"),
    types_pb2.DT_INT64: ("int64_val", np.dtype("int64"), "int64"),
    types_pb2.DT_UINT8: ("int_val", np.dtype("uint8"), "uint8"),
    types_pb2.DT_UINT16: ("int_val", np.dtype("uint16"), "uint16"),
    types_pb2.DT_UINT32: ("uint32_val", np.dtype("uint32"), "uint32"),
    types_pb2.DT_UINT64: ("uint64_val", np.dtype("uint64"), "uint64"),
    types_pb2.DT_BOOL: ("bool_val", np.dtype("bool"), "bool"),
    types_pb2.DT_STRING: ("string_val", np.dtype("object"), "string"),
}


def to_array(tensor: tensor_pb2.TensorProto) -> np.ndarray:
    """Decode a tensor from the wire.

    Args:
        tensor: TensorProto, of which nothing is believed.

    Returns:
        Array; strings are bytes in an object array.

    Raises:
        ValueError: if it cannot be decoded, or claims far more than it carries.
    """
    if tensor.dtype not in TYPES:
        raise ValueError(f"dtype {tensor.dtype} is not supported")
    field, dtype, _ = TYPES[tensor.dtype]
    shape = _shape(tensor.tensor_shape)
    count = math.prod(shape)
    if not count:
        return np.empty(shape, dtype)
    if tensor.tensor_content:
        return _from_bytes(tensor.tensor_content, dtype, count).reshape(shape)
    values = getattr(tensor, field)
    if count > max(len(values), MAX_REPEATED):
        raise ValueError(f"{len(values)} values cannot stand for {count}")
    return _from_values(values, dtype, count).reshape(shape)


def to_proto(array: np.ndarray, *, content: bool = False) -> tensor_pb2.TensorProto:
    """Encode an array for the wire.

    Args:
        array: Array of one of TYPES; strings are bytes in an object array.
        content: Whether numbers travel as raw bytes instead of in their typed field.
    """
    number = next(number for number, (_, dtype, _) in TYPES.items() if dtype == array.dtype)
    tensor = tensor_pb2.TensorProto(dtype=number)
    for size in array.shape:
        tensor.tensor_shape.dim.add(size=size)
    if content and array.dtype.kind != "O":
        tensor.tensor_content = array.tobytes()
    else:
        values = (array.view("uint16") if array.dtype == np.float16 else array).ravel()
        for start in range(0, values.size, BLOCK):
            getattr(tensor, TYPES[number][0]).extend(values[start : start + BLOCK].tolist())
    return tensor


def type_name(dtype: int) -> str:
    """What TensorFlow calls a type in its messages: number of a DataType -> "float", "int64"..."""
    return TYPES[dtype][2] if dtype in TYPES else types_pb2.DataType.Name(dtype).removeprefix("DT_").lower()


def _shape(shape):
    if len(shape.dim) > MAX_RANK:
        raise ValueError(f"a tensor must have at most {MAX_RANK} dimensions. Received: {len(shape.dim)}")
    sizes = [dim.size for dim in shape.dim]
    if min(sizes, default=0) < 0:  # `unknown_rank` is ignored, as TensorFlow does
        raise ValueError(f"sizes must not be negative. Received: {sizes}")
    return sizes


def _from_bytes(content, dtype, count):
    if dtype.kind == "O" or len(content) != count * dtype.itemsize:
        raise ValueError(f"{len(content)} bytes cannot be {count} values of {dtype}")
    if dtype.kind == "b":  # any byte but 0 and 1 would be a value that NumPy does not know
        return np.frombuffer(content, "uint8") != 0
    return np.frombuffer(content, dtype)


def _from_values(values, dtype, count):
    if not values:
        return np.full(count, b"" if dtype.kind == "O" else 0, dtype)
    n = min(len(values), count)
    first = itertools.islice(values, n)  # a slice would be a list: many times the memory of the array
    if dtype == np.float16:
        array = np.fromiter(first, "int32", n).astype("uint16").view("float16")
    else:  # small integers travel as int32 and wrap
        wide = "int32" if dtype.kind in "iu" and dtype.itemsize < 4 else dtype
        array = np.fromiter(first, wide, n).astype(dtype, copy=False)
    return np.pad(array, (0, count - n), "edge") if n < count else array


def check_response_size(outputs: dict[str, np.ndarray]) -> int:
    """Refuse outputs that are larger than a response may be.

    Args:
        outputs: dict of alias -> array; strings are bytes in an object array.

    Returns:
        Their bytes as arrays; on the wire they are about as many, and as JSON some more.

    Raises:
        StatusError: if they are more than MAX_RESPONSE.
    """
    size = sum(array.nbytes for array in outputs.values())
    size += sum(len(item) for array in outputs.values() if array.dtype.kind == "O" for item in array.flat)
    if size > MAX_RESPONSE:
        raise response_too_large(size)
    return size


def response_too_large(size: int) -> StatusError:
    """The error of a response of so many bytes."""
    return StatusError(
        INVALID_ARGUMENT, f"A response must have at most {MAX_RESPONSE} bytes, this one has {size}. Ask for fewer rows."
    )
