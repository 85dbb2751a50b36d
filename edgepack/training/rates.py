"""How does each layer learn at a rate of its own?"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any


def by_variable(model: Any, factors: Mapping[str, float]) -> dict[str, float]:
    """Factors of the learning rate for `with_factors`, from factors by the names of a model's layers."""
    owned = ((model.get_layer(name), factor) for name, factor in factors.items())
    return {variable._unique_id: factor for layer, factor in owned for variable in layer.trainable_weights}


def with_factors(kind: Any, factors: Mapping[str, float]) -> Any:
    """A subclass of an optimizer in which the learning rate of each variable is multiplied by a factor.

    The factor is on the rate and not on the gradient: Adam divides by the size of the gradients, so that a smaller
    gradient moves a weight as far as before (1412.6980, section 2.1). Decoupled weight decay is multiplied by the rate
    (1711.05101, algorithm 2), so that it gets the same factor. The rate that others see is the optimizer's own.

    Args:
        kind: A class of `tf_keras.optimizers` that reads ``self.learning_rate`` in ``update_step``.
        factors: By the key under which Keras' optimizers keep what belongs to a variable, on whatever device; 1 for
            variables that are not there.
    """

    class WithFactors(kind):  # type: ignore[misc] # tf_keras has no type information
        _factor: float | None = None

        @property
        def learning_rate(self) -> Any:
            rate = super().learning_rate
            return rate if self._factor is None else rate * self._factor

        def update_step(self, gradient: Any, variable: Any) -> Any:
            with self._at_the_rate_of(variable):
                return super().update_step(gradient, variable)

        def _apply_weight_decay(self, variables: Sequence[Any]) -> None:
            for variable in variables:
                with self._at_the_rate_of(variable):
                    super()._apply_weight_decay([variable])

        @contextmanager
        def _at_the_rate_of(self, variable: Any) -> Iterator[None]:
            self._factor = factors.get(self._var_key(variable), 1.0)
            try:
                yield
            finally:
                self._factor = None

    return WithFactors
