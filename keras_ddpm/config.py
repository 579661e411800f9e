"""The configuration: frozen dataclasses, from which the command line's flags are made.

A configuration is plain values only, so that it can be written beside the weights as JSON and read back. Names become
functions where they are used, by a dict whose error lists the choices.
"""

import dataclasses
import json
import math
import numbers
import re
from typing import Any, Literal

ATTRIBUTE = re.compile(r"\w+", re.ASCII)
RESERVED = {"label", "time", "x_t", "t", "key"}  # what a network is told anyway
RESERVED |= {"digit", "w", "seed", "sampler", "steps", "preset", "runtime", "guide", "guide_scale", "best_of", "judge"}
RESERVED |= {"temperature", "progress", "return_seeds"}  # the last of the arguments of `sample`
RESERVED |= {"deadline"}  # an argument of the client of a server


@dataclasses.dataclass(frozen=True)
class DataConfig:
    dataset: str = "mnist"
    """digits_8x8, colour_mnist, canvas_mnist, the TFDS name of an image-classification data set, or the path of an .npz
    file in the format of keras.datasets."""
    train_images: int = 0
    """Images of the training split to train on, from its beginning; 0 for all that are not held out."""
    validation_images: int = 5_000
    """Images held out from the end of the training split: the validation loss after each epoch is theirs."""
    image_size: int = 0
    """Side to which the middle square of each image is resized when a data set is read; 0 leaves images as they are."""
    augmentation: Literal["none", "distort"] = "none"
    """distort: small rotations, shifts and changes of size of the training images, new ones in each epoch."""
    attributes: tuple[str, ...] = ()
    """What the network is told beside the class: thickness, slant and width are measured on the images (see
    `keras_ddpm.data.attributes`); any other name is an attribute that the data set has, 0 ... 1."""

    def __post_init__(self):
        if self.image_size < 0:
            raise ValueError(f"`image_size` must be at least 0. Received: {self.image_size}")
        wrong = [name for name in self.attributes if not ATTRIBUTE.fullmatch(name) or name in RESERVED]
        if wrong or len(set(self.attributes)) < len(self.attributes):
            raise ValueError(
                "`attributes` must be different names of letters, digits and _, none of them an argument of `sample`. "
                f"Received: {self.attributes}"
            )


@dataclasses.dataclass(frozen=True)
class NetworkConfig:
    """See `keras_ddpm.networks.unet.UNet`."""

    widths: tuple[int, ...] = (64, 128)
    """Channels of each level; each has half the resolution of the one before."""
    depths: tuple[int, ...] = (2, 3)
    """Residual blocks of each level."""
    attention: tuple[bool, ...] = (False, True)
    """For each level, whether self-attention follows its first block."""
    patch: int = 2
    """The stem folds patch x patch pixels into channels."""
    embed_dim: int = 128
    """Size of the embeddings of time and class."""
    conditioning: Literal["film", "bottleneck", "film_time", "film_label"] = "film"
    """Where time and class enter: in every block, at the bottleneck, or one here and one there."""
    activation: str = "silu"
    """Name of a Keras activation."""
    groups: int = 8
    """Groups of the normalisation; must divide every width."""
    heads: int = 4
    """Attention heads."""
    dropout: float = 0.0
    """Dropout rate in the residual blocks, in [0, 1)."""


@dataclasses.dataclass(frozen=True)
class AutoencoderConfig:
    """See `keras_ddpm.networks.autoencoder.Autoencoder`. A model of latents has what its codec has."""

    latent_channels: int = 0
    """Channels of the latents, which are diffused instead of images; 0: images are."""
    encoder_widths: tuple[int, ...] = (16, 32, 64)
    """Channels of each level; each has half the resolution of the one before, the last that of the latents."""
    encoder_depth: int = 1
    """Residual blocks of each level, in the encoder and in the decoder."""
    kl_weight: float = 1e-4
    """Weight of the KL divergence from N(0, 1), in training the autoencoder."""

    def __post_init__(self):
        if self.latent_channels < 0:
            raise ValueError(f"`latent_channels` must be at least 0. Received: {self.latent_channels}")


@dataclasses.dataclass(frozen=True)
class DiffusionConfig:
    """See `keras_ddpm.diffusion.Diffusion.from_names`."""

    schedule: str = "cosine"
    """linear, scaled_linear, cosine, zero_terminal_snr or flow_matching."""
    T: int = 1_000
    """Number of noise levels; with a continuous schedule, such as flow_matching, only the unit of the embedded time."""
    prediction: Literal["eps", "x0", "v", "velocity"] = "v"
    """What the network predicts."""
    weighting: Literal["uniform", "min_snr"] = "uniform"
    """Weight of the loss at each noise level."""


