"""keras-ddpm presets: what is shipped."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Presets:
    """List the shipped presets."""

    def run(self) -> None:
        from keras_ddpm import presets
        from keras_ddpm.checks.sampling import in_words, steps_in_words, temperature_in_words

        for name in presets.names():
            config, image_shape, num_classes = presets.read_config(name)
            s = config.sampling
            shape = " x ".join(map(str, image_shape))
            classes = ", ".join([f"{num_classes} classes", *config.data.attributes])
            sampling = f"{s.sampler}, {steps_in_words(s.steps)}{temperature_in_words(s.temperature)}"
            print(f"{name}: {shape}, {classes}; w = {in_words(s.w)}, {sampling}")
