"""What runs the exported model on the real TensorFlow Serving; docs/deploy.md says which file is for what."""
