"""scikit-learn's digits: 1,797 images of 8 x 8 x 1 that come with the package, so that no network is needed.

They have grey levels 0 ... 16, which become 0 ... 255. The first images in the package's order are the training split,
the last 500 the test split.

Reference: E. Alpaydin and C. Kaynak, "Optical recognition of handwritten digits", UCI, 1998 (doi 10.24432/C50P49), of
which scikit-learn has the test part.
"""

import numpy as np

TEST = 500
NUM_CLASSES = 10


def make(split: str) -> tuple[np.ndarray, np.ndarray]:
    """Images and labels.

    Args:
        split: "train" or "test".

    Returns:
        uint8 (N, 8, 8, 1) and int32 (N,), N = 1297 or 500.
    """
    from sklearn.datasets import load_digits

    levels, labels = load_digits(return_X_y=True)
    rows = slice(None, -TEST) if split == "train" else slice(-TEST, None)
    images = np.round(levels[rows] * (255 / 16)).astype("uint8").reshape(-1, 8, 8, 1)
    return images, labels[rows].astype("int32")