@dataclasses.dataclass(frozen=True)
class TrainingConfig:
    objective: Literal[
        "diffusion",
        "consistency",
        "adversarial",
        "perceptual",
        "diffusion_gan",
        "draft",
        "clip_weighted",
        "autoencoder",
    ] = "diffusion"
    """consistency, adversarial: tune a trained diffusion model to draw in one call or a few (docs/few_step.md).
    perceptual: tune it by the distance in its own features. diffusion_gan: diffusion with a discriminator beside.
    draft, clip_weighted: tune it to draw what CLIP likes, or on what CLIP scores low (docs/clip.md).
    autoencoder: train what makes latents of images, and images of latents (docs/guide/latent.md)."""
    init: str | None = None
    """Preset or folder of a run whose weights to start from; None: random ones, or those of the stage before."""
    codec: str | None = None
    """Folder of the run of an autoencoder, in whose latents to diffuse; None: images are diffused."""
    epochs: int = 18
    """Passes over the training images."""
    batch_size: int = 128
    """Images a step."""
    optimizer: Literal["adamw", "muon"] = "adamw"
    """muon: for the kernels between the first layer and the last, and adamw for the rest. See `training.optimizer`."""
    learning_rate: float = 2e-3
    """The highest learning rate."""
    learning_rate_schedule: Literal["constant", "trapezoid"] = "trapezoid"
    """trapezoid: `warmup_steps` up, flat, and linearly to zero over the last `cooldown` of the steps."""
    warmup_steps: int = 500
    """Steps in which the learning rate rises."""
    cooldown: float = 0.35
    """Share of the steps in which the learning rate falls to zero, in (0, 1]."""
    weight_decay: float = 0.01
    """Decoupled weight decay (AdamW)."""
    clip_norm: float | None = 1.0
    """Limit of the global norm of the gradients."""
    p_uncond: float = 0.1
    """Probability of dropping the label, which classifier-free guidance needs."""
    p_drop_attribute: float | None = 0.5
    """Probability of dropping an attribute, each on its own, so that any of them may be left out of what is asked.
    None: each image draws its own, so that it loses any number of its attributes, each number as often."""
    times: Literal["uniform", "logit_normal"] = "uniform"
    """Distribution of the times that are trained on."""
    curriculum: Literal["none", "low_noise_first", "high_noise_first"] = "none"
    """Noise levels to begin with; all of them are seen from the middle of the run."""
    adversarial_weight: float = 0.01
    """Weight of the discriminator beside the squared error, for the objective diffusion_gan."""
    reward_weight: float = 0.01
    """Weight of CLIP's score beside the squared error, for the objective draft."""
    reward_steps: int = 5
    """Steps in which the objective draft draws what CLIP scores, with the sampler of `sample`."""
    ema_decay: float = 0.9995
    """Decay of the average of the weights; 0 keeps none."""
    validation_noise: Literal["fixed", "fresh"] = "fixed"
    """fixed: the validation loss uses the same times and noise in every epoch; fresh: new ones, so it fluctuates."""
    plateau_patience: int | None = None
    """Epochs without a better validation loss before the learning rate falls to a tenth (ReduceLROnPlateau)."""
    stop_patience: int | None = None
    """Epochs without a better validation loss before training stops (EarlyStopping)."""
    precision: Literal["auto", "float32", "mixed_bfloat16", "mixed_float16"] = "mixed_bfloat16"
    """Precision of the network in training. auto: float32 or mixed_bfloat16, whichever trains faster here, measured
    for a minute at the start; the run's config.json has the result."""
    jit: Literal["auto", "on", "off"] = "auto"
    """XLA. auto: on for a GPU, off for a CPU, where oneDNN was measured to be faster (see benchmarks/); with precision
    auto, measured too."""
    seed: int = 0
    """Seed of the first weights, the order of the images, times and noise."""
    grid_every: int = 2
    """Epochs between two grids of samples; 0 for none."""
    evaluate_every: int = 0
    """Epochs between two evaluations, whose figures go into the logs as eval_...; 0 for none."""
    judge: str | None = None
    """Folder of the judge of these evaluations, see `keras-ddpm judge`; None: the shipped one, which knows MNIST."""

    def __post_init__(self):
        for name in ("epochs", "batch_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"`{name}` must be at least 1. Received: {getattr(self, name)}")
        if not 0 <= self.learning_rate < math.inf:
            raise ValueError(f"`learning_rate` must be finite and at least 0. Received: {self.learning_rate}")


@dataclasses.dataclass(frozen=True)
class FewStepConfig:
    """What the objectives consistency and adversarial read. See `training.losses`."""

    halvings: int = 5
    """How often the distance between the two times of the consistency loss is halved during the run."""
    at_noise: float = 0.25
    """Share of the images that the consistency loss sees as pure noise, which is where one call starts."""
    gamma: float = 0.1
    """Weight of the discriminator's gradient penalties, R1 + R2."""
    mismatch: float = 1.0
    """Weight of real images under a wrong label, which the discriminator learns to tell from the right one; it falls to
    0 in the second half of the run."""
    levels: tuple[float, ...] = (0.4, 0.9, 2.0)
    """Noise levels sigma / alpha at which later calls start."""
    renoised: float = 0.25
    """Share of the images that are later calls, on outputs of earlier ones with new noise."""
    calls: int = 2
    """Number of calls up to which those are trained, in equal parts: 2 for second calls, 4 for second to fourth."""
    noised: float = 0.125
    """Share of the images that are later calls, on real images with noise."""
    anchor: float = 0.1
    """Weight of the distance from those real images."""


def check_temperature(temperature: Any) -> None:
    """Raise unless it is a finite number above 0.

    Raises:
        ValueError: saying so.
    """
    if not isinstance(temperature, numbers.Real) or not 0 < float(temperature) < math.inf:
        raise ValueError(f"`temperature` must be a finite number above 0. Received: {temperature!r:.60}")


@dataclasses.dataclass(frozen=True)
class SamplingConfig:
    """What `sample` does unless told otherwise. See `keras_ddpm.generator.Generator`."""

    sampler: str = "dpm_solver_pp_2m_sde"
    """consistency, ddpm, ddim, dpm_solver_pp_2m or dpm_solver_pp_2m_sde."""
    steps: int = 20
    """Steps of the sampler."""
    w: float | tuple[float, ...] = 1.5
    """Guidance: one for all classes, or one for each."""
    guidance: Literal["classifier_free", "autoguidance", "none"] = "classifier_free"
    """autoguidance: away from a weaker network, `weak`. none: the conditional prediction, whatever w is."""
    weak: str | None = None
    """Preset or folder of autoguidance's weaker network; or a folder in the preset's own."""
    guidance_interval: tuple[float, float] | None = (0.7, 2.5)
    """Noise levels sigma_t / alpha_t between which to guide; None for all."""
    guide: Literal["clip"] | None = None
    """A score whose gradient moves the images beside the guidance: clip, the shipped digit CLIP. See `guides`."""
    guide_scale: float = 1.0
    """How far it moves them; 0 for not at all."""
    threshold: Literal["static", "dynamic", "none"] = "static"
    """How x_0 is limited to the range of images."""
    eta: float = 0.0
    """Noise of DDIM, 0 ... 1; other samplers do not read it."""
    temperature: float = 1.0
    """Standard deviation of x_T: above 1 a few-step model draws more varied images, below 1 more typical ones."""
    trained_steps: tuple[int, ...] | None = None
    """The numbers of steps that a few-step model was trained for; None: any."""

    def __post_init__(self):
        values = self.w if isinstance(self.w, tuple | list) else (self.w,)
        if not all(math.isfinite(value) for value in values):
            raise ValueError(f"`w` must be finite: one number, or one for each class. Received: {self.w}")
        if not isinstance(self.guide_scale, int | float) or not math.isfinite(self.guide_scale):
            raise ValueError(f"`guide_scale` must be a finite number. Received: {self.guide_scale!r:.60}")
        check_temperature(self.temperature)


@dataclasses.dataclass(frozen=True)
class Config:
    """One experiment, or one preset."""

    name: str = "mnist"
    """Name of the experiment; the run goes into a folder of this name."""
    data: DataConfig = DataConfig()
    network: NetworkConfig = NetworkConfig()
    autoencoder: AutoencoderConfig = AutoencoderConfig()
    diffusion: DiffusionConfig = DiffusionConfig()
    training: TrainingConfig = TrainingConfig()
    few_step: FewStepConfig = FewStepConfig()
    sampling: SamplingConfig = SamplingConfig()

    @property
    def latent(self) -> bool:
        """Whether latents are diffused, not images."""
        return self.autoencoder.latent_channels > 0 and self.training.objective != "autoencoder"


@dataclasses.dataclass(frozen=True)
class Devices:
    """What to train on. It is no part of an experiment: a run may be resumed on other devices."""

    devices: int | Literal["all"] | None = None
    """Devices (GPUs, or CPUs if there are none) that share each batch: a number, or all. Default: one, or with several
    processes all of each. More than one needs KERAS_BACKEND=jax (docs/scale.md)."""
    coordinator: str | None = None
    """Where several processes meet: host:port of process 0. Default: what Slurm says."""
    processes: int | None = None
    """Number of processes, on one machine or several. Default: what Slurm says, or 1."""
    process: int | None = None
    """Which of the processes this is, from 0. Default: what Slurm or an indexed Job of Kubernetes says."""
    parts: int = 1
    """Parts of a batch that TensorFlow computes side by side, each on one CPU core. With as many as there are cores,
    diffusion and consistency train faster than with all cores in each operation (docs/scale.md)."""

    def __post_init__(self):
        if self.devices not in (None, "all") and not _at_least(self.devices, 1):
            raise ValueError(f"`devices` must be 'all' or at least 1. Received: {self.devices!r}")
        if self.processes is not None and not _at_least(self.processes, 1):
            raise ValueError(f"`processes` must be at least 1. Received: {self.processes!r}")
        if self.process is not None and not _at_least(self.process, 0):
            raise ValueError(f"`process` must be at least 0. Received: {self.process!r}")
        if not _at_least(self.parts, 1):
            raise ValueError(f"`parts` must be at least 1. Received: {self.parts!r}")


def choose(choices, name: str, what) -> Any:
    """The function that a name stands for.

    Raises:
        ValueError: for an unknown name; the error lists the choices.
    """
    if name not in choices:
        raise ValueError(f"`{what}` must be one of {sorted(choices)}. Received: {name!r}")
    return choices[name]


def check_steps(sampling) -> None:
    """Raise for steps, or a sampler, that a few-step model was not trained for.

    Raises:
        ValueError: naming what it was trained for.
    """
    if sampling.trained_steps is None:
        return
    if sampling.steps not in sampling.trained_steps:
        allowed = list(sampling.trained_steps)
        raise ValueError(
            f"`steps` must be one of {allowed}, which this model was trained for. Received: {sampling.steps!r}"
        )
    if sampling.sampler != "consistency":
        raise ValueError(f"`sampler` must be 'consistency' for this few-step model. Received: {sampling.sampler!r}")


def check_latent(config) -> None:
    """Raise for settings that only work on images: latents have no range to clip to, and no score reads them.

    Raises:
        ValueError: naming the field, for a model of latents.
    """
    if not config.latent:
        return
    needed = {
        "objective": (config.training.objective, "diffusion"),
        "threshold": (config.sampling.threshold, "none"),
        "guide": (config.sampling.guide, None),
    }
    for name, (value, fine) in needed.items():
        if value != fine:
            raise ValueError(f"`{name}` must be {fine!r} where latents are diffused, not images. Received: {value!r}")


def to_json(config: Any) -> str:
    """The configuration as a JSON text."""
    return json.dumps(dataclasses.asdict(config), indent=2) + "\n"


def from_json(text) -> Config:
    """The configuration that `to_json` wrote; keys beside it, such as the versions, are left alone.

    Raises:
        ValueError: if the text is no such JSON, or lacks a part.
    """
    try:
        values = json.loads(text)
        values = {"few_step": {}, "autoencoder": {}} | values  # older files lack them
        return _build(Config, {field.name: values[field.name] for field in dataclasses.fields(Config)})
    except (TypeError, AttributeError, KeyError, json.JSONDecodeError) as error:
        raise ValueError(f"This is no configuration of keras_ddpm: {error}") from error


def recipe_to_json(stages) -> str:
    """The stages of a recipe as a JSON text."""
    return json.dumps([dataclasses.asdict(stage) for stage in stages], indent=2) + "\n"


def recipe_from_json(text) -> tuple[Config, ...]:
    """The stages that `recipe_to_json` wrote: a tuple of configurations.

    Raises:
        ValueError: if the text is no such JSON.
    """
    try:
        stages = json.loads(text)
        return tuple(from_json(json.dumps(stage)) for stage in [*stages])
    except (TypeError, json.JSONDecodeError) as error:
        raise ValueError(f"This is no recipe of keras_ddpm: {error}") from error


def _at_least(value, least):
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _build(cls, values):
    nested = {field.name: field.type for field in dataclasses.fields(cls) if dataclasses.is_dataclass(field.type)}
    return cls(**{key: _build(nested[key], value) if key in nested else _tuple(value) for key, value in values.items()})


def _tuple(value):
    return tuple(value) if isinstance(value, list) else value
