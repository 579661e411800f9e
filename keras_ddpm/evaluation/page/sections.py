"""What the sections of a report's page show: plain values for the template, None for a section that is left out."""

import numpy as np

from keras_ddpm.evaluation import figures as names
from keras_ddpm.evaluation.page import chance, original_report, plots

DASH = "–"
COLUMNS = 10
CLIP_KINDS = ("photo", "blurry", "clear", "sharp", "zero_shot")


def samples(content: dict, pictures: dict) -> list[dict]:
    """A row of images for each class, with their seeds, and a row of real ones."""
    real = pictures.get("real", {})
    return [
        {
            "digit": label,
            "image": _grid(images, columns=COLUMNS),
            "names": [_name(content, place, short=True) for place in places],
            "real": _grid(real[label], columns=COLUMNS) if label in real else None,
        }
        for label, images, places in pictures["grid"]
    ]


def headline(content: dict) -> list[dict] | None:
    """The most important figures."""
    return _figures(content, names.HEADLINE)


def digits(content: dict, pictures: dict) -> dict | None:
    """The confusion matrix, and the misread images."""
    if "confusion" not in content:
        return None
    rows = []
    for label, counts in enumerate(content["confusion"]):
        accuracy = content["figures"].get(f"accuracy/{label}", {})
        model, real = (names.as_text("accuracy", accuracy.get(side)) for side in ("model", "real"))
        n = sum(counts)
        ends = chance.wilson(accuracy["model"], n) if n and accuracy else None
        cells = [_cell(count, count / max(n, 1), right=i == label) for i, count in enumerate(counts)]
        rows.append({"digit": label, "model": model, "ends": _ends(ends), "real": real, "cells": cells})
    misread = [
        {"image": _grid(image[None], columns=1), "asked": asked, "read": read, "name": _name(content, place)}
        for image, asked, read, place in zip(*pictures["misread"], strict=True)
    ]
    return {"rows": rows, "misread": misread}


def cloud(content: dict, pictures: dict) -> dict | None:
    """All the other figures, and the generated images closest to a training image."""
    others = [name for name in names.FIGURES if name not in ("accuracy", "confidence") and "clip" not in name]
    figures = _figures(content, others)
    if figures is None:
        return None
    nearest = [
        {
            "image": _grid(np.stack([own, training]), columns=2),
            "distance": f"{distance:.3f}",
            "name": _name(content, place),
        }
        for own, training, distance, place in zip(*pictures.get("nearest", ((), (), (), ())), strict=True)
    ]
    return {"figures": figures, "nearest": nearest}


def clip(content: dict) -> dict | None:
    """CLIP per digit, and of known-bad images."""
    if "clip" not in content:
        return None
    scores = content["clip"]
    model, real = scores["model"], scores["real"]
    keys = [str(digit) for digit in range(10) if f"sharp/{digit}" in model]
    rows = [
        {
            "digit": key,
            "cells": [
                {"model": f"{model[f'{kind}/{key}']:.1f}", "real": _one_decimal(real.get(f"{kind}/{key}"))}
                for kind in CLIP_KINDS
            ],
            "claim": original_report.CLIP.get(int(key), DASH) if key != "all" else DASH,
        }
        for key in [*keys, "all"]
    ]
    bad = [[name, *(f"{values[f'{kind}/all']:.1f}" for kind in CLIP_KINDS)] for name, values in scores["bad"].items()]
    claimed = original_report.claims(content)
    sharp = [[side[f"sharp/{key}"] for key in keys] for side in (model, real)]
    return {
        "evaluator": scores["evaluator"],
        "claimed": claimed,
        "kinds": [kind.replace("_", "-") for kind in CLIP_KINDS],
        "rows": rows,
        "plot": plots.data_uri(plots.bars(keys, *sharp, y_label="sharp, percent"), "svg+xml"),
        "bad_n": scores["bad_n"],
        "bad": bad,
    }


