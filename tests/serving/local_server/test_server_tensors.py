"""Arrays on the wire, against TensorFlow's own decoder."""

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2, types_pb2

from serving.local_server import tensors

FIELDS = ("half_val", "float_val", "double_val", "int_val", "int64_val", "uint32_val", "uint64_val")
NUMBERS = [number for number, (field, _, _) in tensors.TYPES.items() if field in FIELDS]


def decode_as_tensorflow(tensor):
    """`Tensor::FromProto`, or None if it refuses."""
    try:
        return tf.io.parse_tensor(tensor.SerializeToString(), tf.as_dtype(tensor.dtype)).numpy()
    except tf.errors.InvalidArgumentError:
        return None


def test_a_tensor_of_many_dimensions_is_refused():
    tensor = tensor_pb2.TensorProto(dtype="DT_INT32")
    for _ in range(tensors.MAX_RANK + 1):
        tensor.tensor_shape.dim.add(size=2**62)
    with pytest.raises(ValueError, match=r"at most 64 dimensions. Received: 65"):
        tensors.to_array(tensor)


def decode_as_we(tensor):
    try:
        return tensors.to_array(tensor)
    except ValueError:
        return None


@st.composite
def claims(draw):
    """A tensor whose shape, values and bytes may or may not fit together."""
    tensor = tensor_pb2.TensorProto(dtype=draw(st.sampled_from(NUMBERS)))
    field, dtype, _ = tensors.TYPES[tensor.dtype]
    for size in draw(st.lists(st.integers(-1, 4), max_size=3)):
        tensor.tensor_shape.dim.add(size=size)
    tensor.tensor_shape.unknown_rank = draw(st.sampled_from([False] * 9 + [True]))
    getattr(tensor, field).extend(draw(st.lists(st.integers(0, 2**15), max_size=8)))
    if draw(st.booleans()):
        tensor.tensor_content = bytes(draw(st.integers(0, 5)) * dtype.itemsize + draw(st.integers(0, 1)))
    return tensor


@hypothesis.settings(max_examples=300, deadline=None, derandomize=True)
@hypothesis.given(claims())
def test_numbers_are_decoded_as_tensorflow_does(tensor):
    expected, received = decode_as_tensorflow(tensor), decode_as_we(tensor)
    if expected is None or received is None:
        assert expected is received
    else:
        assert received.dtype == expected.dtype
        np.testing.assert_array_equal(received, expected)


@pytest.mark.parametrize("count", [0, 1, 2, 3, 5])
def test_strings_and_booleans_are_decoded_as_tensorflow_does(count):
    shape = {"dim": [{"size": 3}]}
    strings = tensor_pb2.TensorProto(
        dtype="DT_STRING", tensor_shape=shape, string_val=[b"a", b"", b"c", b"d", b"e"][:count]
    )
    booleans = tensor_pb2.TensorProto(
        dtype="DT_BOOL", tensor_shape=shape, bool_val=[True, False, True, True, False][:count]
    )
    for tensor in (strings, booleans):
        np.testing.assert_array_equal(tensors.to_array(tensor), decode_as_tensorflow(tensor))


@pytest.mark.parametrize("content", [False, True])
@pytest.mark.parametrize("number", tensors.TYPES)
def test_what_is_encoded_decodes_to_itself(number, content):
    dtype = tensors.TYPES[number][1]
    array = np.array([[b"", b"\xff\0"]] if dtype.kind == "O" else [[0, 1], [1, 0]]).astype(dtype)
    tensor = tensors.to_proto(array, content=content)
    assert bool(tensor.tensor_content) == (content and dtype.kind != "O")
    for decoded in (tensors.to_array(tensor), tf.make_ndarray(tensor)):
        np.testing.assert_array_equal(decoded, array)


def test_numbers_encoded_in_blocks_are_the_same(monkeypatch):
    array = np.arange(7, dtype="float32")
    whole = tensors.to_proto(array)
    monkeypatch.setattr(tensors, "BLOCK", 3)
    assert tensors.to_proto(array) == whole and len(whole.float_val) == 7


def test_floats_keep_their_bits():
    array = np.array([0.1, -0.0, np.inf, -np.inf, 1e-45], "float32")
    for content in (False, True):
        assert tensors.to_array(tensors.to_proto(array, content=content)).tobytes() == array.tobytes()


@pytest.mark.parametrize("sizes", [[2**24], [2**62], [2**40, 2**40], [2**62, 0], [1] * 100])
def test_a_small_message_cannot_claim_a_large_tensor(sizes):
    tensor = tensor_pb2.TensorProto(dtype="DT_FLOAT", float_val=[1.0])
    for size in sizes:
        tensor.tensor_shape.dim.add(size=size)
    with pytest.raises(ValueError):
        tensors.to_array(tensor)


@pytest.mark.parametrize("dtype", [0, 7777, types_pb2.DT_RESOURCE, types_pb2.DT_FLOAT_REF])
def test_types_without_values_are_refused(dtype):
    with pytest.raises(ValueError, match="not supported"):
        tensors.to_array(tensor_pb2.TensorProto(dtype=dtype))
    assert isinstance(tensors.type_name(types_pb2.DT_RESOURCE), str)
