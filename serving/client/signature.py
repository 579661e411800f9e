"""What a signature takes and gives: names, dtypes and shapes, as the server describes them.

Inputs are checked before anything is sent, so that an error can say which input was wrong and what it must be. Outputs
are checked when they come, in one place for both transports. TensorFlow's names of dtypes are translated here, without
TensorFlow.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from .errors import InvalidRequest, ServingError

DTYPES = {"DT_FLOAT": "float32", "DT_DOUBLE": "float64", "DT_HALF": "float16", "DT_STRING": "string"}


def dtype_name(dtype: str) -> str:
    """NumPy's name for TensorFlow's name of a dtype; "string" for strings."""
    return DTYPES.get(dtype, dtype.removeprefix("DT_").lower())


@dataclasses.dataclass(frozen=True)
class TensorSpec:
    """One input or output.

    Args:
        dtype: NumPy's name of it, or "string".
        shape: Tuple with None for a free size; None for any shape at all.
    """

    dtype: str
    shape: tuple[int | None, ...] | None

    @classmethod
    def from_json(cls, info: Mapping[str, Any]) -> "TensorSpec":
        """From a TensorInfo as JSON: TensorFlow's name of a dtype, and sizes with -1 for a free one."""
        told = info.get("tensor_shape", {})
        sizes = [int(dim["size"]) for dim in told.get("dim", [])]
        shape = None if told.get("unknown_rank") else tuple(None if size < 0 else size for size in sizes)
        return cls(dtype_name(info["dtype"]), shape)

    def __str__(self) -> str:
        if self.shape is None:
            return f"{self.dtype} of any shape"
        sizes = [("N" if i == 0 else "?") if size is None else str(size) for i, size in enumerate(self.shape)]
        return f"{self.dtype} ({', '.join(sizes)}{',' if len(sizes) == 1 else ''})"

    def numpy_dtype(self) -> np.dtype:
        """The dtype as NumPy has it, object for strings.

        Raises:
            InvalidRequest: if NumPy has no such dtype.
        """
        try:
            return np.dtype(object if self.dtype == "string" else self.dtype)
        except TypeError as error:
            raise InvalidRequest(f"The dtype {self.dtype:.60} is not supported") from error

    def convert(self, name: str, value: ArrayLike) -> np.ndarray:
        """A value as an array of this dtype and shape.

        Raises:
            InvalidRequest: if that would lose something.
        """
        try:
            array = np.asarray(value)
        except ValueError as error:
            raise InvalidRequest(f"`{name}` must be {self}. Received rows of several lengths: {value!r:.60}") from error
        if not self._has_shape(array.shape) or not self._holds(array):
            raise InvalidRequest(f"`{name}` must be {self}. Received: {array.dtype} {array.shape}")
        if self.dtype != "string":
            return array.astype(self.numpy_dtype())
        encoded = [text.encode() if isinstance(text, str) else bytes(text) for text in array.reshape(-1).tolist()]
        return np.array(encoded, dtype=object).reshape(array.shape)

    def check_output(self, name: str, dtype: str, shape: tuple[int, ...], *, rows: int | None) -> None:
        """Refuse an output that is not what the signature gives, or has not the rows that were asked for.

        Raises:
            ServingError: if the dtype or the shape is another one.
        """
        fits = dtype == self.dtype and self._has_shape(shape) and (rows is None or shape[:1] == (rows,))
        if not fits:
            wanted = str(self) if rows is None else f"{self} with {rows} rows"
            raise ServingError(f"The server sent `{name}` as {dtype} {shape}, not {wanted}", code="INTERNAL")

    def _has_shape(self, shape):
        return self.shape is None or (
            len(shape) == len(self.shape) and all(want in (None, got) for want, got in zip(self.shape, shape))
        )

    def _holds(self, array):
        """Whether this dtype holds each value of an array."""
        if self.dtype == "string":
            return array.dtype.kind in "SU" or all(isinstance(item, str | bytes) for item in array.reshape(-1))
        wanted = self.numpy_dtype()
        if wanted.kind not in "iu":
            return array.dtype.kind in {"f": "iuf", "b": "b"}.get(wanted.kind, wanted.kind)
        limits = np.iinfo(wanted)
        return array.dtype.kind in "iu" and (not array.size or limits.min <= array.min() <= array.max() <= limits.max)


@dataclasses.dataclass(frozen=True)
class Signature:
    """One function of the model: its inputs and outputs by name."""

    inputs: dict[str, TensorSpec]
    outputs: dict[str, TensorSpec]

    @classmethod
    def from_json(cls, definition: Mapping[str, Any]) -> "Signature":
        """From a SignatureDef as JSON."""
        sides = (definition["inputs"], definition["outputs"])
        return cls(*({name: TensorSpec.from_json(info) for name, info in side.items()} for side in sides))

    def __str__(self) -> str:
        return f"{_listed(self.inputs)} -> {_listed(self.outputs)}"

    def wants(self) -> str:
        """The inputs in words."""
        return _listed(self.inputs)

    def convert(self, name: str, inputs: Mapping[str, ArrayLike]) -> dict[str, np.ndarray]:
        """Inputs of the signature of that name as arrays of the right dtypes and shapes.

        Raises:
            InvalidRequest: naming the input that is missing, unknown or wrong.
        """
        missing, unknown = sorted(set(self.inputs) - set(inputs)), sorted(set(inputs) - set(self.inputs))
        if missing or unknown:
            raise InvalidRequest(f"`{name}` wants {self.wants()}. Missing: {missing}. Unknown: {unknown}")
        return {key: spec.convert(key, inputs[key]) for key, spec in self.inputs.items()}


class Call(NamedTuple):
    """One request to a signature, and what must come back."""

    name: str
    inputs: dict[str, np.ndarray]  # of the dtypes that it takes
    outputs: dict[str, TensorSpec]
    rows: int | None  # of each output; None for any number


def _listed(specs):
    return ", ".join(f"{name} {spec}" for name, spec in sorted(specs.items()))