def recognition(content: dict) -> dict | None:
    """Curves along the process, and where classes are gone or readable."""
    if "recognition" not in content:
        return None
    curves, claimed = content["recognition"], original_report.claims(content)
    plotted = {
        "forward": ("Forward: real images, noised", "share of the noise steps", "gone_at"),
        "reverse": ("Reverse: x_t while denoising", "share of the denoising", "readable_at"),
        "estimate": ("Reverse: the x_0 estimate", "share of the denoising", "readable_at"),
    }
    shown = []
    for name, (title, x_label, claim) in plotted.items():
        svg = plots.curves_plot(curves[name], x_label=x_label, claim=claim if claimed else None)
        shown.append({"title": title, "image": plots.data_uri(svg, "svg+xml")})
    rows = []
    for key in ("", *(f"/{label}" for label in range(len(curves["forward"]["f1"][0])))):
        found = [_progress(curves[name]["values"].get(f"{kind}{key}")) for name, (_, _, kind) in plotted.items()]
        claims = [_interval(original_report.RECOGNITION.get(f"{kind}{key}")) for kind in ("gone_at", "readable_at")]
        rows.append([key.strip("/") or "all", *found, *(claims if claimed else ())])
    head = [names.noun(content), "gone", "readable: x_t", "readable: x_0"]
    head += ["original report: gone", "original report: readable"] if claimed else []
    return {"plots": shown, "head": head, "rows": rows, "claimed": claimed}


def health(content: dict) -> dict | None:
    """The diagnosis, plots and numbers of the traces."""
    if "health" not in content:
        return None
    traces, steps = content["health"]["statistics"], content["health"]["steps"]
    quantities = [
        {
            "title": name,
            "image": _health_plot(steps, trace, name) if len(steps) > 1 else None,  # one step is no curve
            "rows": [[str(t), *map(_decimals, values)] for t, values in zip(steps, trace, strict=True)],
        }
        for name, trace in traces.items()
    ]
    return {
        "diagnosis": content["health"]["diagnosis"],
        "images": content["health"]["images"],
        "quantities": quantities,
        "head": ["t", "mean", "std", "min", "max"],
    }


def _health_plot(steps, trace, name):
    return plots.data_uri(plots.health_plot(steps, trace, name=name), "svg+xml")


def _figures(content, wanted):
    """Title, note, and both values with their intervals, of those wanted figures that exist; None if there are none."""
    figures, rows = names.all_figures(content), []
    for name in (name for name in wanted if name in figures):
        texts = {"title": names.title(name), "note": names.FIGURES[name][2]}
        row = {key: names.in_words_of(content, text) for key, text in texts.items()}
        for side, n in (("model", chance.images_counted(content, name)), ("real", content["n"])):
            share = chance.share_of(name, figures[name][side])
            counted = chance.images_counted(content, name) is not None and share is not None
            row[side] = names.as_text(name, figures[name][side])
            row[f"{side}_ends"] = _ends(chance.wilson(share, n) if counted else None)
        rows.append(row)
    return rows or None


def _name(content, place, *, short=False):
    """What a picture is called: its seed, with which it can be drawn again; of given images, its number."""
    first = content["facts"].get("first_seed")
    number = str(place if first is None else first + place)
    return number if short else f"{'image' if first is None else 'seed'} {number}"


def _ends(interval):
    """The ends of a share's interval in percent; empty without one."""
    return f"{100 * interval[0]:.1f}–{100 * interval[1]:.1f}" if interval else ""


def _cell(count, share, *, right):
    """A field of the confusion matrix: blue on the diagonal, and red, eight times as strong, off it."""
    strength = share if right else 8 * share
    colour = "31,95,168" if right else "179,38,30"
    return {"count": count, "background": f"rgba({colour},{min(1.0, strength):.2f})", "dark": strength > 0.55}


def _grid(images, *, columns):
    return plots.data_uri(plots.png_grid(images, columns=columns), "png")


def _one_decimal(value):
    return DASH if value is None else f"{value:z.1f}"


def _progress(value):
    return "never" if value is None or value != value else f"{100 * value:.0f} %"


def _decimals(value):
    return DASH if value is None or value != value else f"{value:z.2f}" if abs(value) < 1000 else f"{value:.1e}"


def _interval(claim):
    return f"{100 * claim[0]:.0f}-{100 * claim[1]:.0f} %" if claim else ""
