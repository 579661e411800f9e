"""TensorFlow Serving over REST, in the columnar form: `inputs` -> `outputs`.

JSON has no dtypes, so a response is read with the dtypes that are expected; bytes travel as {"b64": ...}. NaN and the
infinities are written as NaN, Infinity and -Infinity, as TensorFlow Serving does. Nothing of TensorFlow is imported.
"""

import base64
import json
import time
import urllib.parse
from typing import Any

import numpy as np

from .. import errors
from ..model_spec import ModelSpec, VersionStatus
from ..signature import Call, Signature
from ..tls import TLS
from .bounded_http import BoundedHttp

CODES = {
    400: "INVALID_ARGUMENT",
    404: "NOT_FOUND",
    408: "DEADLINE_EXCEEDED",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    501: "UNIMPLEMENTED",
    502: "UNAVAILABLE",  # from a proxy in between
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


class RestTransport:
    """See `Transport`.

    Args:
        address: URL, "http://host:port" or https; a path in it comes before "/v1".
        spec: The model.
        tls: `TLS`; None trusts the usual authorities.
        max_message_bytes: Largest body to send or to take.
    """

    def __init__(self, address: str, spec: ModelSpec, *, tls: TLS | None, max_message_bytes: int):
        self.settings: dict[str, Any] = {"spec": spec, "tls": tls, "max_message_bytes": max_message_bytes}
        self.address = address
        self.http = BoundedHttp(address, tls=tls, max_message_bytes=max_message_bytes)
        self.model = f"/v1/models/{urllib.parse.quote(spec.model, safe='')}"
        if spec.version is not None:
            self.model += f"/versions/{spec.version}"
        self.labelled = self.model  # the status has no labels
        if spec.label is not None:
            self.labelled += f"/labels/{urllib.parse.quote(spec.label, safe='')}"

    def predict(self, call: Call, seconds: float) -> dict[str, np.ndarray]:
        """See `Transport`."""
        end = time.monotonic() + seconds  # encoding takes time too
        body = {"signature_name": call.name, "inputs": {key: _to_json(array) for key, array in call.inputs.items()}}
        response = self._ask("POST", f"{self.labelled}:predict", body, end)
        with errors.reading_response():
            found = response["outputs"]
            if len(call.outputs) == 1 and not (isinstance(found, dict) and "b64" not in found):
                found = {next(iter(call.outputs)): found}  # a single output comes without its name
            return {key: _from_json(key, found[key], spec, call.rows) for key, spec in call.outputs.items()}

    def signatures(self, seconds: float) -> dict[str, Signature]:
        """See `Transport`."""
        response = self._ask("GET", f"{self.labelled}/metadata", None, time.monotonic() + seconds)
        with errors.reading_response():
            found = response["metadata"]["signature_def"]["signature_def"]
            return {name: Signature.from_json(definition) for name, definition in found.items()}

    def status(self, seconds: float) -> list[VersionStatus]:
        """See `Transport`."""
        response = self._ask("GET", self.model, None, time.monotonic() + seconds)
        with errors.reading_response():
            return [_status(**version) for version in response["model_version_status"]]

    def after_fork(self) -> "RestTransport":
        """See `Transport`."""
        return RestTransport(self.address, **self.settings)

    def close(self) -> None:
        """See `Transport`."""
        self.http.close()

    def _ask(self, method, path, body, end):
        encoded = None if body is None else json.dumps(body).encode()
        status, text = self.http.request(method, path, encoded, end)
        try:
            response = json.loads(text)
        except (ValueError, RecursionError, MemoryError):
            response = text[:200].decode(errors="replace")  # not from a model server
        if status == 200 and isinstance(response, dict):
            return response
        is_error = isinstance(response, dict) and "error" in response
        message = str(response["error"]) if is_error else f"{status} {response!r:.200}"
        if status == 413:
            raise errors.TooLarge(message)
        raise errors.from_code(CODES.get(status, "UNKNOWN"), message)


def _to_json(array):
    if array.dtype != object:
        return array.tolist()
    encoded = [{"b64": base64.b64encode(item).decode()} for item in array.reshape(-1)]
    return np.array(encoded, dtype=object).reshape(array.shape).tolist()


def _from_json(name, value, spec, rows):
    if spec.dtype == "string":
        value = np.array(_decode(value), dtype=object)
    elif spec.numpy_dtype().kind == "f":
        value = np.asarray(value, dtype="float64")  # null and "NaN" become numbers here
    array = spec.convert(name, value)
    spec.check_output(name, spec.dtype, array.shape, rows=rows)
    return array


def _decode(value):
    if isinstance(value, list):
        return [_decode(item) for item in value]
    return base64.b64decode(value["b64"], validate=True) if isinstance(value, dict) else value.encode()


def _status(version, state, status=None, **_):
    return VersionStatus(int(version), str(state), str((status or {}).get("error_message", "")))
