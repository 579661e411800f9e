"""The page that draws digits in the browser, and `python -m web`, which builds it."""
