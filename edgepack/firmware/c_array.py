"""How does a micro-controller without a file system get a model: as an array with its header?"""

from pathlib import Path
from typing import Any, Literal

from edgepack import contracts
from edgepack.contracts import FirmwareContext
from edgepack.firmware import _source
from edgepack.firmware._arena import sufficient_arena


class Config(contracts.FirmwareConfig):
    """The file as a C++ array, for TensorFlow Lite for Microcontrollers."""

    use: Literal["c_array"] = "c_array"


def make(config: Config, artifact: Path, out: Path, *, context: FirmwareContext) -> dict[str, Any]:
    """Write the array, its header and a golden sample.

    The header has the working memory that the model takes (on this host, if the interpreter runs here; a 32-bit
    processor needs less), the scales of input and output, and a macro that adds the operations that the model needs,
    and no other, to a ``MicroMutableOpResolver``.

    Returns:
        ``files``, ``array_bytes``, ``arena_bytes`` (None = not known), ``operations``.
    """
    content = artifact.read_bytes()
    name = _source.identifier(context.name, context.precision)
    methods = list(dict.fromkeys(_source.method(kind) for kind, _ in _source.operations(content)))
    arena = None if context.arena_bytes is None else sufficient_arena(artifact, context.arena_bytes)
    facts = {} if arena is None else {"ARENA_BYTES": arena}
    return {
        "files": _source.write(out, name, content, methods, context, facts),
        "array_bytes": len(content),
        "arena_bytes": arena,
        "operations": methods,
    }
