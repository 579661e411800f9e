"""What a signature wants and gives: names, dtypes and shapes, as the server describes them.

Inputs are checked against it before anything is sent, so that an error can say which input was wrong and what it has
to be. TensorFlow's names of dtypes are translated here, without TensorFlow.
"""

import dataclasses

import numpy as np

from serving.errors import InvalidRequest

DTYPES = {"DT_FLOAT": "float32", "DT_DOUBLE": "float64", "DT_HALF": "float16", "DT_STRING": "string"}


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
    def from_wire(cls, dtype, sizes):
        """From TensorFlow's name of a dtype, and sizes with -1 for a free one (None for an unknown rank)."""
        shape = None if sizes is None else tuple(None if int(size) < 0 else int(size) for size in sizes)
        return cls(DTYPES.get(dtype, dtype.removeprefix("DT_").lower()), shape)

    def __str__(self):
        if self.shape is None:
            return f"{self.dtype} of any shape"
        sizes = [("N" if i == 0 else "?") if size is None else str(size) for i, size in enumerate(self.shape)]
        return f"{self.dtype} ({', '.join(sizes)}{',' if len(sizes) == 1 else ''})"

    def numpy_dtype(self):
        """The dtype as NumPy has it: object for strings."""
        return np.dtype(object if self.dtype == "string" else self.dtype)

    def convert(self, name, value):
        """The value as an array of this dtype and shape.

        Raises:
            InvalidRequest: if it cannot be, without loss.
        """
        try:
            array = np.asarray(value)
        except ValueError as error:
            raise InvalidRequest(f"`{name}` must be {self}. Received rows of several lengths: {value!r:.60}") from error
        if not self._fits(array):
            raise InvalidRequest(f"`{name}` must be {self}. Received: {array.dtype} {array.shape}")
        if self.dtype != "string":
            return array.astype(self.numpy_dtype())
        encoded = [text.encode() if isinstance(text, str) else bytes(text) for text in array.reshape(-1).tolist()]
        return np.array(encoded, dtype=object).reshape(array.shape)

    def _fits(self, array):
        if self.shape is not None and (
            array.ndim != len(self.shape) or any(want not in (None, got) for want, got in zip(self.shape, array.shape))
        ):
            return False
        if self.dtype == "string":
            return array.dtype.kind in "SU" or all(isinstance(item, str | bytes) for item in array.reshape(-1))
        wanted = self.numpy_dtype()
        if wanted.kind not in "iu":
            return array.dtype.kind in {"f": "iuf", "b": "b"}.get(wanted.kind, wanted.kind)
        limits = np.iinfo(wanted)
        return array.dtype.kind in "iu" and (not array.size or limits.min <= array.min() <= array.max() <= limits.max)


@dataclasses.dataclass(frozen=True)
class Signature:
    """One function of the model.

    Args:
        inputs: dict of name -> `TensorSpec`.
        outputs: dict of name -> `TensorSpec`.
    """

    inputs: dict[str, TensorSpec]
    outputs: dict[str, TensorSpec]

    def __str__(self):
        return f"{self.wants()} -> {_listed(self.outputs)}"

    def wants(self):
        """The inputs in words."""
        return _listed(self.inputs)

    def convert(self, name, inputs):
        """Inputs as arrays of the right dtypes and shapes.

        Args:
            name: Name of the signature, for the errors.
            inputs: dict of name -> anything like an array.

        Raises:
            InvalidRequest: naming the input that is missing, unknown or wrong.
        """
        missing, unknown = sorted(set(self.inputs) - set(inputs)), sorted(set(inputs) - set(self.inputs))
        if missing or unknown:
            raise InvalidRequest(f"`{name}` wants {self.wants()}. Missing: {missing}. Unknown: {unknown}")
        return {key: spec.convert(key, inputs[key]) for key, spec in self.inputs.items()}


def _listed(specs):
    return ", ".join(f"{name} {spec}" for name, spec in sorted(specs.items()))
