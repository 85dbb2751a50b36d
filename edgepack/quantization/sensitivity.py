"""Which part of a model suffers most from 8 bits, and which layers must compute in float to spare it that?

Each kernel and each tensor is quantised alone while everything else stays in float: the noise in the model's output is
what it caused.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from edgepack.quantization.plan import HANDS_ON
from edgepack.quantization.ranges import activation_quantizers
from edgepack.quantization.switches import switched

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

PREFIX = "quant_"
NO_NOISE = 1e-20


@dataclass(frozen=True)
class Sensitivity:
    """What quantising one kernel or one tensor does to the output of its model.

    Attributes:
        part: ``kernel`` of the layer, or ``output``: the tensor that it makes.
        layer: Name of the layer, without the prefix of fake quantisation.
        noise: Power of the noise in the model's output over the power of that output.
        needs: Names of the layers that must compute in float so that it is not quantised: for a tensor its maker and
            all its readers.
        weights: Numbers in the kernels of these: in float each takes three bytes more.
    """

    part: Literal["kernel", "output"]
    layer: str
    noise: float
    needs: tuple[str, ...]
    weights: int

    @property
    def sqnr_db(self) -> float:
        """Signal to quantisation noise, decibels; 200 stands for no noise at all."""
        return -10 * math.log10(max(self.noise, NO_NOISE))


def rank(model: Any, samples: "NDArray[np.float32]", *, batch_size: int = 64) -> list[Sensitivity]:
    """Rank kernels and tensors by the noise that quantising them causes, worst first.

    Inputs of the model are left out: an int8 file takes integers.

    Args:
        model: Fake-quantised tf_keras model with its ranges set; stays as it is.
        samples: float32 model inputs of shape (n, ...).
        batch_size: Samples per forward pass.
    """
    import numpy as np

    def outputs() -> "NDArray[np.float64]":
        parts = [
            np.asarray(model(samples[start : start + batch_size], training=False), np.float64)
            for start in range(0, len(samples), batch_size)
        ]
        return np.concatenate(parts)

    layers = _Layers(model)
    kernels = [(layer, quantizer) for layer in model.layers for _, quantizer, _ in getattr(layer, "_weight_vars", ())]
    tensors = [(layer, quantizer) for layer in layers.inside for quantizer, _ in activation_quantizers(layer)]
    found = []
    with switched([quantizer for _, quantizer in kernels + tensors], off=True):
        reference = outputs()
        power = float(np.sum(reference**2)) or 1.0
        for layer, quantizer in kernels + tensors:
            with switched([quantizer], off=False):
                noise = float(np.sum((outputs() - reference) ** 2)) / power
            is_kernel = (layer, quantizer) in kernels
            needs = (layer.name,) if is_kernel else layers.around(layer)
            found.append(
                Sensitivity(
                    part="kernel" if is_kernel else "output",
                    layer=layer.name.removeprefix(PREFIX),
                    noise=noise,
                    needs=tuple(name.removeprefix(PREFIX) for name in needs),
                    weights=sum(layers.weights(name) for name in needs),
                )
            )
    return sorted(found, key=lambda item: (-item.noise, item.weights, item.layer, item.part))


class _Layers:
    """The layers of a fake-quantised model and who reads whom."""

    def __init__(self, model: Any) -> None:
        self._by_name = {layer.name: layer for layer in model.layers}
        self._before: dict[str, list[str]] = {name: [] for name in self._by_name}
        self._behind: dict[str, list[str]] = {name: [] for name in self._by_name}
        for layer in model.layers:
            for node in layer.inbound_nodes:
                for source in node.parent_nodes:
                    if source.layer.name in self._behind:
                        self._behind[source.layer.name].append(layer.name)
                        self._before[layer.name].append(source.layer.name)
        self.inside = [layer for layer in model.layers if self._behind[layer.name] and self._before[layer.name]]
        """Layers that are no ends of the model."""
        self.inside = [layer for layer in self.inside if type(layer).__name__ != "QuantizeLayer"]

    def around(self, layer: Any) -> tuple[str, ...]:
        """Who makes the tensor behind a layer, without what is only fused into that, and who reads it."""
        return tuple(dict.fromkeys([*self._makers(layer.name), *self._readers(layer.name)]))

    def weights(self, name: str) -> int:
        """Numbers in a layer's kernel."""
        held = getattr(self._by_name[name], "_weight_vars", ())
        return sum(int(weight.shape.num_elements()) for weight, _, _ in held)

    def _makers(self, name: str) -> Iterator[str]:
        before = self._before[name]
        source = before[0] if len(before) == 1 else None
        alone = source is not None and len(self._behind[source]) == 1 and not self._hands_on(source)
        if source is not None and alone and not activation_quantizers(self._by_name[source]):
            yield from self._makers(source)
        else:
            yield name

    def _readers(self, name: str) -> Iterator[str]:
        for reader in self._behind[name]:
            yield reader
            if self._hands_on(reader):
                yield from self._readers(reader)

    def _hands_on(self, name: str) -> bool:
        layer = self._by_name[name]
        return type(getattr(layer, "layer", layer)).__name__ in HANDS_ON
