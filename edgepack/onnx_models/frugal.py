"""How is tf2onnx kept from holding a model's weights dozens of times?"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

COPIES = "TF2ONNX_CATCH_ERRORS"
"""tf2onnx 1.17 (``convert.py``) copies the graph before each optimisation unless this is set, to whatever value."""


@contextmanager
def frugal() -> Iterator[None]:
    """Within it, tf2onnx holds weights a few times: every file of a ResNet50 (224x224) within 2.8 GB; 7.9 GB else.

    An optimisation of tf2onnx that fails is an error within it: there is no copy of the graph to go back to.
    """
    from tf2onnx.graph import Node

    original = Node.update_proto

    def update_proto(node: Any, *args: Any, **kwargs: Any) -> None:
        """Write a node's attributes into a new message.

        What is replaced inside a protobuf message stays allocated as long as the message, and each of some twenty
        optimisations replaces the attributes of every node, weights among them (tf2onnx 1.17, ``graph.py``).
        """
        node._op = _without_attributes(node._op)
        original(node, *args, **kwargs)

    with mock.patch.dict(os.environ, {COPIES: "FALSE"}), mock.patch.object(Node, "update_proto", update_proto):
        yield


def _without_attributes(op: Any) -> Any:
    """The same operation in a message of its own, attributes left out."""
    from onnx import NodeProto

    bare = NodeProto()
    for descriptor, value in op.ListFields():
        if descriptor.name in ("input", "output"):
            getattr(bare, descriptor.name).extend(value)
        elif descriptor.name != "attribute":
            setattr(bare, descriptor.name, value)
    return bare
