"""Networks: what predicts y from a noisy image, its time and its condition."""
