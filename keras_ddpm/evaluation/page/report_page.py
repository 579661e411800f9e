"""The page a person reads: one HTML file with its pictures and plots inside.

A section is a function from the report (and the pictures) to HTML, or to nothing if the report lacks what it shows.
"""

import html
import pathlib
import string

import numpy as np

from keras_ddpm.evaluation import names, plots
from keras_ddpm.evaluation.probes.recognition import CLAIMS

TEMPLATE = pathlib.Path(__file__).parent / "page.html"
CLAIMED = {
    0: "70.6 / 28.6",
    1: "49-51 / 45-50",
    2: "35.8 / 60.9",
    4: "about 65 / 25-30",
    5: "49-51 / 45-50",
    9: "about 62 / 25-30",
}
"""photo / blurry percentages of the original report, measured with OpenAI's CLIP on its own images."""


def render(report, pictures):
    """The page.

    Args:
        report: What `report.measure` returns, with `facts` (a dict of texts) added.
        pictures: Its pictures.

    Returns:
        HTML text.
    """
    sections = {
        "samples": ("Samples", _samples(pictures)),
        "figures": ("At a glance", _headline(report)),
        "digits": ("Digit by digit", _digits(report, pictures)),
        "cloud": ("Distances, coverage, diversity, copies", _cloud(report, pictures)),
        "clip": ("CLIP", _clip(report)),
        "recognition": ("Recognition along the process", _recognition(report)),
        "health": ("Numerical health", _health(report)),
        "facts": ("Facts", _facts(report)),
    }
    sections = {key: value for key, value in sections.items() if value[1]}
    links = " ".join(f'<a href="#{key}">{title}</a>' for key, (title, _) in sections.items())
    head = f"<h1>{text(report['facts']['title'])}</h1><p class='soft'>{text(report['facts']['lead'])}</p>"
    body = "\n".join(f'<h2 id="{key}">{title}</h2>\n{content}' for key, (title, content) in sections.items())
    return fill(report["facts"]["title"], f"{head}<nav>{links}</nav>\n{body}")


def fill(title, body):
    """The template with a title (text) and a body (HTML)."""
    return string.Template(TEMPLATE.read_text(encoding="utf-8")).substitute(title=text(title), body=body)


def table(head, rows, *, kind="plain"):
    """An HTML table that scrolls by itself where the screen is narrow; cells are HTML, `kind` is its CSS class."""

    def line(row, tag):
        return "<tr>" + "".join(f"<{tag}>{cell}</{tag}>" for cell in row) + "</tr>"

    body = "".join(line(row, "td") for row in rows)
    head = line(head, "th")
    return f'<div class="scroll"><table class="{kind}"><thead>{head}</thead><tbody>{body}</tbody></table></div>'


def figure_table(figures, shown):
    """Name, model, real, and what to look for, for those of the names that there are."""
    rows = []
    for name in shown:
        if name in figures:
            label = f'{names.title(name)}<span class="note">{names.FIGURES[name][2]}</span>'
            model, real = (names.write(name, figures[name][side]) for side in ("model", "real"))
            rows.append([label, _model(model), real])
    return table(["", "model", "real"], rows, kind="figures") if rows else ""


def _samples(pictures):
    rows = (
        f'<div class="digits"><b>{digit}</b>{_mosaic(images, columns=10, alt=f"samples of the digit {digit}")}</div>'
        for digit, images in pictures["grid"]
    )
    return "<p>The first images of each digit, unselected.</p>" + "".join(rows)


def _headline(report):
    figures = names.all_figures(report)
    lead = (
        "<p>Each figure stands beside the same figure of as many real test images: that, not 0 or 100 %, is what a "
        "perfect generator would get.</p>"
    )
    judges = f"<p class='soft'>{text(report['facts']['judges'])}</p>"
    content = figure_table(figures, names.HEADLINE)
    return content and lead + content + judges


