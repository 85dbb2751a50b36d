"""How are whole channels taken out of a model, so that it becomes smaller and faster in any runtime?

Structured pruning by groups of coupled channels (DepGraph, 2301.12900), with the importance of 1608.08710, 1708.06519
or 1906.10771; see `edgepack/channels`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt, SerializerFunctionWrapHandler, model_validator
from pydantic import model_serializer as serializer

from edgepack import config as base
from edgepack.contracts import Promise, TechniqueContext, TechniqueResult
from edgepack.techniques._training import TrainedConfig, identity

if TYPE_CHECKING:
    from edgepack.channels.groups import Group
    from edgepack.channels.importance import Scores
    from edgepack.channels.macs import Cost, Keep
    from edgepack.channels.select import Limits
    from edgepack.channels.symbols import Channels, Shapes
    from edgepack.dataset import Dataset
    from edgepack.keras_models.graph import Graph

__all__ = ["Config", "Goal", "apply", "identity"]

TOLERANCE = 0.02
"""A goal that is missed by more than this draws a warning."""


class Goal(base.Config):
    """What is to be left, as a fraction of the model before this step; exactly one."""

    macs: PositiveFloat | None = Field(None, lt=1, description="fraction of the multiply-accumulate operations")
    parameters: PositiveFloat | None = Field(None, lt=1, description="fraction of the parameters")
    latency: PositiveFloat | None = Field(
        None, lt=1, description="fraction of the latency: LiteRT, float32, one thread, measured on this machine"
    )

    @model_validator(mode="after")
    def _exactly_one(self) -> "Goal":
        if len(self.given) != 1:
            raise ValueError("expected exactly one of macs, parameters, latency")
        return self

    @property
    def given(self) -> dict[str, float]:
        """The keys that were given."""
        return {key: value for key in ("macs", "parameters", "latency") if (value := getattr(self, key)) is not None}

    @serializer(mode="wrap")
    def _only_given(self, handler: SerializerFunctionWrapHandler) -> dict[str, float]:
        return {key: value for key, value in handler(self).items() if value is not None}


class Config(TrainedConfig):
    """Channel pruning: whole channels leave convolution and dense layers, and every layer that they pass."""

    use: Literal["prune_channels"] = "prune_channels"
    goal: Goal = Field(Goal(macs=0.5), description="what is left: a fraction of macs, parameters or latency")
    importance: Literal["l1", "batch_norm", "taylor"] = Field(
        "taylor", description="which channels matter: size of weights, BatchNormalization factors, effect on the loss"
    )
    scope: Literal["uniform", "global"] = Field(
        "uniform", description="uniform = the same share of each group of layers; global = one ranking of all channels"
    )
    iterations: PositiveInt = Field(1, le=100, description="rounds of removing and training; 1 = one-shot")
    epochs: NonNegativeInt = Field(4, description="training epochs of this step, over all iterations; 0 = none")
    learning_rate: PositiveFloat = Field(1e-3, le=10, description="peak learning rate, cosine decay in each iteration")
    multiple_of: PositiveInt = Field(
        16, le=64, description="wide groups keep a multiple of this many channels; narrow ones of a half, a quarter ..."
    )
    min_channels: PositiveInt = Field(4, description="no group keeps fewer channels")
    exclude: tuple[str, ...] = Field(
        (), description="layer or class names, or patterns of them, whose output channels all stay"
    )
    calibration_samples: PositiveInt = Field(
        512, description="training samples for the importance `taylor` and for renewed statistics"
    )
    renew_statistics: bool = Field(
        True, description="set BatchNormalization's means and variances anew from samples after channels were removed"
    )


@dataclass(frozen=True)
class _Traced:
    """A model whose channels are known."""

    graph: "Graph"
    model: Any
    shapes: "Shapes"
    channels: "Channels"
    groups: "Sequence[Group]"

    @property
    def cost(self) -> "Cost":
        from edgepack.channels.macs import cost

        return cost(self.graph, self.shapes)


def apply(model: Any, data: "Dataset", config: Config, *, context: TechniqueContext) -> TechniqueResult:
    """Remove channels until the goal is met, training the rest on; returns a plain, narrower model.

    Raises:
        RecipeError: ``exclude`` fits no layer of the model, the goal is out of reach, or the model carries fake
            quantisation already.
    """
    from edgepack.channels.notes import notes
    from edgepack.channels.select import limits
    from edgepack.channels.statistics import renew
    from edgepack.keras_models.graph import from_keras
    from edgepack.techniques._layers import check_patterns, chosen_by, prepare
    from edgepack.techniques._training import train
    from edgepack.training.fit import evaluate

    prepared = prepare(model, "prune_channels")
    check_patterns(prepared.names, config.exclude, key="exclude")
    exclude = tuple(layer for layer, names in prepared.names.items() if chosen_by(config.exclude, names))
    first = now = _traced(from_keras(prepared.model), exclude)
    bounds = limits(first.groups, multiple_of=config.multiple_of, min_channels=config.min_channels)
    samples = data.calibration(config.calibration_samples)
    plan = _Plan(config, bounds, first.cost)
    ((kind, fraction),) = config.goal.given.items()
    metrics: dict[str, Any] = {}
    if kind == "latency":
        fraction = _fraction_for_latency(first, _scores(first, data, config), plan, fraction, context)
    curve: list[Mapping[str, float]] = []
    warnings: list[str] = list(prepared.warnings)
    for number, epochs in enumerate(_shares(config.epochs, config.iterations), 1):
        context.progress({"text": f"removing channels, {number} of {config.iterations}"})
        keep = plan.keep(now, _scores(now, data, config), fraction ** (number / config.iterations))
        now = _narrowed(now, keep, exclude)
        if config.renew_statistics:
            renew(now.model, samples)
        metrics["val_accuracy_pruned"] = evaluate(now.model, data)["val_accuracy"]
        trained = train(now.model, data, config.model_copy(update={"epochs": epochs}), context, label="prune_channels")
        curve += [{**entry, "epoch": len(curve) + index} for index, entry in enumerate(trained.curve, 1)]
        metrics.update(trained.metrics)
        warnings += [warning for warning in trained.warnings if warning not in warnings]
        now = _traced(from_keras(now.model), exclude, now.model)
    metrics |= _figures(first, now, latency=kind == "latency")
    metrics["val_accuracy_after"] = evaluate(now.model, data)["val_accuracy"]
    reached, wanted = metrics[f"{kind}_fraction"], config.goal.given[kind]
    if abs(reached - wanted) > TOLERANCE:
        warnings.append(f"the goal was {wanted:.3f} of the {kind}; {reached:.3f} is as close as the steps allow")
    return TechniqueResult(
        model=now.model,
        quantised=False,
        layers=notes(first.graph, first.channels, now.graph),
        metrics=metrics,
        curve=curve,
        rewrites=prepared.rewrites,
        warnings=warnings,
        promises=_promises(first, now),
    )


@dataclass(frozen=True)
class _Plan:
    """How a goal for the whole step becomes channels that stay in one round."""

    config: Config
    bounds: "Mapping[tuple[str, ...], Limits]"
    whole: "Cost"

    def keep(self, traced: _Traced, scores: "Scores", fraction: float) -> "Keep":
        """Units of a model that stay for a fraction of the whole model's MACs, or of its parameters."""
        from edgepack.channels.macs import counter
        from edgepack.channels.select import choose

        count = counter(traced.graph, traced.shapes, traced.channels)
        kind = "parameters" if self.config.goal.parameters is not None else "macs"
        goal = fraction * getattr(self.whole, kind)
        return choose(
            traced.groups,
            scores,
            lambda keep: float(getattr(count(keep), kind)),
            goal,
            scope=self.config.scope,
            limits=self.bounds,
        )


