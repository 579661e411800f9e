"""Other losses for the same network: Keras models beside `training.ddpm.DDPM`, which has the paper's.

consistency     f at one time learns what f says at an earlier one
adversarial     a discriminator teaches a few-step model
diffusion_gan   diffusion with a discriminator beside
perceptual      the distance in the features of the model itself
draft           a score of what is drawn, by the gradient through the last call
score_weighted  more weight on what a score calls bad
"""