def _digits(report, pictures):
    if "confusion" not in report:
        return ""
    figures = report["figures"]
    rows = []
    for digit, counts in enumerate(report["confusion"]):
        most = max(sum(counts), 1)
        shares = (_shaded(count, count / most, right=read == digit) for read, count in enumerate(counts))
        own = figures.get(f"accuracy/{digit}")
        values = ["–", "–"] if own is None else [names.write("accuracy", own[side]) for side in ("model", "real")]
        rows.append([f"<b>{digit}</b>", _model(values[0]), values[1], *shares])
    lead = "<p>Which digit the classifier reads (columns) for the digit that was asked for (rows).</p>"
    return lead + table(["asked", "right", "real", *map(str, range(10))], rows) + _misread(pictures)


def _misread(pictures):
    images, asked, read = pictures["misread"]
    if not len(images):
        return "<p>None was misread.</p>"
    cards = (
        f"<figure>{_mosaic(image[None], columns=1, alt='misread image')}asked {a}, read {r}</figure>"
        for image, a, r in zip(images, asked, read)
    )
    return f"<h3>Misread, the first {len(images)}</h3><div class='cards'>{''.join(cards)}</div>"


def _cloud(report, pictures):
    others = [name for name in names.FIGURES if name not in ("accuracy", "confidence") and "clip" not in name]
    content = figure_table(report["figures"], others)
    if content and "nearest" in pictures:
        images, training, distances = pictures["nearest"]
        cards = (
            f"<figure>{_mosaic(np.stack([a, b]), columns=2, alt='generated image and nearest training image')}"
            f"{distance:.3f}</figure>"
            for a, b, distance in zip(images, training, distances)
        )
        content += (
            "<h3>Nearest to a training image</h3><p>Of each digit the image that comes closest to one (left), that "
            "training image (right), and their distance in pixels. A copy would be near 0.</p>"
            f"<div class='cards pairs'>{''.join(cards)}</div>"
        )
    return content


def _clip(report):
    if "clip" not in report:
        return ""
    clip, kinds = report["clip"], ("photo", "blurry", "clear", "sharp", "zero_shot")
    keys = [str(digit) for digit in range(10) if f"sharp/{digit}" in clip["model"]]
    rows = []
    for key in [*keys, "all"]:
        cells = (_pair(clip["model"][f"{kind}/{key}"], clip["real"].get(f"{kind}/{key}")) for kind in kinds)
        rows.append([f"<b>{key}</b>", *cells, CLAIMED.get(int(key), "") if key != "all" else ""])
    head = ["digit", *(kind.replace("_", "-") for kind in kinds), "original report: photo / blurry"]
    bad = [[name, *(f"{scores[f'{kind}/all']:.1f}" for kind in kinds)] for name, scores in clip["bad"].items()]
    both = [[clip[side][f"sharp/{key}"] for key in keys] for side in ("model", "real")]
    return (
        f"<p class='say'>Evaluator: <b>{text(clip['evaluator'])}</b>. {text(report['facts']['clip'])}</p>"
        "<p>Percent; above this model, below real test images. Photo, blurry and clear add up to 100; photo and clear "
        "both mean good and share the credit, so read <b>sharp</b>, their sum. Zero-shot: the right digit of ten.</p>"
        f"{table(head, rows)}{_plot(plots.bars(keys, *both, y_label='sharp, percent'), 'CLIP sharp per digit')}"
        f"<h3>Known-bad images, for scale</h3><p>Made from {clip['bad_n']} of the real test images.</p>"
        f"{table(['', *head[1:-1]], bad)}"
    )


