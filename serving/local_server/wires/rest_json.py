"""Arrays in JSON, by the rules of TensorFlow Serving's REST interface.

    rows:    {"instances": [{"digit": 3, "w": 2.0, "seed": 1}, ...]}       ->  {"predictions": [...]}
    columns: {"inputs": {"digit": [3, 7], "w": [2.0, 2.0], "seed": [1, 2]}} ->  {"outputs": ...}

Bytes are {"b64": "..."}: on the way in anywhere, on the way out for outputs whose name ends in `_bytes`. NaN and
infinity are bare words, which JSON does not have, and which Python and TensorFlow Serving both read and write.
"""

import base64
import json
import reprlib

import numpy as np

from .. import predict, tensors
from ..errors import INTERNAL, INVALID_ARGUMENT, StatusError

BLOCK = 2**16  # values written at a time
LEAVES = {"b": {bool}, "i": {int}, "u": {int}, "f": {int, float}}  # JSON's types for a kind of NumPy's


def read_body(body: bytes, signatures: predict.Signatures) -> tuple[predict.Call, bool]:
    """Check the body of a predict request against a model's signatures.

    Returns:
        The call, and whether the answer is in rows.

    Raises:
        StatusError: saying what is wrong with it.
    """
    request = _parse(body)
    if not isinstance(request, dict):
        raise _wrong("JSON must be an object with 'instances' or 'inputs'")
    name = request.get("signature_name", "")
    if not isinstance(name, str):
        raise _wrong("'signature_name' must be a string")
    name, signature = predict.find_signature(signatures, name)
    rows = "instances" in request
    if rows == ("inputs" in request):
        raise _wrong("JSON must have 'instances' or 'inputs', and not both" if rows else _MISSING)
    columns = _columns(request["instances"], signature) if rows else request["inputs"]
    if not isinstance(columns, dict) or set(columns) == {"b64"}:
        columns = {_only_input(signature, "inputs"): columns}
    predict.check_names(columns, signature)
    inputs = {alias: _array(value, alias, signature.inputs[alias].dtype) for alias, value in columns.items()}
    predict.check_shapes(inputs, signature)
    return predict.Call(name, inputs, tuple(sorted(signature.outputs))), rows


def write_body(outputs: dict[str, np.ndarray], *, rows: bool) -> str:
    """The body of an answer, in rows or in columns.

    Raises:
        StatusError: if the outputs have no rows.
    """
    lengths = {array.shape[:1] for array in outputs.values()}
    if rows and (len(lengths) != 1 or () in lengths):
        raise StatusError(INTERNAL, "The outputs differ in their number of rows: ask with 'inputs' instead")
    if len(outputs) == 1:
        [(alias, array)] = outputs.items()
        text = _text(array, alias)
    elif rows:
        [(count,)] = lengths
        text = (
            f"[{', '.join(_named({alias: array[i, ...] for alias, array in outputs.items()}) for i in range(count))}]"
        )
    else:
        text = _named(outputs)
    return f'{{"predictions": {text}}}' if rows else f'{{"outputs": {text}}}'


_MISSING = "Missing 'inputs' or 'instances' key"


def _parse(body):
    try:
        return json.loads(body)
    except RecursionError as error:
        raise _wrong("JSON Parse error: nested too deeply") from error
    except ValueError as error:  # malformed, not UTF-8, or an integer of thousands of digits
        raise _wrong(f"JSON Parse error: {error}") from error


def _columns(instances, signature):
    """Rows -> columns."""
    if not isinstance(instances, list) or not instances:
        raise _wrong("'instances' must be a list of at least one")
    if not isinstance(instances[0], dict) or set(instances[0]) == {"b64"}:
        return {_only_input(signature, "instances"): instances}
    names = set(signature.inputs)
    for i, row in enumerate(instances):
        if not isinstance(row, dict) or set(row) != names:
            keys = sorted(row) if isinstance(row, dict) else type(row).__name__
            raise _wrong(f"Element {i} of 'instances' must be an object with keys {sorted(names)}. Received: {keys}")
    return {name: [row[name] for row in instances] for name in sorted(names)}


def _only_input(signature, key):
    if len(signature.inputs) != 1:
        raise _wrong(f"'{key}' must name its values: the inputs are {sorted(signature.inputs)}")
    return next(iter(signature.inputs))


def _array(value, alias, dtype):
    expected = tensors.TYPES[dtype][1]
    array = np.array(value, object)  # as it is: among strings, NumPy makes each as long as the longest
    types = set(map(type, array.ravel()))
    if list in types:
        raise _wrong(f"`{alias}` must be lists of equal lengths")
    if expected.kind == "O":
        array.flat = [_to_bytes(leaf, alias) for leaf in array.flat]
        return array
    if not types <= LEAVES[expected.kind]:
        raise _wrong(f"`{alias}` must be of type {tensors.type_name(dtype)}. Received: {reprlib.repr(value):.60}")
    if array.size and expected.kind in "iu":
        limits = np.iinfo(expected)
        if array.min() < limits.min or array.max() > limits.max:
            raise _wrong(f"`{alias}` must be in {limits.min}..{limits.max}. Received: {reprlib.repr(value):.60}")
    try:
        with np.errstate(over="ignore"):  # infinity, which is the model's to refuse
            return array.astype(expected)
    except OverflowError as error:  # an integer of hundreds of digits
        raise _wrong(f"`{alias}` must be of type {tensors.type_name(dtype)}. Received: {error}") from error


def _to_bytes(leaf, alias):
    if isinstance(leaf, str):
        return leaf.encode("utf-8", "surrogatepass")
    if not isinstance(leaf, dict) or set(leaf) != {"b64"} or not isinstance(leaf["b64"], str):
        raise _wrong(f"`{alias}` must be strings or {{'b64': ...}}. Received: {reprlib.repr(leaf):.60}")
    try:
        return base64.b64decode(leaf["b64"], validate=True)
    except ValueError as error:
        raise _wrong(f"`{alias}` must be base64. Received: {reprlib.repr(leaf['b64']):.60}") from error


def _named(arrays):
    """The JSON of several arrays."""
    return f"{{{', '.join(f'{json.dumps(alias)}: {_text(array, alias)}' for alias, array in arrays.items())}}}"


def _text(array, alias):
    """The JSON of an array, written in blocks: while a block is written, no other thread of Python runs."""
    if array.size <= BLOCK:
        return json.dumps(_plain(array, alias))
    rows = BLOCK // (array.size // len(array))
    if rows:
        blocks = (array[start : start + rows] for start in range(0, len(array), rows))
        return f"[{', '.join(_text(block, alias)[1:-1] for block in blocks)}]"
    return f"[{', '.join(_text(row, alias) for row in array)}]"


def _plain(array, alias):
    """An array as what JSON can say."""
    if array.dtype.kind not in "OS":
        return array.tolist()
    if alias.endswith("_bytes"):
        return _map(lambda leaf: {"b64": base64.b64encode(leaf).decode()}, array.tolist())
    return _map(lambda leaf: leaf.decode("utf-8", "backslashreplace"), array.tolist())


def _map(function, value):
    return [_map(function, item) for item in value] if isinstance(value, list) else function(value)


def _wrong(message):
    return StatusError(INVALID_ARGUMENT, message)
