"""A page to try the models with, by Gradio: `keras-ddpm demo`.

    sources       who draws: this process, or a server
    actions       what a button does: text in, pictures and a line of text out, errors as sentences
    sliders       fields for the attributes of the chosen preset
    app           the page

Only `sliders` and `app` import Gradio.
"""
