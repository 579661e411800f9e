"""Fields for what a preset knows beside the digit: a tick and a slider for each attribute.

Those of all presets are on the page, and those of the chosen one are seen. What is not ticked is left to the model.
"""

from collections.abc import Sequence
from typing import Any

import gradio as gr

from keras_ddpm.demo.sources import Source

CSS = """
.attribute { position: relative; }
.attribute .tick { position: absolute; top: 12px; left: 12px; z-index: 1; width: auto; }
.attribute .tick, .attribute .tick *:not(input) { padding: 0 !important; background: none; }
.block.hint { padding: 10px 12px !important; background: var(--block-background-fill); }
"""  # a tick is where a slider has its label
HINT = "Tick what to ask for, or move its slider. The rest is the model's choice."


class Sliders:
    """The ticks and sliders of one tab. Moving a slider ticks it.

    Args:
        source: Who draws.
        preset: The dropdown that chooses the preset.
    """

    def __init__(self, source: Source, preset: gr.Dropdown):
        self.attributes = {name: source.attributes(name) for name in source.presets}
        self.kinds = list(dict.fromkeys(kind for there in self.attributes.values() for kind in there.items()))
        self.fields: list[gr.Checkbox | gr.Slider] = []
        if not self.kinds:
            return
        any_seen, *each_seen = self._seen(preset.value)
        with gr.Group(visible=any_seen) as box:
            gr.Markdown(HINT, elem_classes="hint")
            rows = [self._row(name, ends, visible) for (name, ends), visible in zip(self.kinds, each_seen)]
        quiet: dict[str, Any] = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
        preset.change(self._updates, preset, [box, *rows], **quiet)

    def asked(self, preset: str, values: Sequence[Any]) -> dict[str, float]:
        """The attributes that are ticked, of those that a preset has.

        Args:
            preset: Its name.
            values: Of `fields`.
        """
        fields, there = zip(self.kinds, values[::2], values[1::2]), self.attributes[preset]
        return {name: number for (name, ends), tick, number in fields if tick and there.get(name) == ends}

    def _row(self, name, ends, visible):
        with gr.Row(visible=visible, elem_classes="attribute") as row:
            tick = gr.Checkbox(label=name, container=False, elem_classes="tick", min_width=0)
            slider = gr.Slider(*ends, value=sum(ends) / 2, label=name, show_label=False)
        slider.input(None, outputs=tick, js="() => true", show_progress="hidden")
        self.fields += [tick, slider]
        return row

    def _seen(self, preset):
        """Whether the box is seen, and each row."""
        there = self.attributes[preset]
        return bool(there), *(there.get(name) == ends for name, ends in self.kinds)

    def _updates(self, preset):
        return [gr.update(visible=visible) for visible in self._seen(preset)]
