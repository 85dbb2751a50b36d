"""Are a node's attributes read and left out by name?"""

from onnx import helper

from edgepack.onnx_models.nodes import pads_as_told, remove_attributes, whole_numbers


def test_lists_of_whole_numbers_are_read_by_name() -> None:
    node = helper.make_node("Conv", ["x", "w"], ["y"], strides=[2, 3], group=1)
    assert whole_numbers(node, "strides") == [2, 3]
    assert whole_numbers(node, "pads") == []


def test_padding_that_is_worked_out_is_known() -> None:
    kinds = {"NOTSET": True, "VALID": True, "SAME_UPPER": False, "SAME_LOWER": False}
    for kind, told in kinds.items():
        assert pads_as_told(helper.make_node("Conv", ["x", "w"], ["y"], auto_pad=kind)) is told
    assert pads_as_told(helper.make_node("Conv", ["x", "w"], ["y"]))


def test_attributes_are_left_out_by_name() -> None:
    node = helper.make_node("Conv", ["x", "w"], ["y"], strides=[2, 2], pads=[1, 1, 1, 1], auto_pad="NOTSET")
    remove_attributes(node, "pads", "auto_pad", "dilations")
    assert [attribute.name for attribute in node.attribute] == ["strides"]
