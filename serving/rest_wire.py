"""TensorFlow Serving over REST: the columnar form, `inputs` -> `outputs`.

JSON knows no dtypes, so answers are read with the dtypes of the signature; bytes travel as {"b64": ...}. NaN and the
infinities are written as NaN, Infinity and -Infinity, as TensorFlow Serving does. Nothing of TensorFlow is imported.
"""

import base64
import json
import urllib.parse

import numpy as np

from serving import errors
from serving.http_pool import HttpPool
from serving.signature import Signature, TensorSpec
from serving.status import VersionStatus

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
UNREADABLE = (AttributeError, KeyError, OverflowError, TypeError, ValueError)


class RestWire:
    """Connections to one model of one server.

    Args:
        address: URL, "http://host:port" or https; a path in it comes before "/v1".
        target: `Target`.
        tls: `TLS`; None trusts the usual authorities.
        max_message_bytes: Largest body to send or to take.
    """

    def __init__(self, address, target, *, tls, max_message_bytes):
        self.pool = HttpPool(address, tls=tls, max_message_bytes=max_message_bytes)
        self.model = f"/v1/models/{urllib.parse.quote(target.model, safe='')}"
        if target.version is not None:
            self.model += f"/versions/{target.version}"
        self.labelled = self.model
        if target.label is not None:
            self.labelled += f"/labels/{urllib.parse.quote(target.label, safe='')}"

    def predict(self, name, inputs, signature, timeout):
        """Outputs of a signature, dict of name -> array; inputs are arrays of the right dtypes."""
        body = {"signature_name": name, "inputs": {key: _to_json(array) for key, array in inputs.items()}}
        answer = self._ask("POST", f"{self.labelled}:predict", body, timeout)
        try:
            outputs = answer["outputs"]
            if len(signature.outputs) == 1 and not (isinstance(outputs, dict) and "b64" not in outputs):
                outputs = {next(iter(signature.outputs)): outputs}  # a single output comes without its name
            return {key: _from_json(key, outputs[key], spec) for key, spec in signature.outputs.items()}
        except UNREADABLE as error:
            raise _unreadable(answer) from error

    def signatures(self, timeout):
        """dict of name -> `Signature`."""
        answer = self._ask("GET", f"{self.labelled}/metadata", None, timeout)
        try:
            found = answer["metadata"]["signature_def"]["signature_def"]
            return {name: Signature(_specs(found[name]["inputs"]), _specs(found[name]["outputs"])) for name in found}
        except UNREADABLE as error:
            raise _unreadable(answer) from error

    def status(self, timeout):
        """List of `VersionStatus`."""
        answer = self._ask("GET", self.model, None, timeout)
        try:
            return [
                VersionStatus(int(one["version"]), one["state"], one.get("status", {}).get("error_message", ""))
                for one in answer["model_version_status"]
            ]
        except UNREADABLE as error:
            raise _unreadable(answer) from error

    def close(self):
        """End the connections; requests under way fail."""
        self.pool.close()

    def _ask(self, method, path, body, timeout):
        encoded = None if body is None else json.dumps(body).encode()
        status, text = self.pool.request(method, path, encoded, timeout)
        try:
            answer = json.loads(text)
        except (ValueError, RecursionError):
            answer = text.decode(errors="replace")  # not from the model server
        if status == 200 and isinstance(answer, dict):
            return answer
        said = str(answer["error"]) if isinstance(answer, dict) and "error" in answer else f"{status} {answer!r:.200}"
        if status == 413:
            raise errors.TooLarge(said)
        raise errors.from_code(CODES.get(status, "UNKNOWN"), said)


def _to_json(array):
    if array.dtype != object:
        return array.tolist()
    encoded = [{"b64": base64.b64encode(item).decode()} for item in array.reshape(-1)]
    return np.array(encoded, dtype=object).reshape(array.shape).tolist()


def _from_json(name, value, spec):
    if spec.dtype == "string":
        return np.array(_encoded(value), dtype=object)
    real = spec.numpy_dtype().kind == "f"  # null and "NaN" become numbers here
    return spec.convert(name, np.asarray(value, dtype="float64" if real else None))


def _encoded(value):
    if isinstance(value, list):
        return [_encoded(item) for item in value]
    return base64.b64decode(value["b64"], validate=True) if isinstance(value, dict) else value.encode()


def _specs(infos):
    specs = {}
    for name, info in infos.items():
        shape = info["tensor_shape"]
        sizes = None if shape.get("unknown_rank") else [dim["size"] for dim in shape.get("dim", [])]
        specs[name] = TensorSpec.from_wire(info["dtype"], sizes)
    return specs


def _unreadable(answer):
    return errors.ServingError(f"The server's answer cannot be read: {answer!r:.200}", code="INTERNAL")
