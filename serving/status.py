"""Which model of a server is meant, and how its versions are."""

from typing import NamedTuple

from serving.errors import wrong

AVAILABLE = "AVAILABLE"


class Target(NamedTuple):
    """A model, and which version of it: a number, a label, or (neither) the latest."""

    model: str
    version: int | None
    label: str | None

    def check(self):
        """The target itself.

        Raises:
            InvalidRequest: for what no server can have.
        """
        if not isinstance(self.model, str) or not self.model:
            raise wrong("model", "the name of a model", self.model)
        if self.version is not None and self.label is not None:
            raise wrong("version", "given without `label`, or the other way round", (self.version, self.label))
        if self.version is not None and (type(self.version) is not int or not 0 <= self.version < 2**63):
            raise wrong("version", "in 0..2^63 - 1, an integer", self.version)
        if self.label is not None and (not isinstance(self.label, str) or not self.label):
            raise wrong("label", "the name of a label", self.label)
        return self


class VersionStatus(NamedTuple):
    """One version: its number, state (START, LOADING, AVAILABLE, UNLOADING, END) and, if it failed, the error."""

    version: int
    state: str
    error: str

    def __str__(self):
        return f"version {self.version}: {self.state}{' (' * bool(self.error)}{self.error}{')' * bool(self.error)}"
