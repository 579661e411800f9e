"""A judge on disk: its weights, and notes that say what it knows. The shipped one lies in `judges/weights/`.

    classifier.weights.h5   float32, without optimizer state
    classifier.json         all of `NEEDED`, and whatever else a reader should know

`data_sha256` is the fingerprint of the data set's training split, by which a judge of other data is noticed.
"""

import json
import os
import pathlib
from typing import Any

from keras_ddpm.data import Dataset
from keras_ddpm.evaluation.arrays import Kind
from keras_ddpm.saving import files
from keras_ddpm.saving.weights import write_weights

WEIGHTS, NOTES = "classifier.weights.h5", "classifier.json"
NEEDED = {
    "arch": str,
    "dataset": str,
    "data_sha256": str,
    "image_shape": list,
    "num_classes": int,
    "test_accuracy": float,
    "weights_sha256": str,
}


def check_new(folder: str | pathlib.Path) -> None:
    """Raise before any work is done if a judge cannot be written to a folder.

    Raises:
        ValueError: if there is something in it.
        OSError: if it cannot be written.
    """
    folder = pathlib.Path(folder)
    if folder.is_dir() and any(folder.iterdir()):
        raise ValueError(f"`out` must be a new or empty folder. Received: {str(folder)!r}, which holds files")
    files.probe_folder(folder)


def write(folder: str | pathlib.Path, network: Any, notes: dict[str, Any]) -> None:
    """Write a judge, complete or not at all.

    Args:
        folder: New or empty.
        network: What `classifier.build_network` returns, trained.
        notes: All of `NEEDED` but the weights' SHA-256, and whatever else a reader should know.
    """
    folder = pathlib.Path(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with files.partial_folder(folder.parent) as partial:
        write_weights(network, partial / WEIGHTS)
        notes = {**notes, "weights_sha256": files.sha256(partial / WEIGHTS)}
        files.write_text(partial / NOTES, json.dumps(notes, indent=2) + "\n")
        partial.chmod(0o755)  # a temporary folder is its owner's alone
        os.replace(partial, folder)


def read_notes(folder: str | pathlib.Path) -> dict[str, Any]:
    """The notes of a judge whose weights are whole.

    Raises:
        FileNotFoundError: if there is no judge.
        ValueError: if its notes cannot be read, or the weights are not those that were written with them.
    """
    folder = pathlib.Path(folder)
    if not (folder / NOTES).is_file() or not (folder / WEIGHTS).is_file():
        raise FileNotFoundError(
            f"`judge` must be a folder with {NOTES} and {WEIGHTS}. Train one with: python -m keras_ddpm judge. "
            f"Received: {str(folder)!r}"
        )
    try:
        notes = json.loads((folder / NOTES).read_text(encoding="utf-8"))
        wrong = [name for name, kind in NEEDED.items() if not isinstance(notes[name], kind)]
        wrong += [] if len(notes["image_shape"]) == 3 else ["image_shape"]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{str(folder / NOTES)!r} is not of a judge: {error!r}") from error
    if wrong:
        raise ValueError(f"{str(folder / NOTES)!r} is not of a judge: {wrong[0]!r} is {notes[wrong[0]]!r:.60}")
    if files.sha256(folder / WEIGHTS) != notes["weights_sha256"]:
        raise ValueError(
            f"The weights file {str(folder / WEIGHTS)!r} is damaged, or not that of its {NOTES}: their SHA-256 differ"
        )
    return notes


def check_data(notes: dict[str, Any], dataset: str, training: Dataset, *, shipped: bool) -> None:
    """Raise unless a judge knows a data set: its training images are those that the judge learnt from.

    The shipped judge also takes any `.npz` file of images of MNIST's shape, and trusts that they are digits.

    Args:
        notes: The judge's.
        dataset: The data set's name or path.
        training: Its training split.
        shipped: Whether nobody named a judge.

    Raises:
        ValueError: naming both data sets.
    """
    if shipped:
        known = dataset == notes["dataset"] or dataset.endswith(".npz")
    else:
        known = training.fingerprint() == notes["data_sha256"]
    if not known:
        raise ValueError(
            f"`judge` must know the data set. It was trained on {notes['dataset']!r}, and the training images of "
            f"{dataset!r} are others: python -m keras_ddpm judge --dataset {dataset}. "
            f"Received: {'none, so the shipped one' if shipped else 'a judge of other images'}"
        )


def kind_of(notes: dict[str, Any]) -> Kind:
    """What a judge with these notes knows."""
    return Kind(tuple(notes["image_shape"]), notes["num_classes"])
