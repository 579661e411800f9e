"""keras-ddpm info: a preset's configuration, and versions."""

import dataclasses

from keras_ddpm import presets


@dataclasses.dataclass(frozen=True)
class Info:
    """Print a preset's configuration and the versions in use."""

    preset: str = presets.DEFAULT
    """Name of a shipped preset (see `keras-ddpm presets`), or the folder of a training."""

    def run(self) -> None:
        print((presets.find(self.preset) / "config.json").read_text(), end="")
        print("in use:", ", ".join(f"{name} {version}" for name, version in presets.versions().items()))
