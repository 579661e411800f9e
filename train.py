"""Train a model: config -> data -> diffusion -> network -> fit -> save. `keras_ddpm/training/train.py` is the recipe.

python train.py --epochs 50
python train.py --config configs/report.py --out runs/report
python train.py --out runs/mnist --resume
"""

from keras_ddpm.cli.run import run
from keras_ddpm.cli.train import parse_training


def main():
    config, out, resume = parse_training(__doc__)
    import keras_ddpm

    keras_ddpm.train(config, out, resume=resume)
    print(f"Best weights, configuration, logs and pictures are in {out}. Draw with: --preset {out}")


if __name__ == "__main__":
    run(main)