def _traced(graph: "Graph", exclude: tuple[str, ...], model: Any = None) -> _Traced:
    from edgepack.channels.groups import removable
    from edgepack.channels.shapes import tensor_shapes
    from edgepack.channels.symbols import trace
    from edgepack.keras_models.graph import to_keras

    model = to_keras(graph) if model is None else model
    shapes = tensor_shapes(graph, model)
    channels = trace(graph, shapes, exclude=exclude)
    return _Traced(graph, model, shapes, channels, removable(channels))


def _narrowed(traced: _Traced, keep: "Keep", exclude: tuple[str, ...]) -> _Traced:
    from edgepack.channels.remove import remove

    return _traced(remove(traced.graph, traced.channels, keep), exclude)


def _scores(traced: _Traced, data: "Dataset", config: Config) -> "Scores":
    from edgepack import extensions
    from edgepack.channels import importance
    from edgepack.channels.gradients import gradients
    from edgepack.training.config import Training

    if config.importance == "taylor":
        x = data.calibration(config.calibration_samples)
        task = extensions.load("edgepack.tasks", data.task)
        targets = task.targets(x, data.targets("train", len(x)))
        batches = gradients(traced.model, traced.channels, x, targets, task.loss(traced.model, Training()))
        return importance.taylor(traced.graph, traced.channels, batches)
    measure = importance.l1 if config.importance == "l1" else importance.batch_norm
    return measure(traced.graph, traced.channels, traced.groups)


