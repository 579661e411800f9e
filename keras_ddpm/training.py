"""Training: DDPM's algorithm 1 as a Keras model with its own train step.

    repeat
        x_0 ~ data,  t ~ Uniform{0 ... T-1},  eps ~ N(0, I),  label dropped with probability p_uncond
        descend on  weight_t | network(alpha_t x_0 + sigma_t eps, t, label) - target |^2
        ema <- d ema + (1 - d) weights

Reference: Ho et al., arXiv 2006.11239, algorithm 1; Ho and Salimans (label dropout), arXiv 2207.12598, algorithm 1.
"""

import keras
import numpy as np
from keras import ops

QUARTERS = 4


class DDPM(keras.Model):
    """Trains a network; keeps an exponential moving average of its weights beside it.

    Args:
        network: A `UNet`, or any Keras model called as (x_t, t, label).
        diffusion: `Diffusion`.
        num_classes: The null label, which stands for "no class".
        p_uncond: Probability of dropping a label, in [0, 1].
        ema_decay: Upper limit of the average's decay, in [0, 1); 0 keeps no average. The decay of step n is
            min(ema_decay, 1 - (1 + n)^(-2/3)), so that short runs are not averaged with their beginning.
        seed: Seed of t, eps and the dropped labels.

    Call arguments:
        x_0: (B, H, W, C) in [-1, 1].
        label: (B,) integers.

    Returns:
        The loss of each image (B,) and its t (B,).

    Example:
        >>> model = DDPM(network, diffusion, num_classes=10)
        >>> model.compile(optimizer="adam")
        >>> model.fit(Batches(images, labels, batch_size=128), epochs=50)
    """

    # Deviation: no `get_config`. A run is kept as configuration and weights (presets.py), not as a pickled object.

    def __init__(self, network, diffusion, *, num_classes, p_uncond=0.1, ema_decay=0.9995, seed=0, **kwargs):
        super().__init__(dtype="float32", **kwargs)  # the network alone is in mixed precision
        if not 0 <= p_uncond <= 1 or not 0 <= ema_decay < 1:
            raise ValueError(f"`p_uncond` must be in [0, 1], `ema_decay` in [0, 1). Received: {p_uncond}, {ema_decay}")
        self.network, self.diffusion, self.null = network, diffusion, num_classes
        self.p_uncond, self.ema_decay = p_uncond, ema_decay
        self.seeds = keras.random.SeedGenerator(seed)
        self.ema_network = type(network).from_config({**network.get_config(), "name": "ema"})
        for model in (self.network, self.ema_network):
            if not model.built:
                model.build()
        self.ema_network.set_weights(network.get_weights())
        self.ema_network.trainable = False
        self.loss_tracker = keras.metrics.Mean(name="loss")
        self.quarter_trackers = [keras.metrics.Mean(name=f"loss_q{q + 1}") for q in range(QUARTERS)]
        self.built = True

    @property
    def metrics(self):
        return [self.loss_tracker, *self.quarter_trackers]

    def call(self, x_0, label, training=None):
        B = ops.shape(x_0)[0]
        t = self.draw_t(B)
        eps = keras.random.normal(ops.shape(x_0), seed=self.seeds)
        dropped = keras.random.uniform((B,), seed=self.seeds) < self.p_uncond
        label = ops.where(dropped, self.null, label)
        return self.losses(self.network, x_0, label, t, eps, training=training), t

    def losses(self, network, x_0, label, t, eps, *, training=False):
        """The loss of each image (B,): weight_t times the mean squared error of the prediction."""
        predicted = network(self.diffusion.add_noise(x_0, eps, t), t, label, training=training)
        error = ops.cast(predicted, "float32") - self.diffusion.target(x_0, eps, t)  # (B, H, W, C)
        return self.diffusion.weight(t) * ops.mean(ops.square(error), axis=(1, 2, 3))

    def draw_t(self, B):
        """B times, each uniform on 0 ... T-1, spread evenly over a batch.

        Deviation: DDPM draws them independently; one shared offset makes the loss far less noisy
        (Kingma et al., "Variational Diffusion Models", arXiv 2107.00630, appendix I.1).
        """
        offset = keras.random.uniform((1,), seed=self.seeds)
        u = (ops.arange(B, dtype="float32") + offset) / ops.cast(B, "float32")  # (B,) in [0, 1)
        T = self.diffusion.T
        return ops.minimum(ops.cast(u * T, "int32"), T - 1)

    def update_ema(self, step):
        """Move the average towards the weights, after optimizer step number `step`."""
        decay = ops.minimum(self.ema_decay, 1.0 - (1.0 + ops.cast(step, "float32")) ** (-2.0 / 3.0))
        for average, weight in zip(self.ema_network.weights, self.network.weights):
            average.assign(decay * average + (1.0 - decay) * weight)

    def update_metrics(self, losses, t):
        """Mean loss, and the mean in each quarter of the noise levels (q1 the least noisy)."""
        self.loss_tracker.update_state(losses)
        quarter = t * QUARTERS // self.diffusion.T  # (B,)
        for q, tracker in enumerate(self.quarter_trackers):
            tracker.update_state(losses, sample_weight=ops.cast(quarter == q, "float32"))
        return {metric.name: metric.result() for metric in self.metrics}

    # The train step, once for each backend; both descend on `call`.

    def train_step(self, *args):
        return {"tensorflow": self._train_step_tensorflow, "jax": self._train_step_jax}[keras.backend.backend()](*args)

    def _train_step_tensorflow(self, data):
        import tensorflow as tf

        x_0, label = data
        with tf.GradientTape() as tape:
            losses, t = self(x_0, label, training=True)
            loss = self.optimizer.scale_loss(ops.mean(losses))
        gradients = tape.gradient(loss, self.trainable_variables)
        self.optimizer.apply(gradients, self.trainable_variables)
        self.update_ema(self.optimizer.iterations)
        return self.update_metrics(losses, t)

    def _train_step_jax(self, state, data):
        import jax

        trainable, non_trainable, optimizer, metrics = state

        def loss(trainable):
            (losses, t), updated = self.stateless_call(trainable, non_trainable, *data, training=True)
            return self.optimizer.scale_loss(ops.mean(losses)), (losses, t, updated)

        gradients, (losses, t, non_trainable) = jax.grad(loss, has_aux=True)(trainable)
        trainable, optimizer = self.optimizer.stateless_apply(optimizer, gradients, trainable)
        state = (trainable, non_trainable, optimizer, metrics)
        with self._stateless(state) as scope:
            self.update_ema(self.optimizer.iterations)
            logs = self.update_metrics(losses, t)
        return logs, self._state_after(scope)

    # Validation: the averaged network on given (t, eps), so that only the model changes from epoch to epoch.

    def test_step(self, *args):
        if keras.backend.backend() == "tensorflow":
            return self._evaluate(*args)
        state, data = args
        with self._stateless((state[0], state[1], [], state[2])) as scope:
            logs = self._evaluate(data)
        trainable, non_trainable, _, metrics = self._state_after(scope)
        return logs, (trainable, non_trainable, metrics)

    def _evaluate(self, data):
        (x_0, label, t, eps), *_ = data
        return self.update_metrics(self.losses(self.ema_network, x_0, label, t, eps), t)

    def _variables(self):
        optimizer = self.optimizer.variables if self.optimizer else []
        return self.trainable_variables, self.non_trainable_variables, optimizer, self.metrics_variables

    def _stateless(self, state):
        pairs = [pair for group in zip(self._variables(), state) for pair in zip(*group)]
        return keras.StatelessScope(state_mapping=pairs)

    def _state_after(self, scope):
        def value(variable):
            updated = scope.get_current_value(variable)
            return variable.value if updated is None else updated

        return tuple([value(variable) for variable in group] for group in self._variables())


