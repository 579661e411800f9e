"""The page itself: tabs of fields and buttons around `actions`.

Drawings of all visitors go through one queue, `Source.at_once` at a time, and a full queue is a sentence. Gradio sends
nothing home, and its page loads nothing from elsewhere.
"""

import os
from collections.abc import Callable
from typing import Any

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # before Gradio is imported

import gradio as gr

from keras_ddpm.demo import actions, sliders
from keras_ddpm.demo.sources import Source
from keras_ddpm.presets import DEFAULT

WAITING = 64  # visitors in the queue; the next one is asked to come again
TITLE = "Draw digits"
FONTS: dict[str, Any] = {"font": ["system-ui", "sans-serif"], "font_mono": ["ui-monospace", "monospace"]}
CSS = """
.gradio-container { width: 100%; min-width: 0 !important; max-width: 68rem !important; margin: 0 auto; }
.picture img, .film { image-rendering: pixelated; }
.film { max-width: 100%; height: auto; background: #000; }
.facts p { font-variant-numeric: tabular-nums; }
"""


def build(source: Source) -> gr.Blocks:
    """The page, for a source. `launch` opens it."""
    with gr.Blocks(title=TITLE, analytics_enabled=False, fill_width=True, delete_cache=(3600, 3600)) as page:
        gr.Markdown(f"# {TITLE}\nBy diffusion, from noise. The same fields and seed draw the same picture again.")
        with gr.Tab("Draw"):
            _draw_tab(source)
        with gr.Tab("Film"):
            _film_tab(source)
        with gr.Tab("Restore"):
            _restore_tab(source)
        if len(source.presets) > 1:
            with gr.Tab("Compare"):
                _compare_tab(source)
    page.queue(max_size=WAITING, default_concurrency_limit=source.at_once)
    return page


def launch(page: gr.Blocks, port: int | None = None) -> str:
    """Open the page on this machine alone, in the background, and return its address.

    Args:
        page: From `build`.
        port: 1 ... 65535; None: a free one from 7860 on.

    Raises:
        OSError: if the port is taken.
    """
    _, address, _ = page.launch(
        server_name="127.0.0.1",
        server_port=port,
        share=False,
        quiet=True,
        prevent_thread_lock=True,
        ssr_mode=False,
        footer_links=[],
        theme=gr.themes.Base(**FONTS),
        css=CSS + sliders.CSS,
    )
    return address


def _draw_tab(source):
    with gr.Row():
        with gr.Column(scale=2):
            preset, digit = _preset(source), _digit(source)
            beside = sliders.Sliders(source, preset)
            n = gr.Slider(1, actions.MAX_IMAGES, value=8, step=1, label="Images")
            w, seed, steps = _w(), _seed(), _steps()
            button = gr.Button("Draw", variant="primary")
        with gr.Column(scale=3):
            picture, facts = _picture("Drawn"), _facts()
    _on(button, source, actions.draw, [preset, digit, n, w, seed, steps], [picture, facts], beside)


def _film_tab(source):
    with gr.Row():
        with gr.Column(scale=2):
            preset, digit = _preset(source, DEFAULT), _digit(source)
            beside = sliders.Sliders(source, preset)
            w, seed, steps = _w(), _seed(), _steps()
            button = gr.Button("Show the film", variant="primary")
        with gr.Column(scale=3):
            film, facts = gr.HTML(), _facts()
    _on(button, source, actions.film, [preset, digit, w, seed, steps], [film, facts], beside)


def _restore_tab(source):
    image = gr.State()
    with gr.Row():
        with gr.Column(scale=2):
            gr.Markdown("Draw a digit, paint over a part of it, and have it restored.")
            preset, digit, seed = _preset(source, DEFAULT), _digit(source), _seed()
            begin = gr.Button("Draw a digit")
            painter = gr.ImageEditor(
                label="Paint over it",
                format="png",
                sources=(),
                transforms=(),
                layers=False,
                canvas_size=(actions.SIDE, actions.SIDE),
                fixed_canvas=True,
                brush=gr.Brush(default_size=40, colors=["#b23c32"], color_mode="fixed"),
                height=400,
            )
        with gr.Column(scale=3):
            known = gr.Dropdown(
                [actions.UNKNOWN, *map(str, range(_classes(source)))], value=actions.UNKNOWN, label="Which digit it is"
            )
            n = gr.Slider(1, actions.MAX_IMAGES, value=4, step=1, label="Restorations")
            button = gr.Button("Restore", variant="primary")
            damaged, picture, facts = _picture("What is left"), _picture("Restored"), _facts()
    _on(begin, source, actions.canvas, [preset, digit, seed], [image, painter])
    _on(button, source, actions.restore, [preset, image, painter, known, n, seed], [damaged, picture, facts])


def _compare_tab(source):
    with gr.Row():
        digit = _digit(source)
        n = gr.Slider(1, actions.MAX_IMAGES, value=8, step=1, label="Images")
        seed = _seed()
    button = gr.Button("Draw with both", variant="primary")
    outputs, presets = [], []
    with gr.Row():
        for i in range(2):
            with gr.Column():
                presets.append(_preset(source, source.presets[i]))
                outputs += [_picture("Drawn"), _facts()]
    _on(button, source, actions.compare, [*presets, digit, n, seed], outputs)


def _on(
    button: gr.Button,
    source: Source,
    action: Callable,
    inputs: list,
    outputs: list,
    beside: sliders.Sliders | None = None,
) -> None:
    """Bind an action to a button: one queue for all, and an error that is expected becomes its sentence.

    With sliders beside them, the first input is the preset, and the action's last argument is what they ask for.
    """

    def act(*fields: Any) -> Any:
        given, values = fields[: len(inputs)], fields[len(inputs) :]
        attributes = [] if beside is None else [beside.asked(given[0], values)]
        try:
            return action(source, *given, *attributes)
        except source.failures as error:
            raise gr.Error(" ".join(str(error).split()), title="Not drawn", print_exception=False) from error

    fields = inputs if beside is None else [*inputs, *beside.fields]
    button.click(
        act, fields, outputs, api_name=action.__name__, concurrency_id="drawing", concurrency_limit=source.at_once
    )


def _preset(source, preferred=None):
    value = preferred if preferred in source.presets else source.presets[0]
    return gr.Dropdown(source.presets, value=value, label="Preset")


def _classes(source):
    """The most classes of any preset; one that knows fewer says so."""
    return max(source.num_classes(preset) for preset in source.presets)


def _digit(source):
    count = _classes(source)
    return gr.Radio(list(range(count)), value=min(7, count - 1), label="Digit")


def _w():
    return gr.Textbox("", label="Guidance w", info="Empty: the preset's own. 0 ignores the digit.", max_lines=1)


def _seed():
    return gr.Textbox("", label="Seed", info="Empty: a fresh one.", max_lines=1)


def _steps():
    return gr.Textbox("", label="Steps", info="Empty: the preset's own.", max_lines=1)


def _picture(label):
    return gr.Image(
        label=label,
        alt_text=label,
        show_label=False,
        format="png",
        interactive=False,
        buttons=["download"],
        elem_classes="picture",
    )


def _facts():
    return gr.Markdown(elem_classes="facts")
