"""What the original report claims, for the page of the preset that reproduces it to show beside what was measured."""

PRESET = "Preset report"

RECOGNITION = {
    "gone_at": (0.50, 0.60),
    "readable_at": (0.70, 0.80),
    "readable_at/1": (0.60, 0.65),
    "readable_at/7": (0.60, 0.65),
    "readable_at/2": (0.75, 0.80),
    "readable_at/8": (0.75, 0.80),
}
"""Intervals: shares of the noise steps (gone), and of the denoising (readable)."""

CLIP = {
    0: "70.6 / 28.6",
    1: "49-51 / 45-50",
    2: "35.8 / 60.9",
    4: "about 65 / 25-30",
    5: "49-51 / 45-50",
    9: "about 62 / 25-30",
}
"""photo / blurry percentages per digit, measured with OpenAI's CLIP on the report's own images."""


def claims(content: dict) -> bool:
    """Whether a report is about the reproduced model, so that the claims are about the same thing."""
    return content["facts"]["title"] == PRESET