def validation_set(images, labels, T, *, seed=0, epoch=0):
    """Images with times and noise that stay the same from epoch to epoch, as `fit` takes them.

    So a change of the validation loss is a change of the model.

    Args:
        images: float (N, H, W, C) in [-1, 1].
        labels: int (N,).
        T: Number of noise levels.
        seed: Non-negative integer.
        epoch: The epoch to start with, which changes nothing here (see `FreshValidation`).

    Returns:
        ((x_0, label, t, eps),) with t int32 (N,), each level as often as any other up to one, and eps float32.
    """
    random = np.random.default_rng(seed)
    t = random.permutation(np.arange(len(images)) * T // len(images)).astype("int32")
    return ((images, labels, t, random.standard_normal(images.shape, dtype="float32")),)


class FreshValidation(keras.utils.PyDataset):
    """`validation_set` with new times and noise in each epoch: its loss changes even where the model does not.

    Args:
        images, labels, T, seed: See `validation_set`; epoch e draws with seed + 2 e + 1, as for the shipped `report`.
        epoch: The epoch to start with, so that a resumed run draws what an unbroken one would have drawn.
        batch_size: Images a batch.
    """

    def __init__(self, images, labels, T, *, batch_size=512, seed=0, epoch=0):
        super().__init__()
        self.data, self.batch_size, self.seed, self.epoch = (images, labels, T), batch_size, seed, epoch
        self.draw()  # Keras looks at the first batches before an epoch begins

    def __len__(self):
        return -(-len(self.data[0]) // self.batch_size)

    def __getitem__(self, i):
        rows = slice(i * self.batch_size, (i + 1) * self.batch_size)
        return (tuple(array[rows] for array in self.arrays),)

    def on_epoch_begin(self):
        self.draw()
        self.epoch += 1

    def draw(self):
        """New times and noise, those of the coming epoch."""
        (self.arrays,) = validation_set(*self.data, seed=self.seed + 2 * self.epoch + 1)


VALIDATION = {"fixed": validation_set, "fresh": FreshValidation}


def use_xla(jit):
    """Whether to compile with XLA: "on", "off", or "auto": wherever there is a GPU, and always under JAX.

    On a CPU TensorFlow's oneDNN kernels in bfloat16 were faster than XLA for the shapes measured
    (`benchmarks/training.py`).
    """
    if jit != "auto":
        return jit == "on"
    if keras.backend.backend() == "jax":
        return True
    import tensorflow as tf

    return bool(tf.config.list_physical_devices("GPU"))
