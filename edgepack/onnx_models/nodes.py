"""What do the attributes of a node say?"""

from typing import Any


def whole_numbers(node: Any, name: str) -> list[int]:
    """An attribute that is a list of whole numbers; empty where the node does not have it."""
    return next((list(attribute.ints) for attribute in node.attribute if attribute.name == name), [])


def pads_as_told(node: Any) -> bool:
    """Whether a convolution or pooling pads by its ``pads`` alone, and not by what ``auto_pad`` works out."""
    return next((a.s for a in node.attribute if a.name == "auto_pad"), b"NOTSET") in (b"NOTSET", b"VALID")


def remove_attributes(node: Any, *names: str) -> None:
    """Leave a node's attributes of these names out, in place."""
    for attribute in [attribute for attribute in node.attribute if attribute.name in names]:
        node.attribute.remove(attribute)
