"""python -m studies.page: see `pages`."""

from keras_ddpm.cli.run import run
from studies.page.pages import main

if __name__ == "__main__":
    run(main)
