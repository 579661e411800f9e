"""Images that are known to be wrong, to test metrics and judges on.

degradations          damage to single images; the digit CLIP was trained on these
unseen                damage that the digit CLIP was never trained on
broken_generators     whole sets of images, as from a generator with one fault
"""