def _recognition(report):
    if "recognition" not in report:
        return ""
    plotted = {
        "forward": ("Forward: real images, noised", "share of the noise steps", "gone_at"),
        "reverse": ("Reverse: x_t while denoising", "share of the denoising", "readable_at"),
        "estimate": ("Reverse: the x_0 estimate", "share of the denoising", "readable_at"),
    }
    sections = report["recognition"]
    shown = (
        f"<div><h3>{title}</h3>{_plot(plots.curves_plot(sections[name], x_label=x_label, claim=claim), title)}</div>"
        for name, (title, x_label, claim) in plotted.items()
    )
    return (
        "<p>What the digit classifier reads along the way. It was trained on clean digits and gives up long before the "
        "eye does: the curves tell when an image starts to look like data. Gone: accuracy (or the digit's F1) stays at "
        "0.2 or less. Readable: it stays at 0.9 or more. Claimed: by the original report. Few images stand behind "
        "each digit, so single digits are rough.</p>"
        f"<div class='two'>{''.join(shown)}</div>{_claims(sections)}"
    )


def _claims(sections):
    kinds = {"forward": "gone_at", "reverse": "readable_at", "estimate": "readable_at"}
    rows = []
    for key in ("", *(f"/{digit}" for digit in range(10))):
        measured = [_progress(sections[name]["values"].get(f"{what}{key}")) for name, what in kinds.items()]
        claims = [_interval(CLAIMS.get(f"{what}{key}")) for what in ("gone_at", "readable_at")]
        rows.append([key.strip("/") or "all", measured[0], claims[0], *measured[1:], claims[1]])
    return table(["digit", "gone", "claimed", "readable: x_t", "x_0", "claimed"], rows)


def _health(report):
    if "health" not in report:
        return ""
    health = report["health"]
    lines = health["diagnosis"] or ["Nothing wrong found: x_T is noise, nothing explodes, x_0 stays near [-1, 1]."]
    say = "".join(f"<p class='say{' bad' if health['diagnosis'] else ''}'>{text(line)}</p>" for line in lines)
    pages = (_plot(plots.health_plot(health["steps"], t, name=n), n) for n, t in health["statistics"].items())
    head = ["t", *(f"{name} {kind}" for name in health["statistics"] for kind in ("mean", "std", "min", "max"))]
    rows = [
        [str(t), *(_decimals(value) for column in health["statistics"].values() for value in column[i])]
        for i, t in enumerate(health["steps"])
    ]
    note = f"<p>Over {health['images']} chains; data lie in [-1, 1]; x_0 is the estimate before thresholding.</p>"
    return f"{say}{note}<div class='two'>{''.join(pages)}</div>{table(head, rows)}"


def _facts(report):
    shown = {"command": f"<code>{text(report['facts']['command'])}</code>"}
    shown |= {key: text(value) for key, value in report["facts"]["rows"].items()}
    seconds = ", ".join(f"{name} {value:.1f}" for name, value in report["seconds"].items())
    shown["seconds"] = text(seconds)
    return "<dl>" + "".join(f"<dt>{text(key)}</dt><dd>{value}</dd>" for key, value in shown.items()) + "</dl>"


def text(value):
    """A value as HTML text."""
    return html.escape(str(value))


def _model(cell):
    return f'<span class="model">{cell}</span>'


def _pair(model, real):
    return f'{_model(f"{model:.1f}")}<span class="real">{"–" if real is None else f"{real:.1f}"}</span>'


def _progress(value):
    return "never" if value is None or value != value else f"{100 * value:.0f} %"


def _decimals(value):
    return "–" if value is None or value != value else f"{value:.2f}" if abs(value) < 1000 else f"{value:.1e}"


def _interval(claim):
    return f"{100 * claim[0]:.0f}-{100 * claim[1]:.0f} %" if claim else ""


def _shaded(count, share, *, right):
    colour = f"rgba(31,95,168,{share:.2f})" if right else f"rgba(179,38,30,{min(1.0, 8 * share):.2f})"
    ink = ";color:#fff" if (share if right else 8 * share) > 0.55 else ""
    return f'<span style="display:block;padding:0 .3rem;background:{colour}{ink}">{count or "·"}</span>'


def _mosaic(images, *, columns, alt):
    return f'<img class="pixels" alt="{alt}" src="{plots.data_uri(plots.mosaic(images, columns=columns), "png")}">'


def _plot(svg, alt):
    return f'<img alt="{text(alt)}" src="{plots.data_uri(svg, "svg+xml")}">'
