"""How does a model take the raw columns of a table: numbers of any range, missing values, categories?

A layer in front imputes, normalises and encodes, in float32 whatever the rest is computed in: one 8-bit scale for raw
columns of different ranges would wipe the small ones out.
"""

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from edgepack.columns import Column, width
from edgepack.errors import RecipeError

if TYPE_CHECKING:
    from edgepack.dataset import Dataset

KIND = "TableColumns"
"""Class name of the layer."""

LAYER = "columns"
"""Name of the layer."""


def feature_shape(data: "Dataset") -> tuple[int, ...]:
    """Shape of what the first trained layer reads, without the batch axis."""
    return (width(data.columns),) if data.columns else data.input_shape


def with_columns(model: Any, data: "Dataset") -> Any:
    """The model, for a table with the layer for its columns in front."""
    return put_in_front(model, data.columns) if data.columns else model


def put_in_front(model: Any, columns: Sequence[Column]) -> Any:
    """A model of raw columns, float32 of shape (n, columns), from one of features, (n, features).

    Raises:
        RecipeError: The model does not take so many features.
    """
    from edgepack.keras_models.graph import Node, Ref, from_keras, to_keras

    if len(model.inputs) != 1 or tuple(model.inputs[0].shape[1:]) not in ((width(columns),), (None,)):
        raise RecipeError(
            f"the model {model.name!r} takes inputs of shape {tuple(model.inputs[0].shape[1:])}, but the "
            f"{len(columns)} columns of the table become {width(columns)} features",
            fix="build it for the input_shape that it is given",
        )
    graph = from_keras(model)
    (name,) = graph.inputs
    source = graph.nodes[name]
    graph.put(source.with_config(batch_input_shape=(None, len(columns))))
    new = graph.fresh(LAYER)
    config = {"name": new, "columns": [column.to_dict() for column in columns]}
    graph.insert_after(name, Node(new, KIND, config, (Ref(name),)))
    graph.redirect(Ref(name), Ref(new))
    graph.custom[KIND] = layer_class()
    return to_keras(graph)


def columns_of(model: Any) -> tuple[Column, ...]:
    """The columns that a model takes; empty for a model without the layer."""
    for layer in model.layers:
        inner = getattr(layer, "layer", layer)  # fake quantisation wraps it
        if type(inner).__name__ == KIND:
            return tuple(Column.from_dict(column) for column in inner.get_config()["columns"])
    return ()


def check_columns(model: Any, data: "Dataset") -> None:
    """Compare the columns that a saved model takes with those of the data.

    Raises:
        RecipeError: They are others, or their categories are, whose codes would mean something else.
    """
    taken, given = columns_of(model), data.columns
    if [(column.name, column.vocabulary) for column in taken] == [(column.name, column.vocabulary) for column in given]:
        return
    if not taken:
        raise RecipeError(
            f"the model {model.name!r} has no layer that imputes, normalises and encodes the columns of a table",
            fix="set data.table to null for a model that takes plain numbers; edgepack puts the layer in front of "
            "`zoo:` and `python:` models",
        )
    pairs = zip(taken, given, strict=False)
    other = next((a.name for a, b in pairs if (a.name, a.vocabulary) != (b.name, b.vocabulary)), "")
    where = f"; the first that differs is {other!r}" if other else ""
    raise RecipeError(
        f"the model {model.name!r} takes {len(taken)} raw columns, the data have {len(given)}{where}",
        fix="give the model the columns and categories that it was trained on"
        if given
        else "add `table: {}` to the data section: the model imputes, normalises and encodes by itself",
    )


@cache
def layer_class() -> Any:
    """The layer `TableColumns`; defined on the first call, when TensorFlow is wanted."""
    import tensorflow as tf
    import tf_keras

    class TableColumns(tf_keras.layers.Layer):  # type: ignore[misc] # tf_keras has no type information
        """Raw columns, float32 of shape (n, columns), to features, float32 of shape (n, features).

        First all numbers, ``(x - mean) / deviation`` as `tf_keras.layers.Normalization` computes it, then for each
        category one feature for each of its `Column.codes`; an unknown category is 0 in all of them.

        Args:
            columns: `Column.to_dict` of each column.
            **options: As for every layer.
        """

        def __init__(self, columns: Sequence[dict[str, Any]], **options: Any) -> None:
            super().__init__(trainable=False, **{key: value for key, value in options.items() if key != "trainable"})
            self.columns = [Column.from_dict(column) for column in columns]

        def call(self, inputs: Any) -> Any:
            numbers = [(place, column) for place, column in enumerate(self.columns) if column.type == "number"]
            # One entry for each feature of each category: the place of its column and the code that it stands for.
            codes = [
                (place, column, code)
                for place, column in enumerate(self.columns)
                if column.type == "category"
                for code in column.codes
            ]
            parts = []
            if numbers:
                filled = self._filled(inputs, [place for place, _ in numbers], [column.fill for _, column in numbers])
                mean, deviation = ([getattr(column, key) for _, column in numbers] for key in ("mean", "deviation"))
                parts.append((filled - tf.constant(mean, tf.float32)) / tf.constant(deviation, tf.float32))
            if codes:
                filled = self._filled(inputs, [place for place, _, _ in codes], [column.fill for _, column, _ in codes])
                same = tf.equal(filled, tf.constant([code for *_, code in codes], tf.float32))
                parts.append(tf.cast(same, tf.float32))
            return parts[0] if len(parts) == 1 else tf.concat(parts, axis=1)

        def _filled(self, inputs: Any, places: list[int], fill: list[float]) -> Any:
            """The values of some columns, NaN replaced.

            NaN is the only number that differs from itself; TFLite has no operation IsNaN. tf2onnx knows this form,
            too: behind any other condition it would multiply by 0 what is not wanted, and NaN would stay NaN.
            """
            values = inputs if places == list(range(len(self.columns))) else tf.gather(inputs, places, axis=1)
            return tf.where(tf.not_equal(values, values), tf.constant(fill, tf.float32), values)

        def compute_output_shape(self, input_shape: Any) -> Any:
            return tf.TensorShape((input_shape[0], width(self.columns)))

        def get_config(self) -> dict[str, Any]:
            return {**super().get_config(), "columns": [column.to_dict() for column in self.columns]}

    return TableColumns
