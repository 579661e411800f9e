"""Restoring an image from what is left of it: `keras_ddpm.restore(image, mask=mask)`.

    operators     what was measured: a mask, a smaller picture, a grey one; A and A+
    projection    a denoiser that agrees with the measurement, and steps that are repeated
    request       checks of image, mask, scale, operator, noise
    api           `restore`

Only `request` works without Keras.
"""
