"""Metrics over arrays of images and labels; none knows the model that made them."""
