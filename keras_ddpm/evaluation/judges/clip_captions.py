"""What CLIP is asked, and how the words become token ids.

Three captions a digit, in the words of the report. A caption becomes `start, word ids, end, pad ...`; the end token has
the greatest id of its vocabulary, which is how the text tower finds where a caption ends.

    columns of every logit matrix:  photo 0..9 | blurry 0..9 | clear 0..9   (30, in the order of `captions()`)

The ids of OpenAI's byte-pair vocabulary are written down here, since all words in use are single tokens of it: the
tokenizer of KerasCV crashes with present-day keras-hub, and with older keras-nlp it maps every digit to the same id.

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

# The byte-pair vocabulary gives a printable byte the id `byte - 33`, and 256 more where it ends a word: "0" -> 271.
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


def captions():
    """Lists the thirty captions in column order.

    Returns:
        List of 30 strings: photo of 0..9, then blurry, then clear.
    """
    return [caption.format(digit=digit) for caption in CAPTIONS.values() for digit in range(10)]


def token_ids(texts, vocabulary):
    """Turns captions into token ids.

    Args:
        texts: list of P strings of words separated by spaces.
        vocabulary: dict from words, `PAD`, `START` and `END` to ids; `END` has the greatest.

    Returns:
        int32 array (P, L), L the longest caption with its start and end.

    Raises:
        ValueError: when a word is not in the vocabulary.

    Example:
        >>> token_ids(["random noise"], OPENAI_VOCABULARY)
        array([[49406,  6160,  9307, 49407]], dtype=int32)
    """
    rows = [[START, *text.split(), END] for text in texts]
    length = max(len(row) for row in rows)
    unknown = sorted({word for row in rows for word in row if word not in vocabulary})
    if unknown:
        known = sorted(word for word in vocabulary if word not in (PAD, START, END))
        raise ValueError(f"captions must be made of the words {known}. Received also: {unknown}")
    padded = [row + [PAD] * (length - len(row)) for row in rows]
    return np.array([[vocabulary[word] for word in row] for row in padded], dtype="int32")
