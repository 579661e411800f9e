"""The networks that look at images, with their shipped weights and the scripts that trained them.

classifier, train_classifier                    which digit is it? also the features of every distance
clip_towers, clip_captions, caption_scores      any CLIP: how it encodes, what it is asked, what its answers mean
digit_clip, train_digit_clip                    our own small CLIP, trained on MNIST
openai_clip                                     OpenAI's weights, by way of KerasCV's presets
"""
