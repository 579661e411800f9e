"""Two reports side by side, as text and as a page."""

from keras_ddpm.evaluation import names, page


def rows(a, b):
    """Each figure of two reports: name, value in A, value in B, and the real images' figure (A's / B's if they differ).

    Args:
        a, b: Reports as `report.json` holds them.

    Returns:
        List of four texts a figure that either has, single digits left out.
    """
    left, right = names.all_figures(a), names.all_figures(b)
    known = [name for name in names.FIGURES if name in left or name in right]
    table = []
    for name in known:
        real = [names.write(name, side[name]["real"]) for side in (left, right) if name in side]
        cells = (names.write(name, side.get(name, {}).get("model")) for side in (left, right))
        table.append([names.title(name), *cells, " / ".join(dict.fromkeys(real))])
    return table


def warnings(a, b):
    """What makes two reports hard to compare: other counts, other judges."""
    found = []
    if a["n"] != b["n"]:
        found.append(f"A has {a['n']} images, B has {b['n']}: figures that depend on the count do not compare.")
    if a["facts"]["judges"] != b["facts"]["judges"]:
        found.append("The judges differ: their figures do not compare.")
    return found


def text(a, b):
    """The comparison for a terminal."""
    head = [f"{letter}: {r['facts']['title']}. {r['facts']['lead']}" for letter, r in (("A", a), ("B", b))]
    return "\n".join([*head, *warnings(a, b), "", names.text_table([["", "A", "B", "real test images"], *rows(a, b)])])


def render(a, b):
    """The comparison as an HTML page."""
    both = (("A", a), ("B", b))
    head = "".join(
        f"<p><b>{x}</b>: {page.text(r['facts']['title'])}. {page.text(r['facts']['lead'])}</p>" for x, r in both
    )
    say = "".join(f"<p class='say bad'>{page.text(line)}</p>" for line in warnings(a, b))
    body = page.table(["", "A", "B", "real test images"], rows(a, b))
    commands = "".join(f"<dt>{x}</dt><dd><code>{page.text(r['facts']['command'])}</code></dd>" for x, r in both)
    sections = f"<h2>Figures</h2>{body}{_per_digit(a, b)}<h2>Commands</h2><dl>{commands}</dl>"
    return page.fill("Comparison", f"<h1>Comparison</h1>{head}{say}{sections}")


def _per_digit(a, b):
    """Right digits and CLIP's sharp shares, digit by digit, as far as both have them."""
    html = ""
    if all("accuracy" in r["figures"] for r in (a, b)):
        keys = [f"accuracy/{d}" for d in range(10) if all(f"accuracy/{d}" in r["figures"] for r in (a, b))]
        lines = [[k[-1], *(names.write("accuracy", r["figures"][k]["model"]) for r in (a, b))] for k in keys]
        html += "<h2>Right digit, digit by digit</h2>" + page.table(["digit", "A", "B"], lines)
    if all("clip" in r for r in (a, b)):
        keys = [f"sharp/{d}" for d in range(10) if all(f"sharp/{d}" in r["clip"]["model"] for r in (a, b))]
        lines = [[k[-1], *(f"{r['clip']['model'][k]:.1f} %" for r in (a, b))] for k in keys]
        html += "<h2>CLIP: sharp, digit by digit</h2>" + page.table(["digit", "A", "B"], lines)
    return html
