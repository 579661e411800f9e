"""Training on several devices, of one process or of several: data parallel, by Keras and JAX."""
