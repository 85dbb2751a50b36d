"""Does a conversion give back the memory that it no longer needs?"""

from pathlib import Path

import numpy as np
import pytest

from edgepack.onnx_models.frugal import frugal

MIB = 2**20


def resident() -> int:
    """Bytes of this process that are in memory."""
    status = Path("/proc/self/status").read_text()
    return 1024 * int(status.partition("VmRSS:")[2].split()[0])


def constant(size: int) -> object:
    from tf2onnx.graph import Graph

    graph = Graph([], output_shapes={}, dtypes={}, opset=17)
    return graph.make_const("weights", np.ones(size, np.uint8))


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads Linux's /proc")
def test_attributes_that_are_replaced_do_not_pile_up() -> None:
    node = constant(8 * MIB)
    with frugal():
        node.update_proto()
        before = resident()
        for _ in range(30):  # 240 MiB
            node.update_proto()
        grown = resident() - before
    assert grown < 60 * MIB


def test_a_node_is_written_as_tf2onnx_writes_it() -> None:
    from onnx import helper
    from tf2onnx.graph import Graph

    plain, ours = (
        Graph([], output_shapes={}, dtypes={}, opset=17).make_node(
            "LeakyRelu", ["x"], attr={"alpha": 0.25}, name="leak", outputs=["y"], skip_conversion=True
        )
        for _ in range(2)
    )
    plain.update_proto()
    with frugal():
        ours.update_proto()
    assert ours.op == plain.op
    assert list(ours.op.attribute) == [helper.make_attribute("alpha", 0.25)]


def test_everything_is_as_before_behind_it() -> None:
    from tf2onnx.graph import Node

    before = Node.update_proto
    with frugal():
        assert Node.update_proto is not before
    assert Node.update_proto is before