def _shares(epochs: int, iterations: int) -> list[int]:
    """Epochs of each iteration; what does not divide goes to the last ones, where most has been removed."""
    return [(epochs * (number + 1)) // iterations - (epochs * number) // iterations for number in range(iterations)]


def _fraction_for_latency(
    first: _Traced, scores: "Scores", plan: _Plan, goal: float, context: TechniqueContext
) -> float:
    """The fraction of MACs at which the model takes the wanted fraction of its time; weights do not matter for it."""
    from edgepack.channels.latency import interleaved_ns, ratio, to_tflite
    from edgepack.channels.select import search

    original = to_tflite(first.model)

    def measure(fraction: float) -> float:
        narrow = _narrowed(first, plan.keep(first, scores, fraction), ())
        before, after = interleaved_ns([original, to_tflite(narrow.model)])
        found = ratio(after, before)
        context.progress({"text": f"{found:.3f} of the latency at {fraction:.3f} of the operations"})
        return found

    return search(measure, goal, tolerance=TOLERANCE / 2)[0]


def _figures(first: _Traced, last: _Traced, *, latency: bool) -> dict[str, Any]:
    from statistics import median

    from edgepack.channels.latency import interleaved_ns, ratio, to_tflite

    before, after = first.cost, last.cost
    figures: dict[str, Any] = {
        "macs_before": before.macs,
        "macs_after": after.macs,
        "macs_fraction": after.macs / before.macs,
        "parameters_before": before.parameters,
        "parameters_after": after.parameters,
        "parameters_fraction": after.parameters / before.parameters,
    }
    if latency:
        slow, fast = interleaved_ns([to_tflite(first.model), to_tflite(last.model)], rounds=31)
        figures |= {
            "latency_before_ms": median(slow) / 1e6,
            "latency_after_ms": median(fast) / 1e6,
            "latency_fraction": ratio(fast, slow),
        }
    return figures


def _promises(first: _Traced, last: _Traced) -> list[Promise]:
    """What is left of earlier zeros: those of the channels that stay; patterns over input channels are broken."""
    import numpy as np

    from edgepack.channels.macs import KERNELS
    from edgepack.techniques._kernels import file_shape
    from edgepack.techniques._preserve import is_pruned

    promises = []
    for node in first.graph.nodes.values():
        kernels = node.weights[: KERNELS.get(node.kind, 0)]
        for before, after in zip(kernels, last.graph.nodes[node.name].weights, strict=False):
            if before.shape != after.shape and is_pruned(before.astype(np.float32)):
                shape = file_shape(last.model.get_layer(node.name), after.shape)
                zeros = int(np.count_nonzero(after == 0))
                promises.append(Promise(node.name, shape, zeros=zeros, pattern=(0, 1)))
    return promises
