"""Two reports side by side: what chance explains is not marked, and old reports are read."""

import copy
import re

import pytest

from keras_ddpm.evaluation.page import comparison

PICTURE = "data:image/png;base64,iVBORw0KGgo="


def report(n=1000, judges="Classifier: c.", **model):
    """A report with these figures, as a version without samples and seeds wrote it."""
    real = {"accuracy": 0.99, "recall": 0.95, "diversity": 2.8}
    figures = {name: {"model": value, "real": real.get(name.partition("/")[0], 0.0)} for name, value in model.items()}
    facts = {"title": "A", "lead": "", "judges": judges, "command": "", "clip": "", "rows": {}}
    return {"n": n, "figures": figures, "seconds": {}, "facts": facts}


def row(a, b):
    """The only row of a comparison."""
    (found,) = comparison.differences(a, b)
    return found


def test_a_share_is_better_or_worse_only_beyond_chance():
    assert row(report(accuracy=0.9), report(accuracy=0.98))["mark"] == "better"
    assert row(report(accuracy=0.98), report(accuracy=0.9))["mark"] == "worse"
    within = row(report(accuracy=0.98), report(accuracy=0.985))
    assert (within["mark"], within["text"], within["difference"]) == ("", "within chance", "+0.5")


def test_more_copies_are_worse():
    assert row(report(memorised=0.0), report(memorised=0.1))["mark"] == "worse"


def test_the_interval_of_a_difference_is_told_in_points():
    found = row(report(accuracy=0.9), report(accuracy=0.98))
    low, high = (float(end) for end in found["chance"].split(" to "))
    assert 0 < low < float(found["difference"]) == 8.0 < high


def test_figures_without_an_interval_are_nearer_to_the_real_one_or_further_from_it():
    assert row(report(diversity=2.0), report(diversity=2.7))["text"] == "nearer to real"
    assert row(report(diversity=2.9), report(diversity=3.3))["text"] == "further from real"
    assert row(report(diversity=2.9), report(diversity=2.9))["mark"] == ""


def test_what_depends_on_the_count_is_not_marked_between_counts():
    assert row(report(recall=0.5), report(n=300, recall=0.9))["text"] == "not comparable"
    assert row(report(accuracy=0.5), report(n=300, accuracy=0.9))["mark"] == "better"


def test_nothing_is_marked_between_judges():
    assert row(report(accuracy=0.5), report(judges="Classifier: d.", accuracy=0.9))["mark"] == ""


def test_the_summary_names_what_differs_and_says_when_nothing_does():
    a, b = report(accuracy=0.9, recall=0.95), report(accuracy=0.98, recall=0.8)
    assert comparison.summary(a, b) == "B is better than A in right digit; B is worse than A in recall."
    assert comparison.summary(a, a) == "No share differs between A and B by more than chance."
    assert (
        comparison.summary(report(), report()) == "These reports share no figure that tells a difference from chance."
    )


def test_each_digit_has_its_own_interval():
    a, b = report(accuracy=0.9, **{"accuracy/3": 0.9}), report(accuracy=0.9, **{"accuracy/3": 0.5})
    for side in (a, b):
        side["confusion"] = [[10] * 10] * 10
    assert re.search(r'<td>3</td>.*?class="worse">worse', comparison.render(a, b), re.DOTALL)


def test_the_samples_of_both_are_shown():
    a, b = report(accuracy=0.9), report(accuracy=0.9)
    a["samples"], b["samples"] = {"3": PICTURE}, {"3": PICTURE, "4": PICTURE}
    html = comparison.render(a, b)
    assert html.count(PICTURE) == 3 and html.count("not in this report") == 1


def test_reports_without_samples_are_compared_as_before():
    html = comparison.render(report(accuracy=0.9), report(accuracy=0.9))
    assert "Samples" not in html and "<img" not in html


@pytest.mark.parametrize("address", ["https://example.com/a.png", "data:text/html;base64,PGI+"])
def test_a_report_cannot_make_the_page_ask_for_anything_else(address):
    a = report(accuracy=0.9) | {"samples": {"3": address}}
    assert address not in comparison.render(a, copy.deepcopy(a))


def test_the_text_has_the_marks_too():
    lines = comparison.text(report(accuracy=0.9), report(accuracy=0.98)).splitlines()
    assert next(line for line in lines if line.startswith("Right digit")).endswith("better")
