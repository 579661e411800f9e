"""Training: Keras models with train steps of their own, and `train(config, out)`."""
