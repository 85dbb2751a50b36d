"""What is a Keras 3 model as plain data, and what does each of its calls give for an input?

Runs in the process that has Keras 3 (see `read`); nothing here touches tf_keras. Models inside models are taken apart.
"""

from typing import Any

from edgepack.errors import RecipeError


class Walk:
    """Takes a Sequential or Functional Keras 3 model apart.

    Args:
        model: The model.

    Attributes:
        nodes: One JSON-ready dict for each call of a layer or operation, in an order in which every call comes after
            those it takes tensors from: ``name``, ``class``, ``module``, ``config``, ``args``, ``kwargs``, ``outputs``
            (their number), ``weights`` (their number), ``shares`` (the node whose layer is called again, or None),
            ``shapes`` of the tensors it takes, ``dtype`` of what it gives.
        arrays: NumPy arrays by key: weights as ``<node number>/<weight number>``, constants of calls as ``constant/0``.
        inputs: Names of the input nodes.
        outputs: The model's outputs as ``[node, output]``.

    Raises:
        RecipeError: The model, or one inside it, is neither Sequential nor Functional, or was never built.
    """

    def __init__(self, model: Any) -> None:
        self.nodes: list[dict[str, Any]] = []
        self.arrays: dict[str, Any] = {}
        self.calls: dict[str, Any] = {}
        self._first: dict[int, str] = {}
        self._names: set[str] = set()
        graph = _graph(model)
        inputs = [self._input(tensor) for tensor in graph.inputs]
        self.inputs = [name for name, _ in inputs]
        self.outputs = self._model(model, inputs)

    def _input(self, tensor: Any) -> tuple[str, int]:
        layer = tensor._keras_history.operation
        name = self._fresh(layer.name)
        self._first[id(layer)] = name
        self._write(name, layer, (), {}, outputs=1, shares=None)
        return name, 0

    def _model(self, model: Any, inputs: list[tuple[str, int]]) -> list[tuple[str, int]]:
        """Walk one model whose inputs are the given tensors; returns its outputs."""
        from keras import Model

        graph = _graph(model)
        made = {id(tensor): ref for tensor, ref in zip(graph.inputs, inputs, strict=True)}
        for depth in sorted(graph._nodes_by_depth, reverse=True):
            for call in graph._nodes_by_depth[depth]:
                if call.is_input:
                    continue
                if isinstance(call.operation, Model):
                    refs = self._model(call.operation, [made[id(tensor)] for tensor in call.input_tensors])
                else:
                    refs = self._call(call, made)
                made.update({id(tensor): ref for tensor, ref in zip(call.outputs, refs, strict=True)})
        return [made[id(tensor)] for tensor in graph.outputs]

    def _call(self, call: Any, made: dict[int, tuple[str, int]]) -> list[tuple[str, int]]:
        operation = call.operation
        first = self._first.get(id(operation))
        name = self._fresh(operation.name if first is None else f"{first}_call1")
        self._first.setdefault(id(operation), name)
        args, kwargs = (self._encoded(part, made) for part in (list(call.arguments.args), call.arguments.kwargs))
        self._write(name, operation, args, kwargs, outputs=len(call.outputs), shares=first)
        self.nodes[-1]["shapes"] = [list(tensor.shape) for tensor in call.input_tensors]
        self.nodes[-1]["dtype"] = str(call.outputs[0].dtype)
        self.calls[name] = (operation, call)
        return [(name, index) for index in range(len(call.outputs))]

    def _write(self, name: str, operation: Any, args: Any, kwargs: Any, *, outputs: int, shares: str | None) -> None:
        weights = [] if shares else [_float32(weight) for weight in getattr(operation, "weights", ())]
        self.arrays.update({f"{len(self.nodes)}/{index}": value for index, value in enumerate(weights)})
        self.nodes.append(
            {
                "name": name,
                "class": type(operation).__name__,
                "module": type(operation).__module__,
                "config": self._plain(operation.get_config()),
                "args": args,
                "kwargs": kwargs,
                "outputs": outputs,
                "weights": len(weights),
                "shares": shares,
                "shapes": [],
                "dtype": "",
            }
        )

    def _fresh(self, wanted: str) -> str:
        name, number = wanted, 0
        while name in self._names:
            number += 1
            name = f"{wanted}_{number}"
        self._names.add(name)
        return name

    def _encoded(self, value: Any, made: dict[int, tuple[str, int]]) -> Any:
        """Arguments of a call as JSON: tensors as ``{"ref": [node, output]}``, arrays as ``{"array": key}``."""
        if id(value) in made:
            return {"ref": list(made[id(value)])}
        if isinstance(value, dict):
            return {"dict": {key: self._encoded(item, made) for key, item in value.items()}}
        if isinstance(value, list | tuple):
            return {type(value).__name__: [self._encoded(item, made) for item in value]}
        if isinstance(value, slice):
            return {"slice": [self._encoded(part, made) for part in (value.start, value.stop, value.step)]}
        if value is Ellipsis:
            return {"ellipsis": True}
        return self._plain(value)

    def _plain(self, value: Any) -> Any:
        """Constants as JSON."""
        if isinstance(value, dict):
            return {str(key): self._plain(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self._plain(item) for item in value]
        if value is None or isinstance(value, bool | int | float | str):
            return value
        key = f"constant/{len(self.arrays)}"
        try:
            self.arrays[key] = _float32(value)
        except Exception:
            return {"unknown": repr(value)}
        if self.arrays[key].dtype == object:
            del self.arrays[key]
            return {"unknown": repr(value)}
        return {"array": key}

    def run(self, inputs: list[Any]) -> dict[str, list[Any]]:
        """Compute the outputs of every node, layer by layer.

        Args:
            inputs: One array for each of the model's inputs.
        """
        from keras import ops, tree

        made = {name: [ops.convert_to_tensor(value)] for name, value in zip(self.inputs, inputs, strict=True)}
        for node in self.nodes:
            if node["name"] in made:
                continue
            operation, call = self.calls[node["name"]]
            args, kwargs = (
                self._decoded(encoded, given, made)
                for encoded, given in (
                    (node["args"], list(call.arguments.args)),
                    (node["kwargs"], call.arguments.kwargs),
                )
            )
            made[node["name"]] = tree.flatten(operation(*args, **kwargs))
        return made

    def _decoded(self, encoded: Any, given: Any, made: dict[str, list[Any]]) -> Any:
        """The arguments as they were given, with the tensors computed for this input."""
        if isinstance(encoded, dict) and "ref" in encoded:
            name, output = encoded["ref"]
            return made[name][output]
        if isinstance(given, dict):
            return {key: self._decoded(encoded["dict"][key], item, made) for key, item in given.items()}
        if isinstance(given, list | tuple):
            parts = encoded[type(given).__name__]
            return type(given)(self._decoded(part, item, made) for part, item in zip(parts, given, strict=True))
        return given


def _graph(model: Any) -> Any:
    """The Functional object that holds a model's calls."""
    from keras import Model, Sequential
    from keras.src.models.functional import Functional

    if isinstance(model, Sequential) and type(model).call is Sequential.call:
        if model._functional is None:
            raise RecipeError(
                f"the model {model.name!r} was saved before it knew the shape of its input",
                fix="begin it with keras.Input(shape), or call it once on real samples, then save it again",
            )
        return model._functional
    if isinstance(model, Functional) and type(model).call is Functional.call:
        return model
    kind = type(model).__name__
    raise RecipeError(
        f"{getattr(model, 'name', kind)!r} is a {kind}; expected Sequential or Functional"
        + ("" if isinstance(model, Model) else " model"),
        fix="build it with keras.Model(inputs, outputs)",
    )


def _float32(value: Any) -> Any:
    """A variable or tensor as NumPy, every kind of float as float32."""
    import numpy as np
    from keras import ops

    array = np.asarray(ops.convert_to_numpy(value))
    return array if array.dtype.kind in "biuO" else array.astype(np.float32)
