"""A local server with TensorFlow Serving's wire surface, for laptops and tests."""
