"""What changes the weights in each step, at which rate and with which momentum?"""

from collections.abc import Mapping, Sequence
from typing import Any

from edgepack.training.config import Training
from edgepack.training.rates import with_factors


def make(
    training: Training,
    rates: Sequence[float],
    momenta: Sequence[float] | None = None,
    factors: Mapping[str, float] | None = None,
) -> Any:
    """The recipe's optimizer with a learning rate, and perhaps a momentum, for each step.

    Both are looked up by the optimizer's own count of steps inside the compiled step: they are right for every step
    when several run before Python is asked again, and after training is resumed.

    Args:
        training: Optimizer, weight decay, clipping, precision.
        rates: Learning rate of each step; the last one holds for all later steps.
        momenta: Momentum of each step (Adam: beta_1); None = the optimizer's own.
        factors: Of the learning rate, as `rates.by_variable` gives them; None = 1 for all.
    """
    import tf_keras

    kind = tf_keras.optimizers.SGD if training.optimizer == "sgd" else tf_keras.optimizers.Adam
    options = {"momentum": 0.9, "nesterov": True} if training.optimizer == "sgd" else {}
    if momenta is not None:
        kind = _with_momenta(kind, "momentum" if training.optimizer == "sgd" else "beta_1", momenta)
    if factors is not None:
        kind = with_factors(kind, factors)
    optimizer = kind(_schedule(rates), global_clipnorm=training.clip_norm, **options)
    if training.weight_decay:
        optimizer.weight_decay = training.weight_decay
        optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    if training.precision == "mixed_float16":
        # Gradients below 2^-24 would be 0 in float16: the loss is scaled up before them (1710.03740, section 3.2).
        return tf_keras.mixed_precision.LossScaleOptimizer(optimizer)
    return optimizer


def _schedule(rates: Sequence[float]) -> Any:
    import tensorflow as tf
    import tf_keras

    class Rates(tf_keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc] # no type information
        def __call__(self, step: Any) -> Any:
            return tf.gather(tf.constant(rates, tf.float32), tf.minimum(step, len(rates) - 1))

        def get_config(self) -> dict[str, Any]:
            return {"rates": list(rates)}

    return Rates()


def _with_momenta(kind: Any, name: str, momenta: Sequence[float]) -> Any:
    """A subclass of an optimizer whose hyperparameter ``name`` depends on the step."""
    import tensorflow as tf

    def now(self: Any) -> Any:
        return tf.gather(tf.constant(momenta, tf.float32), tf.minimum(self.iterations, len(momenta) - 1))

    def ignore(self: Any, value: Any) -> None:
        """The constructor sets what the course replaces."""

    return type(kind.__name__, (kind,), {name: property(now, ignore)})
