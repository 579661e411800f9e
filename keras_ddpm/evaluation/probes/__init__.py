"""What can be seen along the diffusion process, from arrays of its states.

frames         the process as uint8 images
recognition    from when on a classifier reads the digit
traces         its numbers: x_t, eps, mu, and the x_0 estimate
health         their statistics, and what they say when something goes wrong
"""
