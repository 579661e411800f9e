"""The page of future work: it agrees with the files, says what is missing, and fills in as rows come."""

import copy
import re

import numpy as np
import pytest

from studies import (
    architecture,
    attributes,
    autoguidance,
    clip_guides,
    latent,
    study,
    training_ideas,
)
from studies.page import future_work, pages
from studies.page.answers import NOT_YET
from studies.page.proposals import PROPOSALS

SECTIONS = re.split(r"^## ", pages.FUTURE.read_text() if pages.FUTURE.is_file() else "", flags=re.MULTILINE)
SAMPLING = {"w": 1.5, "sampler": "dpm_solver_pp_2m_sde", "steps": 20}


@pytest.fixture(scope="module")
def results():
    return pages.read()


def row(seed, **changes):
    """Figures of drawn images: good ones, that differ a little from seed to seed."""
    wobble = float(np.random.default_rng(seed).uniform(-1, 1))
    figures = {"accuracy": 0.95, "frechet_distance": 0.2, "recall": 0.9, "sharp": 0.8, "seconds": 1.0}
    figures = {name: value + changes.pop(name, 0.0) + 0.001 * wobble for name, value in figures.items()}
    return {**figures, "machine": "some", **changes}


def recorded(results, seeds=range(study.SEEDS), **changes):
    """The results as they are, with made-up rows of every study that has none. changes: name of an arm -> figures."""

    def rows(*arms, **figures):
        return {f"{arm} seed={s}": row(s, **figures, **changes.get(arm, {})) for arm in arms for s in seeds}

    made = copy.deepcopy(results)
    ideas = [f"{name} {drawn}" for name in training_ideas.ARMS for drawn in training_ideas.DRAWN]
    made["training_ideas"]["rows"] = rows(*ideas)
    made["architecture"]["rows"] = rows(*(f"{arm} {how}" for arm, ways in architecture.DRAWN.items() for how in ways))
    where = ("everywhere", "in the interval")
    guided = [f"{kind} {w}" for kind in ("classifier-free", "autoguidance") for w in where]
    made["autoguidance"]["rows"] = rows("none w=1", calls=20.0) | rows(
        *(f"{kind} w={w:g}" for kind in guided for w in autoguidance.WS), calls=28.0
    )
    made["latent"]["rows"] = {}
    for dataset, networks in latent.NETWORKS.items():
        made["latent"]["rows"] |= {f"{dataset} {name}": row(0) for name in ("real", "reconstructions")}
        for name in networks:
            operations = {"call": 1e7, "image": 3e8} if name == latent.LATENT else {"call": 4e7, "image": 9e8}
            made["latent"]["rows"] |= rows(f"{dataset} {name}", **operations)
    agreed = {"attributes": {name: {"correlation": 0.95} for name in ("thickness", "slant")}}
    asks = (attributes.ALONE, "thickness", "slant", "all")
    made["attributes"]["rows"] = rows(*(f"{ask} w={w}" for ask in asks for w in (1, 1.5)), **agreed)
    tuned = [f"tuned {name}" for name in clip_guides.TUNINGS]
    best = [f"best of {clip_guides.CANDIDATES} by {name}" for name in clip_guides.CHOOSERS]
    scales = [f"guide scale={scale:g}" for scale in clip_guides.SCALES]
    liked = {"clip": 0.9, "judge": 0.8, "gap_of_clip": 0.1}
    made["clip_guides"]["rows"] = rows("no guide", *scales, *best, *tuned, **liked)
    for content in made.values():
        content["settings"] = {"n": 2000} | content["settings"] | {"sampling": SAMPLING}
        content["rows"].setdefault("real", row(0))
    return made


def test_the_page_and_the_files_say_the_same(results):
    assert pages.FUTURE.read_text() == pages.render_future(results), "run: python -m studies.page"


