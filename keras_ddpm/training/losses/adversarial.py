"""Adversarial tuning: a discriminator teaches a few-step model what is missing in its images.

    x ~ data with label y,  z ~ N(0, I),  f(x_t, t) = the x_0 that the network's prediction stands for
    fake = f(z, 1), and for some rows a later call: f(x_t, t) of an earlier call's image, or of x, with noise
    generator      descends on  softplus(-(D(fake, y, t) - D(x, y, t)))
    discriminator  descends on  softplus(-(D(x, y, t) - D(fake, y, t)))
                                + gamma / 2 (|grad D(x, y, t)|^2 + |grad D(fake, y, t)|^2)
                                + mismatch softplus(-(D(x, y, t) - D(x, another label, t)))

Each fake is compared with a real image of the same label (relativistic pairs). The discriminator is told t, at which
the call began: otherwise only the mixture of all calls would have to look real, and the error of one call could make up
for that of another. The penalties R1 and R2 make the game converge. The last term tells the discriminator what a label
means: without it digits are well drawn, but of another class. Later it only narrows what is drawn, so its weight falls
to 0. Later calls start at three noise levels, of which `samplers.consistency_times` visits one; from the third call on
they start at that one.

Both networks share one Adam, so their learning rate is one; the optimizer holds the moments of both, and a run resumes
exactly.

Reference: Huang et al., "The GAN is dead; long live the GAN!", arXiv 2501.05441, section 2; Zheng et al. (a diffusion
model as the generator), arXiv 2506.09376; Reed et al. (wrong labels), arXiv 1605.05396.
"""

import functools
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_ddpm import samplers
from keras_ddpm.backends.gradients import input_gradient
from keras_ddpm.networks.discriminator import Discriminator
from keras_ddpm.saving.serialization import PACKAGE
from keras_ddpm.training.ddpm import DDPM, as_dict
from keras_ddpm.training.losses.consistency import denoised, pseudo_huber
from keras_ddpm.types import Tensor

OVERSHOOT = 0.05
TRACKED = ("loss", "loss_discriminator", "margin", "penalty", "anchor")


