"""The manifest of a data set in shards, and the entries that it is made of.

An entry has what one shard is: its file, count, labels, seeds, SHA-256, size, and what filters removed. Nothing in it
depends on when, or in how many attempts, the shard was written.
"""

import json
from typing import Any

from keras_ddpm.saving.files import sha256
from keras_ddpm.shards.storage import Bucket, Folder

NAME = "manifest.json"
KIND = "keras_ddpm shards 1"
ENTRIES = ".shards"


def read(folder: Folder | Bucket) -> dict[str, Any] | None:
    """The manifest of a folder; None if there is none.

    Raises:
        ValueError: if the file is no manifest of this kind.
    """
    try:
        text = folder.read(NAME)
    except FileNotFoundError:
        return None
    try:
        content = json.loads(text)
        if content["kind"] == KIND:
            return content
    except (ValueError, KeyError, TypeError):
        pass
    raise ValueError(f"{NAME} in {str(folder)!r} is not of a data set in shards")


def write(folder: Folder | Bucket, content: dict[str, Any]) -> None:
    """Write the manifest, or an entry's JSON, in one move."""
    _write_json(folder, NAME, {"kind": KIND, **content})


def total(entries: list[dict[str, Any]]) -> dict[str, Any]:
    """Sums over the entries of shards: images, bytes, labels and removed."""
    return {
        "images": sum(entry["count"] for entry in entries),
        "bytes": sum(entry["bytes"] for entry in entries),
        "labels": [sum(column) for column in zip(*(entry["labels"] for entry in entries))],
        "removed": {name: sum(entry["removed"][name] for entry in entries) for name in entries[0]["removed"]},
    }


def place(i: int, of: int) -> str:
    """A shard's place, as in its file's name: "00007-of-00100"."""
    return f"{i:05d}-of-{of:05d}"


def write_entry(folder: Folder | Bucket, name: str, entry: dict[str, Any]) -> None:
    """Write a shard's entry, after its file."""
    _write_json(folder, f"{ENTRIES}/{name}.json", entry)


def read_entry(folder: Folder | Bucket, name: str) -> dict[str, Any] | None:
    """A shard's entry; None if there is none, or it cannot be read."""
    try:
        return json.loads(folder.read(f"{ENTRIES}/{name}.json"))
    except (FileNotFoundError, ValueError):
        return None


def holds(folder: Folder | Bucket, entry: dict[str, Any]) -> bool:
    """Whether a shard's file is there and is the one that its entry tells of."""
    try:
        with folder.reading(entry["file"]) as path:
            return sha256(path) == entry["sha256"]
    except (OSError, KeyError, TypeError):
        return False


def _write_json(folder, name, content):
    with folder.writing(name) as path:
        path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
