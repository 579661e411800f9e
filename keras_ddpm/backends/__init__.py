"""What TensorFlow and JAX do differently: a compiled graph of a function, and the gradient of one."""
