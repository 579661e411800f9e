"""How good are generated digits? `evaluate(source)` measures them beside real ones and returns a `Report`.

    metrics/        functions of images and labels that yield named values
    judges/         the networks that look at images: a digit classifier, CLIP
    probes/         what can be seen along the diffusion process: recognition, numerical health
    corruptions/    images that are known to be wrong, to test metrics and judges on
    page/           reports as HTML, and the comparison of two of them

Metrics, judges, probes and pages see arrays only. A generator meets them in `evaluate`, through `source` and `drawing`.
"""

import importlib

_NAMES = {"evaluate": "api", "Report": "report"}

__all__ = [*_NAMES]


def __getattr__(name: str):
    if name not in _NAMES:
        raise AttributeError(f"module 'keras_ddpm.evaluation' has no attribute {name!r}")
    return getattr(importlib.import_module(f"keras_ddpm.evaluation.{_NAMES[name]}"), name)
