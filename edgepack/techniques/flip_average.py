"""How does one file answer with the mean over an image and its mirror image, without another byte of weights?

Test-time augmentation by horizontal flips, as in Krizhevsky et al. (2012) and 1409.1556, section 3.2, inside the model.
"""

from typing import TYPE_CHECKING, Any, Literal

from edgepack import contracts
from edgepack.contracts import TechniqueContext, TechniqueResult

if TYPE_CHECKING:
    from edgepack.dataset import Dataset
    from edgepack.keras_models.graph import Graph, Ref


class Config(contracts.TechniqueConfig):
    """The mean of the answers to an image and to its mirror image: more accuracy for twice the time; no training."""

    use: Literal["flip_average"] = "flip_average"


def apply(model: Any, data: "Dataset", config: Config, *, context: TechniqueContext) -> TechniqueResult:
    """Let a model look at each image (n, height, width, channels) twice, the second time left for right.

    The mean is taken before the last dense layer where nothing but a softmax follows on that one, so that it is the
    mean of the logits; else of the outputs. Later steps train as they would without this one: both layers that are
    added hand on what they get while a model is trained.

    Raises:
        RecipeError: The model carries fake quantisation, does not make rows of images, or was given this step before.
    """
    from edgepack.keras_models.graph import Node, Ref, from_keras, to_keras
    from edgepack.techniques._layers import passed_through, refuse_quantised
    from edgepack.training.fit import evaluate

    refuse_quantised(model, "flip_average")
    _refuse_others(model)
    graph = from_keras(model)
    (source,) = graph.inputs
    where = _place(graph)
    both = Node(graph.fresh("mirror_images"), "MirrorImages", {}, (Ref(source),))
    mean = Node(graph.fresh("mirror_mean"), "MirrorMean", {}, (where,))
    for node, taken in ((both, Ref(source)), (mean, where)):
        graph.insert_after(taken.node, node)
        graph.redirect(taken, Ref(node.name))
    made = to_keras(graph)
    notes = {
        both.name: "puts the mirror images behind the images, except while training",
        mean.name: "the mean over an image and its mirror image",
    }
    return TechniqueResult(
        model=made,
        quantised=False,
        layers=passed_through(made, notes),
        metrics={"val_accuracy_after": evaluate(made, data)["val_accuracy"]},
    )


def _refuse_others(model: Any) -> None:
    """Refuse what has no mirror image, or has one already.

    Raises:
        RecipeError: It has none.
    """
    from edgepack.errors import RecipeError

    if any(type(layer).__name__ == "MirrorImages" for layer in model.layers):
        raise RecipeError(
            "compress: `use: flip_average` received a model that takes the mean over mirror images already",
            fix="name the step once",
        )
    shapes = [tuple(tensor.shape) for tensor in model.inputs]
    answers = [tuple(tensor.shape) for tensor in model.outputs]
    if [len(shape) for shape in (*shapes, *answers)] != [4, 2]:
        raise RecipeError(
            f"compress: `use: flip_average` received a model from {shapes} to {answers}; expected images "
            "(n, height, width, channels) and one row of answers for each",
            fix="leave it out",
        )


def _place(graph: "Graph") -> "Ref":
    """The tensor whose mean is taken: what the last dense layer reads, or the output."""
    from edgepack.quantization.plan import activation

    (output,) = graph.outputs
    node = graph.nodes[output.node]
    if activation(node) == "softmax" and (before := graph.before(node)) is not None and before.is_linear:
        node = before
    linear = node.kind == "Dense" and node.config["activation"] in ("linear", "softmax")
    source = graph.before(node)
    if not linear or source is None or graph.only_consumer(source.name) is not node:
        return output
    return node.inputs[0]
