"""The captions CLIP compares images with, and their token ids.

Three captions per digit, in the report's words. A caption becomes `start, word ids, end, pad ...`; the end token has
the greatest id of its vocabulary, which is how the text tower finds the end of a caption.

    columns of every logit matrix:  photo 0..9 | blurry 0..9 | clear 0..9   (30, in the order of `captions()`)

The ids of OpenAI's byte-pair vocabulary are listed here, since every word in use is a single token: KerasCV's tokenizer
crashes with current keras-hub versions, and with older keras-nlp it maps every digit to the same id.

Reference:
    Radford et al., "Learning Transferable Visual Models From Natural Language Supervision", arXiv 2103.00020.
"""

import numpy as np

CAPTIONS = {
    "photo": "a photo of the digit {digit}",
    "blurry": "a blurry image of the digit {digit}",
    "clear": "a clear handwritten {digit}",
}
NOISE_CAPTION = "random noise"
PAD, START, END = "<pad>", "<start>", "<end>"

# The byte-pair vocabulary gives a printable byte the id `byte - 33`, plus 256 at the end of a word: "0" -> 271.
OPENAI_VOCABULARY = {
    PAD: 0,
    START: 49406,
    END: 49407,
    "a": 320,
    "of": 539,
    "the": 518,
    "photo": 1125,
    "digit": 27472,
    "blurry": 21977,
    "image": 2867,
    "clear": 3143,
    "handwritten": 35192,
    "random": 6160,
    "noise": 9307,
    **{str(digit): 271 + digit for digit in range(10)},
}
SMALL_VOCABULARY = {
    word: i for i, word in enumerate([PAD, *(w for w in OPENAI_VOCABULARY if w not in (PAD, START, END)), START, END])
}


def captions() -> list[str]:
    """The thirty captions in column order.

    Returns:
        30 strings: photo of 0..9, then blurry, then clear.
    """
    return [caption.format(digit=digit) for caption in CAPTIONS.values() for digit in range(10)]


def token_ids(texts: list[str], vocabulary: dict[str, int]) -> np.ndarray:
    """Converts captions to token ids.

    Args:
        texts: P strings of words separated by spaces.
        vocabulary: dict from words, `PAD`, `START` and `END` to ids; `END` has the greatest.

    Returns:
        int32 array (P, L), where L is the length of the longest caption with its start and end.

    Raises:
        ValueError: if a word is not in the vocabulary.

    Example:
        >>> token_ids(["random noise"], OPENAI_VOCABULARY)
        array([[49406,  6160,  9307, 49407]], dtype=int32)
    """
    rows = [[START, *text.split(), END] for text in texts]
    length = max(len(row) for row in rows)
    unknown = sorted({word for row in rows for word in row if word not in vocabulary})
    if unknown:
        known = sorted(word for word in vocabulary if word not in (PAD, START, END))
        raise ValueError(f"`texts` must consist of the words {known}. Received: {unknown}")
    padded = [row + [PAD] * (length - len(row)) for row in rows]
    return np.array([[vocabulary[word] for word in row] for row in padded], dtype="int32")
