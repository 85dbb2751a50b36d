"""What is inside a model file, operation by operation?"""

from dataclasses import dataclass


@dataclass(frozen=True)
class ModelLayer:
    """One operation of a file: the bytes of its constants, the number format that it computes in, what it makes."""

    name: str
    operation: str
    weight_bytes: int
    precision: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class FileLayers:
    """The operations of one file in their order, or `reason` why they are not known."""

    artifact: str
    layers: tuple[ModelLayer, ...]
    reason: str | None