@pytest.mark.parametrize("key", PROPOSALS)
def test_a_proposal_has_a_section_with_its_verdict_and_its_command(key, results):
    proposal, answer = PROPOSALS[key], future_work.answer(results, PROPOSALS[key])
    (section,) = [text for text in SECTIONS if text.startswith(f"{proposal.title}\n")]
    command = proposal.command or results[proposal.study]["command"]
    assert f"**Verdict: {answer.verdict}.**" in section and f"`{command}`" in section
    assert f"| [{proposal.title}](#{pages.anchor(proposal.title)}) | {answer.verdict} |" in SECTIONS[0]


def test_the_page_has_narrow_tables_pictures_that_are_there_and_a_table_of_its_contents():
    text = pages.FUTURE.read_text()
    widths = [line.count("|") - 1 for line in text.splitlines() if line.startswith("|---")]
    assert widths and max(widths) <= 8
    shown = re.findall(r"\]\((\.\./studies/[^)]+|[\w/]+\.(?:md|png))[^)]*\)", text)
    assert len(shown) > 20 and not [name for name in shown if not (pages.FUTURE.parent / name).exists()]
    titles = re.findall(r"^##+ (.+)$", text, re.MULTILINE)
    assert re.findall(r"^ *- \[([^]]+)\]\(#[\w-]+\)$", text, re.MULTILINE)[: len(titles)] == titles
    assert text.index("![") < text.index("## ") and "](future_work.md" not in text


def test_arms_that_a_proposal_names_are_rows_of_its_study(results):
    made = recorded(results)
    for proposal in PROPOSALS.values():
        there = future_work.groups(made[proposal.study]["rows"]) if proposal.arms else {}
        assert not [arm for arm in proposal.arms if not future_work.matching(there, arm)]
        assert all(set(pair) <= {*proposal.arms, *_narrower(proposal)} for pair in proposal.pairs)


def test_a_study_that_is_recorded_measures_all_pairs_of_its_proposals(results):
    """So a row that gets another name is noticed."""
    for key, proposal in PROPOSALS.items():
        if proposal.pairs and results[proposal.study]["rows"]:
            assert len(future_work.comparisons(results, proposal)) == len(proposal.pairs), key


def _narrower(proposal):
    """Names with * that stand for a part of the arms that another name with * stands for."""
    wide = [arm[:-1] for arm in proposal.arms if arm.endswith("*")]
    return [name for pair in proposal.pairs for name in pair if name.startswith(tuple(wide)) and name.endswith("*")]


def test_a_study_without_rows_is_not_measured_yet(results):
    empty = {name: content | {"rows": {}} for name, content in results.items()}
    text = pages.render_future(empty)
    for proposal in PROPOSALS.values():
        if proposal.command is None:
            assert future_work.answer(empty, proposal).verdict == NOT_YET
            assert f"- [{proposal.title}](" in text.split("## What is not measured yet")[1]
    assert "**Not measured yet.**" in text and " ± " not in text.split("**How to read it.**")[0]


@pytest.mark.parametrize("seeds", [range(1), range(2), range(3)], ids=["one seed", "two seeds", "three seeds"])
def test_the_page_fills_in_as_rows_come(results, seeds):
    made = recorded(results, seeds)
    text = pages.render_future(made)
    assert not future_work.missing(made)
    for arm in ("perceptual 5 steps", "canvas_mnist latent", "guide scale=10", "autoguidance in the interval w=2"):
        assert re.search(rf"^\| {re.escape(arm)} \| {len(seeds)} \|", text, re.MULTILINE), arm
    assert "latent, compared with mnist pixel: " in text and "for an image" in text
    widths = [line.count("|") - 1 for line in text.splitlines() if line.startswith("|---")]
    assert max(widths) <= 8


