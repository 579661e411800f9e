"""The networks that judge images: the digit classifier and CLIP, their weights and their training."""
