"""What the report proposes as future work: for each proposal the study, its arms, and whom to compare with whom.

`studies.future_work` computes the verdicts from the figures.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from studies import architecture, clip_guides, study, training_ideas
from studies.comparison import TIME
from studies.page import answers
from studies.page.answers import Answer, Contents

Cost = Callable[[Contents, str, study.Figures], float | None]
"""(results, name of an arm, one of its rows) -> what it costs, None if that is unknown."""
ONE_TRAINING = ("schedules", "cosine v none")
"""Three trainings, as long as those of the other schedules: by how much these differ, one training of those may."""


@dataclasses.dataclass(frozen=True)
class Proposal:
    """One proposal.

    Args:
        title: Heading of its section.
        says: What the report proposes.
        study: Name of the study that measures it.
        arms: Names of rows without their seeds, in the order of the table; one that ends in * stands for all that begin
            so.
        pairs: (with, without) from `arms`; the first is the verdict's. An arm that ends in * stands for that with the
            smallest Fréchet distance.
        cost: What an arm costs.
        unit: Of the cost.
        like: (study, arm) that says how much seeds differ, where an arm has one.
        labels: What arms are called on the page, where it is not their name.
        answer: Function of the results that gives the row itself, if it is no comparison of images.
        command: What measures it, if it is no study.
    """

    title: str
    says: str
    study: str
    arms: tuple[str, ...] = ()
    pairs: tuple[tuple[str, str], ...] = ()
    cost: Cost = lambda results, name, row: row.get("calls")
    unit: str = "calls"
    like: tuple[str, str] | None = None
    labels: dict[str, str] = dataclasses.field(default_factory=dict)
    answer: Callable[[Contents], Answer] | None = None
    command: str | None = None


# What arms cost.


def calls_of_guidance(results: Contents, name: str, row: study.Figures) -> float:
    """Calls for an image in the sweep of w, which guides at every step; the default's own are recorded."""
    content = results["guidance"]
    if name == "default":
        return content["default_calls"]
    ws = content["w_of_digit"] if name == "of digit" else [float(name.split("w=")[1])]
    return content["settings"]["steps"] * float(np.mean([1 if w == 1 else 2 for w in ws]))


def own_arm(results: Contents) -> str:
    """Name of the arm of the study of steps that draws as the model does by default."""
    own = results["steps"]["settings"]["sampling"]
    return f"{own['sampler']} {own['steps']}"


def default_guidance(results: Contents) -> str:
    """Name of the default model's arm in the study of autoguidance."""
    return f"classifier-free in the interval w={results['autoguidance']['settings']['sampling']['w']:g}"


def plain_epochs(results: Contents, name: str, row: study.Figures) -> float:
    """Epochs of plain training that take as long as an arm's."""
    (arm,) = [arm for arm in training_ideas.ARMS if name.startswith(f"{arm} ")]
    return training_ideas.plain_epochs(arm)


def base_epochs(results: Contents, name: str, row: study.Figures) -> float:
    """Epochs of the network with attention that take as long as an arm's."""
    return architecture.base_epochs(name.partition(" ")[0])


def operations(results: Contents, name: str, row: study.Figures) -> float:
    """Multiply-adds for an image: all calls, and the decoder."""
    return row["image"]


def milliseconds(results: Contents, name: str, row: study.Figures) -> float:
    """Milliseconds for an image, as measured; a tuned model is called as often as one that is not."""
    content = results["clip_guides"]
    rows = study.named(content["rows"], "no guide") if name.startswith("tuned ") else [row]
    return 1000 * float(np.mean([row["seconds"] for row in rows])) / content["settings"]["n"]


ARCHITECTURE: dict[str, Any] = {"study": "architecture", "cost": base_epochs, "unit": "epochs"}
IDEA: dict[str, Any] = {"study": "training_ideas", "cost": plain_epochs, "unit": "epochs"}
CLIP: dict[str, Any] = {"study": "clip_guides", "cost": milliseconds, "unit": TIME}


def _idea(*names):
    """The arms and pairs of ideas for training: each beside plain training, drawn in each of three ways."""
    arms = tuple(f"{name} {drawn}" for drawn in training_ideas.DRAWN for name in ("plain", *names))
    return IDEA | {
        "arms": arms,
        "pairs": tuple((f"{n} {d}", f"plain {d}") for n in names for d in training_ideas.DRAWN),
    }


