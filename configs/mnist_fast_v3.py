"""The last stage of `mnist_fast` once more, on the shipped student: four calls are trained, not two.

    python train.py --config configs/mnist_fast_v3.py --out runs/mnist_fast_v3
    python train.py --out runs/mnist_fast_v3 --resume --epochs 30 --learning-rate 2e-4 --cooldown 0.25 --mismatch 0

The discriminator is new, and the temperature that of `mnist_fast_v2`.
"""

import dataclasses

from configs import mnist_fast


def get_config():
    last = mnist_fast.get_config()[-1]
    return dataclasses.replace(
        last,
        name="mnist_fast_v3",
        training=dataclasses.replace(last.training, init="mnist_fast", epochs=20),
        few_step=dataclasses.replace(last.few_step, calls=4, renoised=0.375),
        sampling=dataclasses.replace(last.sampling, temperature=1.1),
    )
