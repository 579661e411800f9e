"""One question a module: it loads or trains a model, measures it, and writes its rows and pictures to `results/`.

`docs/report.md` is made from what they wrote. `studies/README.md` lists the questions.
"""

from keras_ddpm.cli.quiet import silence_tensorflow

silence_tensorflow()  # before any of these modules imports Keras
