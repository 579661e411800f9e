"""Training, timed: images/s, minutes to quality, several devices, and beside diffusers and a GAN."""
