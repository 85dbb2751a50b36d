"""What does a model's tensor look like, and how do real numbers become its integers and back?"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

NCHW = "nchw"


@dataclass(frozen=True)
class TensorSpec:
    """One input or output tensor of a model.

    Attributes:
        name: The tensor's name in the file.
        shape: Sizes with the batch axis first; -1 is a size that the caller chooses.
        dtype: numpy's name of the element type, e.g. ``"int8"`` or ``"float32"``.
        scale: Real value of one integer step, or None for a tensor that is not quantised.
        zero_point: The integer that stands for 0.0, or None for a tensor that is not quantised.
        layout: ``"nchw"`` for an input whose channels stand behind the batch axis: samples, which have their channels
            last, are turned before they enter it. None = as samples are.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    scale: float | None = None
    zero_point: int | None = None
    layout: str | None = None

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "TensorSpec":
        """Read the form that ``to_dict`` writes.

        Raises:
            ValueError: A field is missing or of the wrong kind.
        """
        try:
            scale, zero_point, layout = (values.get(key) for key in ("scale", "zero_point", "layout"))
            if layout not in (None, NCHW):
                raise ValueError(f"layout {layout!r}")
            return cls(
                name=str(values["name"]),
                shape=tuple(int(size) for size in values["shape"]),
                dtype=np.dtype(values["dtype"]).name,
                scale=None if scale is None else float(scale),
                zero_point=None if zero_point is None else int(zero_point),
                layout=layout,
            )
        except (KeyError, TypeError, ValueError, OverflowError, AttributeError) as error:
            raise ValueError(
                f"not a tensor: {values!r}; expected name, shape, dtype, scale and zero_point ({error!r})"
            ) from error

    def to_dict(self) -> dict[str, Any]:
        """The tensor as JSON values, in the form of the manifest; a layout is told only where there is one."""
        values = {**asdict(self), "shape": list(self.shape)}
        return {key: value for key, value in values.items() if key != "layout" or value is not None}

    @property
    def sample_shape(self) -> tuple[int, ...]:
        """The shape of what ``quantize`` takes, batch axis first, channels last."""
        return self.shape if self.layout is None else (self.shape[0], *self.shape[2:], self.shape[1])

    @property
    def quantised(self) -> bool:
        """Whether the tensor holds integers that stand for real numbers."""
        return self.scale is not None


def quantize(x: NDArray[np.floating[Any]], spec: TensorSpec) -> NDArray[Any]:
    """Turn samples into what a tensor holds: ``clip(round(x / scale) + zero_point)``, in its layout.

    Halves are rounded to even, as ONNX's QuantizeLinear and XNNPACK do. A tensor without a scale gets the
    numbers in its own dtype, unchanged in value.

    Args:
        x: Real numbers of any shape, batch axis first and channels last; infinities end at the edges of the range.
        spec: The tensor that will take them.

    Returns:
        An array of the same shape, but for the layout, and of ``spec.dtype``, contiguous in C order.

    Raises:
        ValueError: A number that is not a number cannot become an integer.
    """
    dtype = np.dtype(spec.dtype)
    if spec.layout == NCHW:
        x = np.moveaxis(x, -1, 1)
    if spec.scale is None:
        return np.ascontiguousarray(x, dtype=dtype)
    steps = np.rint(np.asarray(x, dtype=np.float32) / np.float32(spec.scale))
    if np.isnan(steps).any():
        raise ValueError(
            f"the data for tensor {spec.name!r} holds NaN; expected numbers, for it is quantised to {dtype}"
        )
    limits = np.iinfo(dtype)
    # float64 holds every int32 exactly, so the sum and the clip do not round a second time.
    shifted = np.clip(steps.astype(np.float64) + (spec.zero_point or 0), limits.min, limits.max)
    return np.ascontiguousarray(shifted.astype(dtype))


def dequantize(q: NDArray[Any], spec: TensorSpec) -> NDArray[np.float32]:
    """Turn what a tensor holds into real numbers: ``(q - zero_point) * scale``.

    Args:
        q: Values of any shape, as the model gave them.
        spec: The tensor that they came from.

    Returns:
        float32 of the same shape; a tensor without a scale is only converted.
    """
    if spec.scale is None:
        return np.asarray(q, dtype=np.float32)
    centred = np.asarray(q).astype(np.int64) - (spec.zero_point or 0)
    return centred.astype(np.float32) * np.float32(spec.scale)
