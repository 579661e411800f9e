"""The one place where export/ meets serving/: a SavedModel in a session, as a server runs it."""

import importlib
import importlib.util
import pathlib
from typing import Any

SERVING = f"{str(__package__).rpartition('export')[0]}serving"  # `serving` in a clone, `keras_ddpm.serving` installed
SERVABLE = f"{SERVING}.local_server.servable"
NEEDED = ("grpc", "tensorflow_serving")


def check_installed() -> None:
    """Raise if the packages of the extra `serving` are not installed.

    Raises:
        ValueError: naming the extra.
    """
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise ValueError(
            "Exporting needs the extra `serving`: pip install 'keras_ddpm[serving]'. Not installed: "
            + ", ".join(missing)
        )


def load(folder: pathlib.Path) -> Any:
    """A SavedModel in a session, once its warm-up records have run. Call `close` when done.

    Args:
        folder: A version's folder.

    Returns:
        serving's `Servable`.

    Raises:
        ValueError: if it cannot be loaded, or was not exported by this project.
    """
    check_installed()
    servable_class = importlib.import_module(SERVABLE).Servable
    try:
        servable = servable_class(folder)
    except Exception as error:  # TensorFlow raises many kinds for a damaged folder
        raise ValueError(f"{folder} cannot be loaded as a SavedModel: {' '.join(str(error).split())[:300]}") from error
    if "metadata" not in servable.signatures:
        servable.close()
        raise ValueError(f"{folder} was not exported by keras_ddpm: it has no `metadata` signature")
    return servable
