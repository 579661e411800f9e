"""Attacks on the local server: python -m benchmarks.attacks."""
