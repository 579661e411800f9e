"""keras-ddpm demo: a page to try the models with."""

import dataclasses
import importlib
import importlib.util
import threading
from typing import Any

from keras_ddpm.cli import interrupt

READY = 20.0  # seconds that a server gets to have its model


@dataclasses.dataclass(frozen=True)
class Demo:
    """Open a page on this machine: draw digits, watch the denoising, paint over a digit and restore it, compare."""

    preset: tuple[str, ...] = ()
    """Presets to offer, names or folders, the first by default. Default: all that are shipped."""
    server: str | None = None
    """A TensorFlow Serving that draws instead: host:port for gRPC, http://host:port for REST."""
    model: tuple[str, ...] = ("ddpm",)
    """With --server, its models."""
    port: int | None = None
    """Port of the page. Default: a free one from 7860 on."""

    def run(self) -> None:
        if self.port is not None and not 0 < self.port < 2**16:
            raise ValueError(f"`port` must be in 1..65535. Received: {self.port}")
        if self.server and self.preset:
            raise ValueError("`preset` must be left out with `server`, which has models (--model)")
        if importlib.util.find_spec("gradio") is None:
            raise ValueError("The page needs Gradio: pip install 'keras_ddpm[demo]'")
        source = self._source()
        from keras_ddpm.demo import app

        interrupt.advise(lambda: "The page is closed.")
        print(f"{app.launch(app.build(source), self.port)} (Ctrl-C closes it)", flush=True)
        threading.Event().wait()

    def _source(self) -> Any:
        from keras_ddpm import presets
        from keras_ddpm.demo.sources import Local, Remote

        if self.server is None:
            source = Local(list(self.preset) or _fastest_first(presets.names()))
            source.sample(source.presets[0], [0], None, [0], None)  # the first drawing is slow: not a visitor's
            return source
        # The client lies beside the package in the repository, and inside it where it is installed.
        inside = importlib.util.find_spec("keras_ddpm.serving") is not None
        client = importlib.import_module("keras_ddpm.serving.client" if inside else "serving.client")
        clients = {name: client.Client(self.server, model=name).wait_ready(READY) for name in self.model}
        return Remote(clients, (client.errors.ServingError,))


def _fastest_first(names: list[str]) -> list[str]:
    """What `sample` draws with comes first: a visitor's first digit should not take long."""
    from keras_ddpm.presets import ONE_CALL, read_config

    return sorted(names, key=lambda name: (name != ONE_CALL, read_config(name)[0].sampling.steps))