def _clip(arm, *others, beside="no guide"):
    """The arms and pairs of a use of CLIP: one beside what costs as much without CLIP, and all beside no guide."""
    arms = tuple(dict.fromkeys(("no guide", beside, arm, *others)))
    pairs = dict.fromkeys(((arm, beside), *((name, "no guide") for name in arms[1:])))
    return CLIP | {"arms": arms, "pairs": tuple(pairs)}


BEST = f"best of {clip_guides.CANDIDATES} by"
BUILT = {"attention own": "the base", "deeper own": "deeper", "wider own": "wider", "distorted own": "distorted"}
"""Arm -> what it is called as an architecture."""
BOUNDED = {
    "attention w=3": "clipped, w = 3",
    "attention w=3 unclipped": "unclipped, w = 3",
    "attention w=3 dynamic": "dynamic, w = 3",
    "attention own": "clipped, own w",
    "attention unclipped": "unclipped, own w",
    "attention dynamic": "dynamic, own w",
}
"""Arm -> what it is called as a way to bound the estimate."""
SCHEDULES = ("linear", "scaled_linear", "cosine", "zero_terminal_snr")
BESIDE_LATENTS = {"mnist": ("pixel", "patch4"), "canvas_mnist": ("pixel",)}
"""Data set -> the models of pixels that latents are compared with."""
PROPOSALS: dict[str, Proposal] = {
    "ddim": Proposal(
        "DDIM",
        "DDIM, to draw in 50 to 100 steps instead of 1000",
        "steps",
        ("ddpm 1000", "ddpm 50", "ddim 100", "ddim 50", "ddpm 20", "ddim 20"),
        (
            ("ddim 50", "ddpm 1000"),
            ("ddim 100", "ddpm 1000"),
            ("ddim 20", "ddpm 1000"),
            ("ddpm 50", "ddpm 1000"),
            ("ddim 50", "ddpm 50"),
            ("ddim 20", "ddpm 20"),
        ),
    ),
    "dynamic": Proposal(
        "Dynamic thresholding",
        "dynamic thresholding of the estimate",
        arms=("attention w=3", "attention w=3 dynamic", "attention own", "attention dynamic"),
        pairs=(("attention w=3 dynamic", "attention w=3"), ("attention dynamic", "attention own")),
        labels=BOUNDED,
        **ARCHITECTURE,
    ),
    "clamping": Proposal(
        "Clamping",
        "clamping the estimate",
        arms=("attention w=3 unclipped", "attention w=3", "attention unclipped", "attention own"),
        pairs=(("attention w=3", "attention w=3 unclipped"), ("attention own", "attention unclipped")),
        labels=BOUNDED,
        **ARCHITECTURE,
    ),
    "attention": Proposal(
        "Self-attention",
        "self-attention after the second and third down-sampling, and where the decoder mirrors them",
        arms=("plain own", "attention own"),
        pairs=(("attention own", "plain own"),),
        labels={"plain own": "no attention", "attention own": "self-attention"},
        **ARCHITECTURE,
    ),
    "size": Proposal(
        "Depth and width",
        "a deeper and a wider network",
        arms=("attention own", "deeper own", "wider own"),
        pairs=(("deeper own", "attention own"), ("wider own", "attention own")),
        labels=BUILT,
        **ARCHITECTURE,
    ),
    "distortion": Proposal(
        "Distorted images",
        "augmentation: small rotations and distortions",
        arms=("attention own", "distorted own"),
        pairs=(("distorted own", "attention own"),),
        labels=BUILT,
        **ARCHITECTURE,
    ),
    "curriculum": Proposal(
        "A curriculum over the noise levels",
        "a curriculum over T: begin with few or small noise levels, and widen",
        **_idea("low_noise_first", "high_noise_first"),
    ),
    "latent": Proposal(
        "Latent diffusion",
        "an autoencoder, and diffusion of its latents with about 4 times fewer operations",
        "latent",
        tuple(
            f"{data} {arm}"
            for data, arms in BESIDE_LATENTS.items()
            for arm in (*arms, "latent", "reconstructions", "real")
        ),
        tuple((f"{data} latent", f"{data} {arm}") for data, arms in BESIDE_LATENTS.items() for arm in arms),
        operations,
        "operations",
    ),
    "perceptual": Proposal("A perceptual loss", "a perceptual loss beside the squared error", **_idea("perceptual")),
    "discriminator": Proposal("An adversarial loss", "an adversarial component", **_idea("discriminator")),
    "schedules": Proposal(
        "Noise schedules",
        "a comparison of noise schedules",
        "schedules",
        tuple(f"{name} v none" for name in SCHEDULES),
        tuple((f"{name} v none", "linear v none") for name in ("cosine", "scaled_linear", "zero_terminal_snr")),
        lambda results, name, row: results["schedules"]["settings"]["epochs"],
        "epochs",
        ONE_TRAINING,
        {
            f"{name} v none": name.replace("_", " ")
            for name in ("scaled_linear", "zero_terminal_snr", "linear", "cosine")
        },
    ),
    "steps": Proposal(
        "How many steps",
        "a sweep of step counts",
        "steps",
        tuple(f"dpm_solver_pp_2m_sde {count}" for count in (100, 50, 20, 10, 5)),
        tuple(
            (f"dpm_solver_pp_2m_sde {few}", f"dpm_solver_pp_2m_sde {many}")
            for few, many in ((5, 20), (10, 20), (20, 100))
        ),
        labels={f"dpm_solver_pp_2m_sde {count}": f"{count} steps" for count in (100, 50, 20, 10, 5)},
    ),
    "guidance": Proposal(
        "How strong a guidance",
        "a sweep of the guidance scale, and draws with w = 3 itself",
        "guidance",
        tuple(f"w={w}" for w in ("0", "0.5", "1", "2", "3", "5", "7", "10")),
        tuple((f"w={w}", "w=1") for w in (3, 2, 7)),
        calls_of_guidance,
    ),
    "clip_guidance": Proposal(
        "Sampling guided by CLIP",
        "x_{t-1} = mu + lambda grad CLIP + sigma z: the gradient of CLIP's score in every step",
        **_clip("guide scale=*"),
    ),
    "clip_rejection": Proposal(
        "The best by CLIP",
        "drawing 10 and keeping the 3 that CLIP likes best",
        **_clip(f"{BEST} clip", f"{BEST} classifier"),
    ),
    "clip_tuning": Proposal(
        "Training weighted by CLIP",
        "CLIP-informed fine-tuning, by a weight on each image",
        **_clip("tuned clip_weighted", beside="tuned plain"),
    ),
    "draft": Proposal(
        "Tuning through the last step",
        "CLIP-informed fine-tuning, by the gradient of its score (DRaFT-1)",
        **_clip("tuned draft", "tuned draft_too_high", beside="tuned plain"),
    ),
    "w_of_digit": Proposal(
        "A guidance for each digit",
        "another w for each class: 2 for 0, 4 for 2",
        "guidance",
        ("default", "one w=1", "one w=1.5", "of digit"),
        (("of digit", "default"), ("of digit", "one w=1.5"), ("of digit", "one w=1")),
        calls_of_guidance,
    ),
    "autoguidance": Proposal(
        "Autoguidance",
        "classifier-free guidance; autoguidance came later",
        "autoguidance",
        ("none w=1", "classifier-free *", "autoguidance *"),
        (
            ("autoguidance *", "classifier-free *"),
            ("autoguidance everywhere*", "classifier-free everywhere*"),
            ("autoguidance in*", "classifier-free in*"),
            ("autoguidance *", "none w=1"),
            ("classifier-free *", "none w=1"),
        ),
    ),
    "restoration": Proposal(
        "Inpainting and super-resolution",
        "inpainting and super-resolution with the trained model",
        "restoration",
        answer=answers.of_restoration,
        command="python -m benchmarks.restoration",
    ),
    "rare": Proposal(
        "Synthetic data for rare classes",
        "synthetic data for augmentation",
        "augmentation",
        answer=answers.of_rare_digits,
    ),
    "private": Proposal(
        "Synthetic data for private images",
        "synthetic data in the place of private images",
        "privacy",
        answer=answers.of_private_data,
    ),
    "attributes": Proposal(
        "Attributes",
        "data like CelebA's, with attributes beside or in the place of a class",
        "attributes",
        answer=answers.of_attributes,
    ),
}
