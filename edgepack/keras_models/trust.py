"""Does a saved model name code beyond layers of Keras, TFMOT and the user's own files?

A model's configuration names classes and functions by module, and Keras imports whatever it names; Python code can
stand in it as bytes, and TensorFlow has functions that write files. None of this is run: a model is data.
"""

import builtins
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from edgepack.errors import RecipeError

PACKAGES = ("keras", "tf_keras", "tensorflow", "tensorflow_model_optimization", "edgepack")
"""Where classes that a configuration names may be from."""

FUNCTIONS = ("activations", "constraints", "initializers", "losses", "metrics", "regularizers")
"""Modules of Keras whose functions a configuration may name."""

SPECIAL = frozenset(
    (
        "__bytes__",
        "__ellipsis__",
        "__keras_tensor__",
        "__numpy__",
        "__slice__",
        "__tensor__",
        "__tuple__",
        "__typespec__",
    )
)
"""What Keras writes in place of a class for plain values."""

TENSORFLOW_FUNCTIONS = re.compile(r"tensorflow\.python\.ops\.(gen_)?(array|image|math|nn)(_impl|_ops)?")
"""Modules of TensorFlow of which the same is true."""

NAMESPACES = (
    "__operators__",
    "bitwise",
    "image",
    "linalg",
    "math",
    "nn",
    "quantization",
    "random",
    "signal",
    "strings",
)
"""Parts of TensorFlow whose functions compute and do nothing else."""

KERAS_NAMESPACES = ("keras.activations.", "keras.backend.", "experimental.numpy.")

DANGEROUS = frozenset(("load_library", "load_op_library", "numpy_function", "print", "py_function"))
"""Functions outside such a part that do something else."""

TENSOR_CLASSES = ("RaggedTensor", "SparseTensor", "sparse.SparseTensor")

CLASS = re.compile(r"_*[A-Z]\w*")


def require_plain(config: object, custom: Collection[str]) -> None:
    """Refuse a configuration that would import or run anything else than layers.

    Args:
        config: The configuration of a saved model, as JSON gives it.
        custom: Names of what the user's own files define.

    Raises:
        RecipeError: It would; everything is named.
    """
    problems = list(dict.fromkeys(problem for part in _objects(config) for problem in _problems(part, custom)))
    if problems:
        raise RecipeError(
            "code inside a file is not run, and this model needs it:\n  " + "\n  ".join(problems[:20]),
            fix="save the model with layers of Keras alone, or give its own layers and functions with custom_objects: "
            "file.py",
        )


def _objects(config: object) -> Iterator[Mapping[str, Any]]:
    """Every mapping of a document that names a class."""
    waiting = [config]
    while waiting:
        node = waiting.pop()
        if isinstance(node, Mapping):
            if "class_name" in node:
                yield node
            waiting.extend(node.values())
        elif isinstance(node, list | tuple):
            waiting.extend(node)


def _problems(part: Mapping[str, Any], custom: Collection[str]) -> Iterator[str]:
    """What one object would run."""
    kind, inner, module = part["class_name"], part.get("config"), part.get("module")
    if kind == "function":
        if not _is_plain_function(module, inner) and not _is_among(inner, custom):
            yield f"the function {_short(inner)} of {_short(module)}"
        return
    if _is_among(kind, custom) or _is_among(str(part.get("registered_name")).rpartition(">")[2], custom):
        return
    if not isinstance(kind, str) or (kind not in SPECIAL and not CLASS.fullmatch(kind)):
        yield f"{_short(kind)}, which is not a class"
    elif module is not None and str(module).partition(".")[0] not in (*PACKAGES, "builtins"):
        yield f"the class {_short(kind)} of {_short(module)}"
    elif isinstance(inner, Mapping):
        yield from _calls(kind, inner, custom)


def _calls(kind: str, inner: Mapping[str, Any], custom: Collection[str]) -> Iterator[str]:
    """What a layer that stands for a function would call."""
    function = inner.get("function")
    if kind == "Lambda":
        name = function.get("config") if isinstance(function, Mapping) else function
        if not _is_among(name, custom):
            yield f"the code of the Lambda layer {_short(inner.get('name'))}"
    elif kind in ("TFOpLambda", "SlicingOpLambda") and not _computes(function):
        yield f"the function {_short(function)} of TensorFlow"
    elif kind == "ClassMethod" and inner.get("cls_symbol") not in TENSOR_CLASSES:
        yield f"a method of {_short(inner.get('cls_symbol'))}"


def _is_among(name: object, custom: Collection[str]) -> bool:
    return isinstance(name, str) and name in custom


def _short(value: object) -> str:
    return repr(value)[:100]


def _is_plain_function(module: object, name: object) -> bool:
    """Whether a function is one of Keras that computes: an activation, a loss and the like."""
    if module is None:
        return True  # looked up among Keras' own by its name, and imported from nowhere
    if not isinstance(module, str) or not isinstance(name, str):
        return False
    if module == "builtins":
        return not hasattr(builtins, name)  # how Keras 2 writes its own
    package, _, rest = module.partition(".")
    if package in ("keras", "tf_keras"):
        return bool(set(rest.split(".")) & set(FUNCTIONS))
    return bool(TENSORFLOW_FUNCTIONS.fullmatch(module))


def _computes(name: object) -> bool:
    if not isinstance(name, str):
        return False
    plain = name.removeprefix("compat.v1.")
    namespace, _, rest = plain.partition(".")
    return namespace in NAMESPACES or plain.startswith(KERAS_NAMESPACES) if rest else namespace not in DANGEROUS
