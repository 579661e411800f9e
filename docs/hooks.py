"""What the site's pages get beside their text (`mkdocs.yml`).

A page may link to files outside docs/, which only exist in the repository: pictures come along, and of any other file
the name stays, without a link. The page of the API lists every public name of keras_ddpm, and what is in a `Config`.
"""

import dataclasses
import posixpath
import re
from pathlib import Path
from typing import Any

import griffe
from mkdocs.structure.files import File

import keras_ddpm
from keras_ddpm.config import Config

ROOT = Path(__file__).parent.parent
LINK = re.compile(r"(!?)\[([^\]]*)\]\((\.\./[^)\s]+)\)")
PICTURES = (".png", ".svg")


def on_page_markdown(markdown: str, *, page: Any, config: Any, files: Any) -> str:
    """The page's text, with links that work on the site."""
    folder = posixpath.dirname(page.file.src_uri)

    def inside(link):
        picture, text, target = link.groups()
        source = posixpath.normpath(posixpath.join("docs", folder, target))
        if source.startswith("docs/"):
            return link[0]
        if not source.endswith(PICTURES):
            return text
        if files.get_file_from_path(source) is None:
            files.append(File.generated(config, source, abs_src_path=str(ROOT / source)))
        return f"{picture}[{text}]({posixpath.relpath(source, folder or '.')})"

    if page.file.src_uri == "api.md":
        markdown += api()
    return LINK.sub(inside, markdown)


def api() -> str:
    """A directive for each name, from whose docstring mkdocstrings makes a section."""
    parts = [type(field.default).__name__ for field in dataclasses.fields(Config)]
    names = {f"keras_ddpm.{name}": f"keras_ddpm.{module}.{name}" for name, module in keras_ddpm._NAMES.items()}
    names |= {f"keras_ddpm.config.{part}": f"keras_ddpm.config.{part}" for part in parts if part != "str"}
    return "".join(
        f"\n\n::: {path}\n    options:\n      heading: {name}\n      toc_label: {name.rpartition('.')[2]}\n"
        for name, path in names.items()
    )


SECTIONS = {r"^Example:$": "Examples:", r"^Call arguments:$": "Other args: Call arguments:"}


class Sections(griffe.Extension):
    """Sections of our docstrings that griffe knows by another name."""

    def on_instance(self, *, obj: Any, **kwargs) -> None:
        if not obj.is_alias and obj.docstring:
            for ours, theirs in SECTIONS.items():
                obj.docstring.value = re.sub(ours, theirs, obj.docstring.value, flags=re.M)
