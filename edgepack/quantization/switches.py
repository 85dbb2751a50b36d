"""How is the quantisation of some kernels and tensors of a model left out for a while?"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from edgepack.quantization.ranges import activation_quantizers


def quantizers(layer: Any) -> list[Any]:
    """All quantizers of a layer of a fake-quantised model: of its kernel, of its output."""
    kernels = [quantizer for _, quantizer, _ in getattr(layer, "_weight_vars", ())]
    return kernels + [quantizer for quantizer, _ in activation_quantizers(layer)]


@contextmanager
def switched(held: Iterable[Any], *, off: bool) -> Iterator[None]:
    """While open, these quantizers hand tensors on, or do again what they do; it takes effect on eager calls."""
    own = list(held)
    for quantizer in own:
        quantizer.off = off
    try:
        yield
    finally:
        for quantizer in own:
            quantizer.off = not off
