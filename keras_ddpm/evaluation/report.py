"""A report: every figure beside the real one, as a dict, as text, as JSON and as one HTML page."""

import dataclasses
import json
import math
import pathlib
from typing import Any

from keras_ddpm.evaluation import figures as names
from keras_ddpm.saving.files import write_text


@dataclasses.dataclass(frozen=True)
class Report:
    """What `evaluate` returns.

    Args:
        content: Plain values, as in `report.json`: `n`, `figures`, `confusion`, `clip`, `recognition`, `health`,
            `seconds`, and `facts`, which a reader needs to reproduce the figures.
        pictures: uint8 arrays for the page, see `measure.pictures`.

    Example:
        >>> report = keras_ddpm.evaluate("mnist", n=200)
        >>> report.figures["accuracy"]
        {'model': 0.995, 'real': 1.0}
    """

    content: dict[str, Any]
    pictures: dict[str, Any] = dataclasses.field(repr=False)

    @property
    def figures(self) -> dict[str, dict[str, float]]:
        """dict from a figure's name to {"model": value, "real": value}; CLIP's are in `content["clip"]`."""
        return self.content["figures"]

    @property
    def warnings(self) -> list[str]:
        """What is wrong with the sampling chain, one sentence each."""
        return self.content.get("health", {}).get("diagnosis", [])

    @property
    def verdict(self) -> str:
        """One line: in what the images are worse than real ones by more than chance; empty without figures."""
        from keras_ddpm.evaluation.page.verdict import verdict

        found = verdict(self.content)
        return found[1] if found else ""

    def table(self) -> str:
        """The most important figures as text: name, model, real test images."""
        return names.headline_table(self.content)

    def save(self, folder: str | pathlib.Path) -> None:
        """Writes `report.json` and `report.html` into a folder, which is created if missing."""
        folder = pathlib.Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        self.save_json(folder / "report.json")
        self.save_html(folder / "report.html")

    def save_json(self, path: str | pathlib.Path) -> None:
        """Writes the content as JSON, with null for NaN and infinite values, and the samples for `compare` to show."""
        from keras_ddpm.evaluation.page import sections

        samples = {str(row["digit"]): row["image"] for row in sections.samples(self.content, self.pictures)}
        write_text(path, json.dumps(_finite(self.content) | {"samples": samples}, indent=1) + "\n")

    def save_html(self, path: str | pathlib.Path) -> None:
        """Writes a page that contains its pictures and plots."""
        from keras_ddpm.evaluation.page import report_page

        write_text(path, report_page.render(self.content, self.pictures))


def read_report(path: str | pathlib.Path) -> dict[str, Any]:
    """Reads the content of a report that `Report.save` wrote.

    Args:
        path: A `report.json`, or the folder that holds it.

    Returns:
        dict, see `Report`.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is not a report.
    """
    path = pathlib.Path(path)
    file = path / "report.json" if path.is_dir() else path
    if not file.is_file():
        raise FileNotFoundError(f"There is no report {str(file)!r}. Make it with: python -m keras_ddpm evaluate")
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        content["figures"], content["facts"]["title"]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{str(file)!r} is not a report of `evaluate`: {error!r}") from error
    return content


def _finite(value):
    """The same value with None for numbers that JSON cannot hold."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
