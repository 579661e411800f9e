"""Which model of a server is meant, and what state its versions are in."""

from typing import NamedTuple

from .errors import invalid

AVAILABLE = "AVAILABLE"


class ModelSpec(NamedTuple):
    """A model, and which version of it: a number, a label, or (neither) the latest."""

    model: str
    version: int | None
    label: str | None

    def check(self) -> "ModelSpec":
        """Itself.

        Raises:
            InvalidRequest: if no server can have such a model, version or label.
        """
        for name, value in (("model", self.model), ("label", "any" if self.label is None else self.label)):
            if not isinstance(value, str) or not value or not value.isprintable():  # no lone surrogates either
                raise invalid(name, f"the name of a {name}", value)
        if self.version is not None and self.label is not None:
            raise invalid("version", "given without `label`, or the other way round", (self.version, self.label))
        if self.version is not None and (type(self.version) is not int or not 0 <= self.version < 2**63):
            raise invalid("version", "in 0..2^63 - 1, an integer", self.version)
        return self


class VersionStatus(NamedTuple):
    """One version: its number, state (START, LOADING, AVAILABLE, UNLOADING, END) and, if it failed, the error."""

    version: int
    state: str
    error: str

    def __str__(self) -> str:
        return f"version {self.version}: {self.state}" + (f" ({self.error})" if self.error else "")
