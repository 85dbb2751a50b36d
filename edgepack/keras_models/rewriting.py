"""How is a model rewritten so that techniques can treat all of it, and how is it known that its function stayed?

Every rewrite of `edgepack/rewrites` is repeated until nothing changes. After each one the new model and the old one get
the same random inputs; a rewrite after which a tensor differs is undone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from edgepack import extensions
from edgepack.errors import BugError, EdgepackError
from edgepack.keras_models.graph import Graph, Node, Ref, from_keras, to_keras

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Tensors = dict[str, NDArray[np.float64]]

TOLERANCE = 1e-4
"""Largest difference of a tensor, relative to its largest value."""

ROUNDS = 20
"""Rounds of one scope after which it counts as endless; two or three are usual."""


@dataclass(frozen=True)
class Change:
    """One application of a rewrite.

    Attributes:
        rewrite: File name in `edgepack/rewrites`.
        layers: Names of the layers that it replaced or changed.
        text: What it did, as a phrase.
        made: Names of the layers that do their work from now on.
        differs: Names of layers whose tensor is not what it was under that name; all others are compared.
    """

    rewrite: str
    layers: tuple[str, ...]
    text: str
    made: tuple[str, ...] = ()
    differs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Proof:
    """How far the outputs moved when a rewrite was made.

    Attributes:
        rewrite: File name in `edgepack/rewrites`.
        applications: Number of changes that were made together.
        tensors: Number of tensors that were compared, the outputs included.
        max_abs_difference: Largest difference between an output before any rewrite and after this one.
        relative_difference: Largest difference of any tensor, divided by the largest value of that tensor.
        kept: False when the difference was above the tolerance or the model could not be built: it was undone.
        reason: Why it was undone.
    """

    rewrite: str
    applications: int
    tensors: int
    max_abs_difference: float
    relative_difference: float
    kept: bool = True
    reason: str = ""


@dataclass(frozen=True)
class Rewritten:
    """A model after its rewrites.

    Attributes:
        model: tf_keras model; the one that was given when nothing changed.
        changes: What was changed, in order.
        proofs: One for each time a rewrite changed something, undone ones included.
        origins: For each layer of ``model`` the layers of the given model whose work it does. Layers of models inside
            the given one count by their own name.
        layers: Class names by name of all layers of the given model, those of models inside it included.
        rewrites: Names of the rewrites that each of those layers took part in, in order; layers without are left out.
    """

    model: Any
    changes: Sequence[Change] = ()
    proofs: Sequence[Proof] = ()
    origins: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    layers: Mapping[str, str] = field(default_factory=dict)
    rewrites: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def sentences(self) -> list[str]:
        """One sentence for each change, for people."""
        return [f"{change.rewrite}: {', '.join(change.layers)}: {change.text}" for change in self.changes]

    @property
    def warnings(self) -> list[str]:
        """One sentence for each rewrite that was undone."""
        return [f"the rewrite {proof.rewrite} was not made: {proof.reason}" for proof in self.proofs if not proof.kept]


def rewrite(model: Any, *, quantisation: bool, strict: bool = False) -> Rewritten:
    """Rewrite a float tf_keras model; its function stays.

    Args:
        model: Sequential or Functional; models inside it are taken apart.
        quantisation: Make the rewrites that only 8-bit training needs, too.
        strict: Raise when a rewrite fails its proof, instead of leaving it out.

    Raises:
        RecipeError: The model, or one inside it, is a subclassed model.
        BugError: ``strict``, and a rewrite did not keep the function; or the rewrites never come to an end.
    """
    graph = from_keras(model)
    layers = {name: node.kind for name, node in graph.nodes.items() if node.shares is None}
    run = _Run(graph, {name: (node.shares or name,) for name, node in graph.nodes.items()}, strict)
    run.changes += _flattened(model)
    run.scope("structure")
    if quantisation:
        run.scope("structure", "quantisation")
    final = to_keras(run.graph) if run.changes else model
    origins = {name: run.origins[name] for name in run.graph.nodes}
    return Rewritten(final, tuple(run.changes), tuple(run.proofs), origins, layers, run.rewrites)


def _flattened(model: Any) -> list[Change]:
    """What `from_keras` did already: it took the models inside the model apart."""
    import tf_keras

    return [
        Change("flatten", (layer.name,), f"the {len(layer.layers)} layers of this model are layers of the outer one")
        for layer in model.layers
        if isinstance(layer, tf_keras.Model)
    ]


class _Run:
    """The graph on its way, and what happened to it."""

    def __init__(self, graph: Graph, origins: dict[str, tuple[str, ...]], strict: bool) -> None:
        self.graph = graph
        self.origins = origins
        self.strict = strict
        self.changes: list[Change] = []
        self.proofs: list[Proof] = []
        self.rewrites: dict[str, tuple[str, ...]] = {}
        self._refused: set[str] = set()
        self._inputs = _random_inputs(graph)
        self._outputs: list[Tensors] = []
        self._tensors: list[Tensors] = []

    def scope(self, *scopes: Literal["structure", "quantisation"]) -> None:
        """Repeat the rewrites of some scopes until none changes anything."""
        modules = {name: extensions.load("edgepack.rewrites", name) for name in extensions.names("edgepack.rewrites")}
        wanted = [name for name, module in modules.items() if module.SCOPE in scopes]
        for _ in range(ROUNDS):
            found = len(self.changes)
            for name in wanted:
                if name not in self._refused:
                    self._one(name, modules[name])
            if len(self.changes) == found:
                return
        raise BugError(f"the rewrites {', '.join(wanted)} still change the model after {ROUNDS} rounds")

    def _one(self, name: str, module: Any) -> None:
        graph = self.graph.copy()
        changes = module.apply(graph)
        if not changes:
            return
        proof = self._prove(name, graph, changes)
        self.proofs.append(proof)
        if proof.kept:
            self.graph = graph
            self.changes += changes
            for change in changes:
                self._trace(change)
            return
        if self.strict:
            raise BugError(f"the rewrite {name} does not keep the function of {graph.name}: {proof.reason}")
        self._refused.add(name)

    def _trace(self, change: Change) -> None:
        before = [origin for name in change.layers for origin in self.origins.get(name, ())]
        for origin in before:
            self.rewrites[origin] = tuple(dict.fromkeys([*self.rewrites.get(origin, ()), change.rewrite]))
        for name in change.made:
            self.origins[name] = tuple(dict.fromkeys([*self.origins.get(name, ()), *before]))

    def _prove(self, name: str, graph: Graph, changes: Sequence[Change]) -> Proof:
        """Compare outputs with those of the first graph, and all tensors with those of the graph before.

        Outputs alone prove little: in a deep net with random weights they hardly depend on the input.
        """
        if not self._outputs:
            self._outputs, self._tensors = _values(self.graph, self._inputs)
        try:
            outputs, tensors = _values(graph, self._inputs)
        except EdgepackError as error:
            return Proof(name, len(changes), 0, float("inf"), float("inf"), kept=False, reason=error.message)
        differs = {layer for change in changes for layer in change.differs}
        absolute, relative, compared, where = 0.0, 0.0, 0, ""
        for old, new, is_output in (
            *((old, new, True) for old, new in zip(self._outputs, outputs, strict=True)),
            *((old, new, False) for old, new in zip(self._tensors, tensors, strict=True)),
        ):
            for key in old.keys() & new.keys() - differs if not is_output else old:
                moved, share = _difference(old[key], new[key])
                compared += 1
                absolute = max(absolute, moved) if is_output else absolute
                relative, where = (share, key) if share > relative else (relative, where)
        kept = relative <= TOLERANCE
        reason = f"values of {where} move by {relative:.1e} of the largest; expected at most {TOLERANCE:.0e}"
        if kept:
            self._tensors = tensors
        return Proof(name, len(changes), compared, absolute, relative, kept, "" if kept else reason)


def _difference(old: "NDArray[np.float64]", new: "NDArray[np.float64]") -> tuple[float, float]:
    """Largest difference, and its share of the largest old value; both infinite where shapes do not fit."""
    import numpy as np

    if old.shape != new.shape:
        return float("inf"), float("inf")
    finite = np.isfinite(old)
    if not np.array_equal(finite, np.isfinite(new)):
        return float("inf"), float("inf")
    moved = float(np.max(np.abs(new[finite] - old[finite]), initial=0.0))
    return moved, moved / max(float(np.max(np.abs(old[finite]), initial=0.0)), 1e-6)


def _random_inputs(graph: Graph) -> list[list["NDArray[np.generic]"]]:
    """Two batches of two samples for every input: standard normal, and uniform over 0..255 as raw images are."""
    import numpy as np

    rng = np.random.default_rng(0)
    batches = []
    for raw in (False, True):
        values = []
        for name in graph.inputs:
            config = graph.nodes[name].config
            shape = [2, *(96 if size is None else size for size in config["batch_input_shape"][1:])]
            dtype = np.dtype(config.get("dtype") or "float32")
            value: NDArray[np.generic] = rng.uniform(0, 255, shape) if raw else rng.normal(size=shape)
            if dtype.kind in "iu":
                value = rng.integers(0, 2, shape)  # tokens, perhaps: larger ones may not exist
            values.append(value.astype(dtype))
        batches.append(values)
    return batches


def _values(graph: Graph, inputs: Sequence[Any]) -> "tuple[list[Tensors], list[Tensors]]":
    """What a graph's model computes from each batch: its outputs by number, and some values of every tensor by name.

    A last softmax or sigmoid is left out: it would hide differences.
    """
    import numpy as np
    import tensorflow as tf

    graph = graph.copy()
    graph.outputs = tuple(_before_squashing(graph, ref) for ref in graph.outputs)
    count = len(graph.outputs)
    names = [name for name, node in graph.nodes.items() if node.kind != "InputLayer"]
    graph.outputs += tuple(Ref(name) for name in names)
    model = to_keras(graph)
    outputs, tensors = [], []
    for batch in inputs:
        result = model(batch if len(batch) > 1 else batch[0], training=False)
        found = [tensor.numpy() for tensor in tf.nest.flatten(result)]
        outputs.append({f"output {index}": np.asarray(value, np.float64) for index, value in enumerate(found[:count])})
        tensors.append({name: _some(value) for name, value in zip(names, found[count:], strict=True)})
    return outputs, tensors


def _some(values: "NDArray[np.generic]", count: int = 4096) -> "NDArray[np.float64]":
    """At most ``count`` values of a tensor, at places that its size alone decides."""
    import numpy as np

    flat = np.asarray(values, np.float64).reshape(-1)
    if flat.size <= count:
        return flat
    return flat[np.random.default_rng(flat.size).integers(0, flat.size, count)]


def _before_squashing(graph: Graph, ref: Ref) -> Ref:
    """The tensor before softmax or sigmoid at the end of a model."""
    node = graph.nodes[ref.node]
    if not _squashes(node) or len(node.inputs) != 1 or len(graph.calls(node.name)) > 1 or graph.consumers(node.name):
        return ref
    if node.weights:
        graph.put(node.with_config(activation="linear"))
        return ref
    return _before_squashing(graph, node.inputs[0])


def _squashes(node: Node) -> bool:
    name = node.config.get("activation", node.config.get("function", node.kind.lower()))
    return isinstance(name, str) and name.rpartition(".")[2] in ("softmax", "sigmoid")
