"""One question a file: load, run, write JSON and a picture. `docs/report.md` is made from what they wrote."""
