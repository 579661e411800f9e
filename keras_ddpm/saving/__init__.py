"""What is on disk: files that are complete or not there, weights, and functions in a Keras configuration."""
