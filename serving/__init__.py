"""The model behind TensorFlow Serving: a client, a local server for laptops and tests, and files for a deployment."""
