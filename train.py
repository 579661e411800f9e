"""Train a model: config -> data -> model -> fit -> save.

python train.py --epochs 50
python train.py --config configs/report.py --out runs/report
python train.py --out runs/mnist --resume
"""

from keras_ddpm.cli.run import run
from keras_ddpm.cli.train import parse_training


def main():
    config, out, resume = parse_training(__doc__)
    from keras_ddpm.cli.recipe import train

    train(config, out, resume=resume)


if __name__ == "__main__":
    run(main)
