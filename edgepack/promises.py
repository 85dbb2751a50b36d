"""Which zeros, patterns and clusters did the steps of a run promise, and which of the promises still stand?"""

from collections.abc import Mapping, Sequence
from typing import Any


def standing(records: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What the ``.tflite`` files of a run are held to.

    A later step adds to what an earlier one promised of the same layer, and replaces what it says anew. A step that
    removes channels ends every earlier promise: the kernels that they were given for are no longer there.

    Args:
        records: The steps' ``step.json``, in order.

    Returns:
        One entry per kernel, `contracts.Promise` as plain data.
    """
    kept: dict[tuple[str, int], dict[str, Any]] = {}
    for record in records:
        if any(note["status"] == "narrowed" for note in record["layers"]):
            kept.clear()
        seen: dict[str, int] = {}
        for promise in record.get("promises", ()):
            number = seen[promise["layer"]] = seen.get(promise["layer"], -1) + 1
            earlier = kept.get((promise["layer"], number), {})
            kept[promise["layer"], number] = {
                **earlier,
                **{key: value for key, value in promise.items() if value is not None or key not in earlier},
            }
    return list(kept.values())
