"""The page a person reads: one HTML file that contains its pictures and plots."""

import functools
import pathlib

import jinja2

from keras_ddpm.evaluation import figures as names
from keras_ddpm.evaluation.page import sections
from keras_ddpm.evaluation.page.verdict import allowed, verdict

TEMPLATES = pathlib.Path(__file__).parent / "templates"
TITLES = {
    "samples": "Samples",
    "figures": "At a glance",
    "digits": "Digit by digit",
    "cloud": "Distances, coverage, diversity, copies",
    "clip": "CLIP",
    "recognition": "Recognition along the process",
    "health": "Numerical health",
    "facts": "How it was made",
}


def render(content: dict, pictures: dict) -> str:
    """Renders a report.

    Args:
        content: A report's content, see `Report`.
        pictures: A report's pictures.

    Returns:
        HTML text. Sections that the report has no figures for are left out.
    """
    values = {
        "samples": sections.samples(content, pictures),
        "figures": sections.headline(content),
        "digits": sections.digits(content, pictures),
        "cloud": sections.cloud(content, pictures),
        "clip": sections.clip(content),
        "recognition": sections.recognition(content),
        "health": sections.health(content),
        "facts": content["facts"],
    }
    beside: dict = {"verdict": verdict(content), "allowed": allowed(content)}
    shown = [name for name, value in values.items() if value is not None]
    seconds = ", ".join(f"{name} {value:.1f}" for name, value in content["seconds"].items())
    beside |= {"title": content["facts"]["title"], "noun": names.noun(content)}
    beside |= {"titles": {name: names.in_words_of(content, title) for name, title in TITLES.items()}}
    return fill("report.html.j2", sections=shown, seconds=seconds, **beside, **values)


def fill(template: str, **values) -> str:
    """Renders a template of this folder; text in `values` is escaped."""
    return _environment().get_template(template).render(**values)


@functools.cache
def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