@pytest.mark.parametrize(
    "changes, verdict",
    [
        ({"accuracy": 0.03}, "helps: better right digit"),
        ({"frechet_distance": 0.1}, "does not help: worse Fréchet distance"),
        ({"accuracy": 0.03, "recall": -0.1}, "mixed: better right digit, worse recall"),
        ({}, "does not help: no difference"),
    ],
)
def test_a_changed_figure_changes_the_verdict_and_the_page(results, changes, verdict):
    made = recorded(results, **{"perceptual own": changes})
    assert future_work.answer(made, PROPOSALS["perceptual"]).verdict == verdict
    assert f"| {verdict} | perceptual own, compared with plain own: " in pages.render_future(made)


def test_of_arms_with_one_name_the_best_is_compared(results):
    made = recorded(results, **{"guide scale=10": {"frechet_distance": -0.1}})
    answer = future_work.answer(made, PROPOSALS["clip_guidance"])
    assert answer.verdict == "helps: better Fréchet distance"
    assert answer.figure.startswith("guide scale=10, compared with no guide: ")


@pytest.mark.parametrize(
    "call, image, verdict",
    [
        (1e7, 2e8, "yes: 4.0 times fewer for a call, 4.5 times fewer for an image"),
        (1e7, 6e8, "for the call only"),
        (8e7, 9e8, "no: 2.0 times as many for a call, 1.0 times fewer for an image"),
    ],
)
def test_about_four_times_fewer_operations_is_a_question_of_figures(call, image, verdict):
    rows = {"mnist pixel seed=0": {"call": 4e7, "image": 9e8}, "mnist latent seed=0": {"call": call, "image": image}}
    assert latent.verdict(rows, "mnist").startswith(verdict)
    assert latent.verdict(rows, "canvas_mnist") == NOT_YET


@pytest.mark.parametrize("r, verdict", [(0.95, "helps"), (0.6, "helps in part"), (0.2, "does not help")])
def test_attributes_help_if_all_of_them_are_drawn_as_asked(results, r, verdict):
    made = recorded(results)
    for name, figures in made["attributes"]["rows"].items():
        if name.startswith("all w=1.5"):
            figures["attributes"] = {"thickness": {"correlation": 0.99}, "slant": {"correlation": r}}
    answer = future_work.answer(made, PROPOSALS["attributes"])
    assert answer.verdict == verdict and f"slant r = {r:.2f} ± 0.00" in answer.figure
    made = recorded(results, **{"all w=1.5": {"recall": -0.1}})
    assert future_work.answer(made, PROPOSALS["attributes"]).verdict == "helps, worse recall"


def test_the_default_is_beaten_by_what_is_better_at_no_more_calls(results):
    arm = "autoguidance in the interval w=2"
    made = recorded(results, **{arm: {"frechet_distance": -0.1}})
    for content in made.values():
        content["rows"] = content["rows"] if content is made["autoguidance"] else {}
    (tried,) = future_work.combinations(made)
    assert tried.better == {arm: ["Fréchet distance"]} and arm in future_work.beaten([tried])
    for name, figures in made["autoguidance"]["rows"].items():
        if name.startswith(arm):
            figures["calls"] = 30.0
    (tried,) = future_work.combinations(made)
    assert not tried.better and arm not in tried.arms
    assert future_work.beaten([tried]) == "None does, of 11 tried." and tried.cheaper == {"none w=1": 20.0}


def test_of_many_arms_that_are_alike_hardly_any_beats_the_default(results):
    """Compared one by one at 5 %, of 12 arms with three figures each one would seem better in every third study."""
    made, found = recorded(results), 0
    rows = made["autoguidance"]["rows"]
    for trial in range(40):
        random = np.random.default_rng(trial)
        for figures in rows.values():
            figures |= {name: 0.5 + 0.1 * random.normal() for name in ("accuracy", "frechet_distance", "recall")}
        (tried,) = (one for one in future_work.combinations(made) if one.study == "autoguidance")
        assert len(tried.arms) == 12
        found += bool(tried.better)
    assert found <= 4
