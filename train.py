"""Train a model: config -> data -> diffusion -> network -> fit -> save. `keras_ddpm/training/train.py` is the recipe.

python train.py --epochs 50
python train.py --config configs/report.py --out runs/report
python train.py --out runs/mnist --resume
python train.py --parts 2
KERAS_BACKEND=jax python train.py --devices all
"""

from keras_ddpm.cli.run import run
from keras_ddpm.cli.train import parse_training, train


def main():
    train(parse_training(__doc__))


if __name__ == "__main__":
    run(main)
