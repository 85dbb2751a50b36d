"""What does edgepack export of a model? For benchmarks that need its files and no run around them."""

from pathlib import Path
from typing import Any


def export(model: Any, samples: Any, folder: Path, prefix: str = "") -> None:
    """Write ``<prefix><precision>.<format>`` in both precisions of both formats.

    Args:
        model: A Keras 2 model; it stays in the folder as ``model.h5``.
        samples: For calibration: float32, as many as there are, each of the model's input shape.
        folder: Where to; it exists.
        prefix: What the names begin with.
    """
    from edgepack import extensions
    from edgepack.contracts import ExportContext, Precision
    from edgepack.keras_models.save import save

    source = folder / "model.h5"
    save(model, source)

    def one(kind: str, precision: Precision) -> Path:
        path = folder / f"{prefix}{precision}.{kind}"
        if not path.exists():
            format_ = extensions.load("edgepack.formats", kind)
            format_.convert(format_.Config(precision=precision), path, context=context)
        return path

    context = ExportContext(source, None, samples, one, model.name)
    for kind in ("tflite", "onnx"):
        one(kind, "float32")
        one(kind, "int8")
