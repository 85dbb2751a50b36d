"""How does a float model become one that computes as if in 8-bit integers, and can still be trained?"""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any, Literal

from edgepack.keras_models.graph import Graph, Node, Ref, from_keras, to_keras
from edgepack.quantization.lower import fold_batch_normalization, lower
from edgepack.quantization.plan import Decision, plan

BatchNormalization = Literal["fold", "freeze", "train"]


def decide(model: Any, *, in_float: Collection[str] = ()) -> tuple[Graph, dict[str, Decision], dict[str, str]]:
    """Lower a model and decide what is quantised, without building anything.

    Returns:
        The lowered graph, a decision for each of its nodes, and for nodes that were part of a layer that layer's name.
    """
    graph = from_keras(model)
    origins = lower(graph)
    left = {name for name in graph.nodes if name in in_float or origins.get(name) in in_float}
    return graph, plan(graph, in_float=left), origins


def fake_quantise(
    model: Any,
    *,
    in_float: Collection[str] = (),
    batch_normalization: BatchNormalization = "fold",
    decay: float = 0.99,
) -> Any:
    """Return a copy of a float model with fake quantisation at every place where TensorFlow Lite quantises.

    Ranges still have to be set: see `ranges.calibrate`.

    Args:
        model: Sequential or Functional tf_keras model.
        in_float: Names of layers whose weights stay in float.
        batch_normalization: ``fold`` into the kernels, ``freeze`` statistics and factors, or ``train`` on.
        decay: Share of each activation range that is kept at each training step, in [0, 1].
    """
    graph, decisions, _ = decide(model, in_float=in_float)
    if batch_normalization == "fold":
        # What was decided stays right: whoever swallowed the kernel's tensor has left, and its tensor has moved.
        for name, into in fold_batch_normalization(graph).items():
            decisions[into] = replace(decisions[into], output=decisions.pop(name).output)
    import tf_keras

    from edgepack.quantization import quantizers

    graph.custom.update(quantizers.custom_objects())
    settings = _range_settings(decisions, decay)
    _quantise_behind(graph, decisions, settings)

    def wrap(node: Node, layer: Any) -> Any:
        from edgepack.quantization.quantizers import FreezableQuantizeWrapper, LayerQuantizeConfig

        if node.kind == "BatchNormalization" and batch_normalization == "freeze":
            layer.trainable = False
        decision = decisions.get(node.name)
        if decision is None or decision.status == "blocked" or not (decision.kernel or decision.output):
            return layer
        attribute, granularity = decision.kernel or (None, "tensor")
        return FreezableQuantizeWrapper(layer, LayerQuantizeConfig(attribute, granularity, settings.get(node.name)))

    with tf_keras.utils.custom_object_scope(quantizers.custom_objects()):
        return to_keras(graph, wrap=wrap)


def _quantise_behind(graph: Graph, decisions: Mapping[str, Decision], settings: Mapping[str, Any]) -> None:
    """Place TFMOT's ``QuantizeLayer`` behind inputs and behind layers that compute in float."""
    from tensorflow_model_optimization.python.core.quantization.keras.quantize_layer import QuantizeLayer

    from edgepack.quantization.quantizers import RangeQuantizer

    graph.custom["QuantizeLayer"] = QuantizeLayer
    for name, decision in decisions.items():
        if decision.output is None or not (name in graph.inputs or decision.status == "blocked"):
            continue
        quantizer = RangeQuantizer(**settings[name]).get_config()
        new = graph.fresh(f"quantize_{name}")
        config = {"name": new, "quantizer": {"class_name": "RangeQuantizer", "config": quantizer}}
        graph.insert_after(name, Node(new, "QuantizeLayer", config, (Ref(name),)))
        graph.redirect(Ref(name), Ref(new))


def _range_settings(decisions: Mapping[str, Decision], decay: float) -> dict[str, dict[str, Any]]:
    """Arguments of the `RangeQuantizer` behind each node that has one.

    A scale that several tensors share does not move in training: each would move its own copy, and TensorFlow Lite
    refuses a concatenation or an average whose two sides differ.
    """
    outputs = {name: decision.output for name, decision in decisions.items() if decision.output}
    holders = Counter(output.scale for output in outputs.values())
    settings: dict[str, dict[str, Any]] = {}
    for name, output in outputs.items():
        if output.fixed:
            settings[name] = {"decay": 1.0, "low": output.fixed[0], "high": output.fixed[1]}
        else:
            settings[name] = {"decay": decay if holders[output.scale] == 1 else 1.0, "scale": output.scale}
    return settings
