"""Digits whose strokes may be asked to be thick or thin, to lean, to be wide or narrow.

    python train.py --config configs/mnist_attributes.py --out runs/mnist_attributes
    python -m keras_ddpm sample 7 --attributes thickness 0.8 slant -0.3 --preset mnist_attributes

The network of `mnist_fast`'s first stage with three more embeddings, 0.45 million weights. Beside the digit it is told
thickness, slant and width of each training image (`keras_ddpm/data/attributes.py`), which are measured once, at the
start. Each is dropped on its own from half of the images, so that any of them may be left out; the label is dropped
twice as often as usual, since guidance needs images that have lost everything.
"""

from keras_ddpm.config import Config, DataConfig, NetworkConfig, SamplingConfig, TrainingConfig


def get_config():
    return Config(
        name="mnist_attributes",
        data=DataConfig(attributes=("thickness", "slant", "width")),
        network=NetworkConfig(widths=(32, 64), depths=(1, 2)),
        training=TrainingConfig(
            epochs=16,
            learning_rate=3e-3,
            p_uncond=0.2,
            p_drop_attribute=0.5,
            precision="float32",
            grid_every=4,
        ),
        sampling=SamplingConfig(w=2.0),
    )
