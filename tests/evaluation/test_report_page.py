"""The page of a report: a verdict first, how sure each share is, real digits and seeds beside the pictures."""

import re

import numpy as np
import pytest
from strokes import strokes, write_strokes

from keras_ddpm.evaluation import evaluate, figures
from keras_ddpm.evaluation.page import original_report, plots, report_page, sections
from keras_ddpm.evaluation.page.verdict import allowed, verdict

FACTS = {"title": "A", "lead": "", "judges": "Classifier: c.", "command": "", "clip": "", "rows": {}, "first_seed": 7}


def content(*, n=300, title="A", **shares):
    """A report with these shares, the real ones 0.99 (of copies: 0)."""
    real = {"memorised_in_pixels": 0.0}
    found = {name: {"model": share, "real": real.get(name, 0.99)} for name, share in shares.items()}
    return {"n": n, "figures": found, "seconds": {}, "facts": FACTS | {"title": title}}


def render(report, pictures=None):
    return report_page.render(report, pictures or {"grid": []})


def test_the_verdict_names_what_is_worse_than_chance_explains():
    good, line = verdict(content(accuracy=0.98, recall=0.8, memorised_in_pixels=0.1))
    assert not good
    assert line == (
        "Worse than real digits in variety (recall 80.0 %, real 99.0 %), originality (memorised, in pixels 10.0 %, "
        "real 0.0 %); like real digits, as far as 300 images tell, in right digits."
    )


def test_more_images_make_the_same_difference_a_verdict():
    assert verdict(content(accuracy=0.98))[0]
    assert not verdict(content(accuracy=0.98, n=10_000))[0]


def test_a_problem_of_the_chain_is_part_of_the_verdict():
    report = content(accuracy=0.99)
    assert verdict(report | {"health": {"diagnosis": []}})[0]
    good, line = verdict(report | {"health": {"diagnosis": ["x_t explodes"]}})
    assert not good and line.endswith("; the sampling chain has numerical problems.")


def test_without_a_figure_to_judge_by_there_is_no_verdict():
    assert verdict(content()) is None and verdict(content(accuracy=None)) is None and allowed(content()) is None
    assert "verdict" not in render(content()).partition("<body>")[2]


def test_the_verdict_stands_before_everything_else_on_the_page():
    body = render(content(accuracy=0.9)).partition("<body>")[2]
    assert re.findall(r"<(?:h1|p)[^>]*>([^<]*)<", body)[1].startswith("Worse than real digits in right digits")


def test_shares_carry_their_interval_and_distances_none():
    report = content(accuracy=0.99)
    report["figures"]["frechet_distance"] = {"model": 1.0, "real": 1.0}
    shown = {row["title"]: row for row in sections.headline(report)}
    assert shown["Right digit"]["model_ends"] == shown["Right digit"]["real_ends"] == "97.1–99.7"
    assert shown["Fréchet distance"]["model_ends"] == ""
    assert "99.0 % right of 300 images allow for anything from 97.1 % to 99.7 %" in render(report)


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    """A report on given images, one of them with a wrong label, beside other real ones."""
    dataset = write_strokes(tmp_path_factory.mktemp("data") / "strokes.npz")
    images, labels = strokes(110, seed=5)
    labels[3] = 4
    return evaluate((images, labels), only="accuracy,memorisation", dataset=dataset)


@pytest.fixture
def drawn(given):
    """The same as if the images had been drawn with seeds from 700."""
    return given.content | {"facts": given.content["facts"] | {"first_seed": 700}}, given.pictures


def test_real_digits_stand_beside_the_samples(given):
    rows = sections.samples(given.content, given.pictures)
    assert [row["digit"] for row in rows] == list(range(10))
    assert all(row["real"].startswith("data:image/png;base64,") and row["real"] != row["image"] for row in rows)
    assert given.pictures["real"][3].shape[1:] == (28, 28, 1)


def test_drawn_images_are_named_by_their_seeds(drawn):
    assert sections.samples(*drawn)[2]["names"][:3] == ["702", "712", "722"]
    assert sections.digits(*drawn)["misread"][0]["name"].startswith("seed 70")
    assert all(re.fullmatch(r"seed 7\d\d|seed 80\d", card["name"]) for card in sections.cloud(*drawn)["nearest"])


def test_given_images_have_no_seeds(given):
    assert sections.samples(given.content, given.pictures)[2]["names"][:2] == ["2", "12"]
    assert sections.digits(given.content, given.pictures)["misread"][0]["name"].startswith("image ")
    assert "seed:" not in report_page.render(given.content, given.pictures)


def recognised(title):
    section = {"progress": [0.0, 1.0], "accuracy": [1.0, 0.1], "f1": [[1.0] * 10, [0.1] * 10], "values": {}}
    return content(title=title) | {"recognition": dict.fromkeys(("forward", "reverse", "estimate"), section)}


def test_claims_of_the_original_report_are_on_the_page_of_the_preset_that_reproduces_it_alone():
    assert "report" not in " ".join(sections.recognition(recognised("Preset mnist"))["head"])
    assert "original report" not in render(recognised("Preset mnist"))
    shown = sections.recognition(recognised(original_report.PRESET))
    assert shown["head"][4:] == ["original report: gone", "original report: readable"]
    assert all(len(row) == len(shown["head"]) for row in shown["rows"])


def health(steps):
    table = [[-0.001, 1.0, -3.0, 3.0] for _ in steps]
    return content() | {"health": {"steps": steps, "images": 2, "statistics": {"x_t": table}, "diagnosis": []}}


def test_no_number_is_a_negative_zero():
    assert sections.health(health([1, 0]))["quantities"][0]["rows"][0] == ["1", "0.00", "1.00", "-3.00", "3.00"]
    assert figures.as_text("clip/sharp", -0.01) == "0.0 %" and figures.as_text("kernel_distance", -0.0) == "0"


def test_the_numbers_of_a_quantity_are_a_table_of_their_own():
    assert len(sections.health(health([1, 0]))["head"]) == 5
    assert "<summary>x_t in numbers" in render(health([1, 0]))


def test_one_step_is_shown_in_numbers_and_not_as_an_empty_plot():
    assert sections.health(health([0]))["quantities"][0]["image"] is None
    assert "<details open>" in render(health([0]))


def test_no_legend_lies_over_curves(monkeypatch):
    kept = []
    monkeypatch.setattr(plots, "_svg", kept.append)
    plots.health_plot([1, 0], [[0.0, 1.0, -3.0, 3.0]] * 2, name="x_t")
    assert kept[0].legends and all(axes.get_legend() is None for axes in kept[0].axes)


def test_a_table_that_goes_on_to_the_right_shows_a_shadow():
    assert re.search(r"\.scroll \{[^}]*gradient[^}]*local[^}]*scroll", render(content()))


def test_the_matrix_has_twelve_columns_that_share_the_width_of_a_phone():
    report = content(accuracy=0.99) | {"confusion": np.eye(10, dtype=int).tolist()}
    html = report_page.render(report, {"grid": [], "misread": ((), (), (), ())})
    head = html.partition('<table class="confusion">')[2].partition("</thead>")[0]
    assert head.count("<th>") == 12 and ".confusion { width: 100%; }" in html
