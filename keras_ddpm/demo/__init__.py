"""A page to try the models with, by Gradio: `keras-ddpm demo`.

    sources       who draws: this process, or a server
    actions       what a button does: text in, pictures and a line of text out, errors as sentences
    app           the page

Only `app` imports Gradio.
"""
