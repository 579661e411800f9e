"""python -m keras_ddpm: the same as the command `keras-ddpm`."""

from keras_ddpm.cli.main import main

if __name__ == "__main__":
    main()