@keras.saving.register_keras_serializable(PACKAGE)
class AdversarialTuning(DDPM):
    """Tunes a few-step network against a discriminator of its own.

    Args:
        network, diffusion: See `DDPM`; the network draws roughly in one call, and has a label.
        levels: Noise levels sigma / alpha at which later calls start; none for one call only.
        gamma: Weight of R1 + R2, at least 0.
        mismatch: Weight of real images under a wrong label, at least 0.
        steps: Optimizer steps of the whole run, in whose second half `mismatch` falls to 0; None keeps it as it is.
        renoised: Share of rows that are later calls on images of earlier ones.
        calls: Last call that is trained on images of earlier ones, at least 2. These rows are split evenly over the
            second call, which starts at `levels`, and the third ... last, which start where the sampler `consistency`
            starts them.
        noised: Share of rows that are later calls on real images.
        anchor: Weight of the distance between these and the images they come from.
        **kwargs: Other arguments of `DDPM`.

    Raises:
        ValueError: for an argument out of range, or a network without a label.
    """

    def __init__(
        self,
        network,
        diffusion,
        *,
        levels=(0.4, 0.9, 2.0),
        gamma: float = 0.1,
        mismatch: float = 1.0,
        steps: int | None = None,
        renoised: float = 0.25,
        calls: int = 2,
        noised: float = 0.125,
        anchor: float = 0.1,
        p_uncond=0.0,
        **kwargs,
    ):
        super().__init__(network, diffusion, p_uncond=p_uncond, steps=steps, **kwargs)
        if set(self.conditions) != {"label"} or self.conditions["label"].num_classes < 2:
            raise ValueError("Adversarial tuning needs a network whose only condition is a label of 2 classes or more")
        if min(gamma, mismatch, renoised, noised, anchor) < 0 or renoised + noised > 1:
            raise ValueError(
                "`gamma`, `mismatch`, `renoised`, `noised` and `anchor` must be at least 0, and `renoised` + `noised` "
                f"at most 1. Received: {gamma}, {mismatch}, {renoised}, {noised}, {anchor}"
            )
        if not isinstance(calls, int) or calls < 2:
            raise ValueError(f"`calls` must be an integer of at least 2. Received: {calls}")
        self.levels, self.gamma, self.mismatch, self.anchor = tuple(levels), gamma, mismatch, anchor
        self.renoised, self.noised, self.calls = renoised, noised, calls
        self.again = samplers.time_of_level(samplers.LATER, diffusion.schedule)  # where the sampler's later calls start
        self.later = np.asarray([samplers.time_of_level(a, diffusion.schedule) for a in self.levels], "float32")
        if not self.later.size:  # one call only
            self.renoised = self.noised = 0.0
        again = [self.again] if self.renoised and calls > 2 else []
        self.starts = np.unique(np.array([1.0, *self.later, *again], "float32"))[::-1]  # the first call's is the first
        self.num_classes = self.conditions["label"].num_classes
        self.discriminator = Discriminator(
            network.image_shape, self.num_classes, num_starts=len(self.starts), name="discriminator", dtype="float32"
        )
        self.discriminator.build()
        self.trackers = {name: keras.metrics.Mean(name=name) for name in TRACKED}

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        return list(self.trackers.values())

    def call(
        self, x_0: Tensor, condition: Mapping[str, Tensor], training: bool | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Fakes (B, H, W, C) for labels, the first `renoised` + `noised` of them later calls; how far those of real
        images are from them; and the times (B,) at which the calls began.
        """
        label, B = as_dict(condition)["label"], ops.shape(x_0)[0]
        z = keras.random.normal(ops.shape(x_0), seed=self.seeds)
        own, real = (_share(B, share) for share in (self.renoised, self.noised))
        t = ops.ones((B,))
        if self.later.size:
            start = ops.concatenate([self.drawn(z[:own], label[:own]), x_0[own : own + real]], axis=0)
            row = ops.arange(own + real)
            later = ops.take(ops.convert_to_tensor(self.later), row % len(self.later))
            later = ops.where(row < self.reached(own, 2), self.again, later)
            eps = keras.random.normal(ops.shape(start), seed=self.seeds)
            z = ops.concatenate([self.diffusion.add_noise(start, eps, later), z[own + real :]], axis=0)
            t = ops.concatenate([later, t[own + real :]], axis=0)
        fakes = denoised(self.network, self.diffusion, z, {"label": label}, t, training=training)
        return fakes, pseudo_huber(fakes[own : own + real] - x_0[own : own + real]), t

    def drawn(self, z: Tensor, label: Tensor) -> Tensor:
        """Images (N, H, W, C) of `calls` - 1 ... 1 calls of the sampler, in equal parts, without a gradient."""
        images = ops.clip(self.first(self.network, z, label), -1.0, 1.0)
        for call in range(2, self.calls):
            n = self.reached(ops.shape(z)[0], call)
            eps = keras.random.normal(ops.shape(images[:n]), seed=self.seeds)
            t = ops.full_like(eps[:, 0, 0, 0], self.again)
            x_t = self.diffusion.add_noise(images[:n], eps, t)
            better = denoised(self.network, self.diffusion, x_t, {"label": label[:n]}, t)
            images = ops.concatenate([ops.clip(better, -1.0, 1.0), images[n:]], axis=0)
        return ops.stop_gradient(images)

    def reached(self, rows, call: int) -> Any:
        """How many of the rows of `drawn` have at least this many calls behind them: they come first."""
        return rows * (self.calls - call) // (self.calls - 1)

    def first(self, network, z, label) -> Tensor:
        """One call from noise."""
        return denoised(network, self.diffusion, z, {"label": label}, ops.ones_like(z[:, 0, 0, 0]))

    def learn(self, data) -> dict[str, Tensor]:
        x_0, label = data[0], ops.cast(as_dict(data[1])["label"], "int32")
        gradients, logs = self.gradients(lambda: self.game(x_0, label), self.trainable_variables)
        self.optimizer.apply(gradients, self.trainable_variables)
        self.update_ema(self.optimizer.iterations)
        return self.tracked(logs)

    def game(self, x_0, label) -> tuple[Tensor, dict[str, Tensor]]:
        """A loss whose gradient moves each network by its own, and the logs.

        The generator's gradient goes through grad D(fake), which R2 computes anyway: the product with the fakes stands
        for the loss. So each network is run once.
        """
        fakes, distances, t = self(x_0, label, training=True)
        start = self.start(t)
        shown = ops.clip(fakes, -1.0, 1.0)
        twice = {"label": ops.concatenate([label, label]), "start": ops.concatenate([start, start])}
        slope, scores, features = input_gradient(
            functools.partial(self.scores, **twice),
            ops.concatenate([x_0, ops.stop_gradient(shown)]),
        )
        real, fake = ops.split(scores, 2)
        margin, penalty = real - fake, 2.0 * ops.mean(_squared(slope))
        wrong = (
            label + keras.random.randint(ops.shape(label), 1, self.num_classes, seed=self.seeds)
        ) % self.num_classes
        named = real - self.discriminator.score(ops.split(features, 2)[0], wrong, start)
        theirs = ops.mean(ops.softplus(-margin) + self.wrong_label() * ops.softplus(-named))
        theirs = theirs + 0.5 * self.gamma * penalty
        pull = ops.reshape(ops.sigmoid(margin), (-1, 1, 1, 1)) * ops.split(slope, 2)[1]
        anchor = ops.sum(distances) / ops.cast(ops.shape(x_0)[0], "float32")
        ours = OVERSHOOT * ops.mean(_squared(fakes - shown)) + self.anchor * anchor
        ours = ours - ops.mean(ops.sum(shown * ops.stop_gradient(pull), axis=(1, 2, 3)))
        values = (ops.mean(ops.softplus(margin)), theirs, ops.mean(margin), penalty, anchor)
        return self.optimizer.scale_loss(ours + theirs), dict(zip(TRACKED, values))

    def wrong_label(self) -> Any:
        """The weight of real images under a wrong label, at this step."""
        if self.steps is None:
            return self.mismatch
        return self.mismatch * ops.clip(2.0 * (1.0 - self.done()), 0.0, 1.0)

    def start(self, t) -> Tensor:
        """The number, among `starts`, of each time (B,) at which a call began."""
        return ops.argmin(ops.abs(t[:, None] - self.starts), axis=-1)

    def scores(self, images, label, start) -> Any:
        """D of images, and their features."""
        features = self.discriminator.features(images)
        return self.discriminator.score(features, label, start), features

    def measure(self, data) -> dict[str, Tensor]:
        """The averaged network's loss and margin on held-out images, by one call each."""
        given = data[0] if isinstance(data[0], tuple | list) else (*data[:2], None, None)
        x_0, condition, _, eps, *weight = given  # the weight of each row, on several devices
        label = ops.cast(as_dict(condition)["label"], "int32")
        eps = keras.random.normal(ops.shape(x_0), seed=self.seeds) if eps is None else eps
        fakes = ops.clip(self.first(self.ema_network, ops.cast(eps, "float32"), label), -1.0, 1.0)
        margin = self.discriminator(x_0, label) - self.discriminator(fakes, label)
        share = weight[0] / ops.sum(weight[0]) if weight else 1.0 / ops.cast(ops.shape(x_0)[0], "float32")
        return self.tracked({"loss": ops.sum(share * ops.softplus(margin)), "margin": ops.sum(share * margin)})

    def tracked(self, values) -> dict[str, Tensor]:
        """The logs, with these values in their means."""
        for name, value in values.items():
            self.trackers[name].update_state(value)
        return {name: self.trackers[name].result() for name in values}

    def get_config(self) -> dict:
        names = ("levels", "gamma", "mismatch", "renoised", "calls", "noised", "anchor")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


def _squared(images):
    """|x|^2 of each image: (B, H, W, C) -> (B,)."""
    return ops.sum(ops.square(images), axis=(1, 2, 3))


def _share(B, share):
    """A share of the rows: an int, or a tensor where the batch's size is one."""
    return int(B * share) if isinstance(B, int) else ops.cast(ops.cast(B, "float32") * share, "int32")
