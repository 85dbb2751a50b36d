"""Does a model answer on a phone as it did on the host that made it?"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from edgepack.runner import bundle
from edgepack.runner.errors import UsageError
from edgepack.runner.verify import compare

from .subjects import RUNTIME, Subject


def check(subject: Subject, answers: Sequence[bytes]) -> dict[str, Any] | None:
    """Compare outputs for the first golden samples with those that a bundle has, as the runner does elsewhere.

    Args:
        subject: The file, with what its bundle says of it.
        answers: What lay in the output's memory, for the first golden sample (a batch from it on, where the model's
            batch is fixed), the second, and so on.

    Returns:
        ``samples``, ``status`` (``ok`` or ``failed``), ``reason``, ``identical``, ``max_abs_difference`` and
        ``top1_agreement``; None where there is nothing to compare.

    Raises:
        UsageError: The golden samples cannot be read.
    """
    entry = subject.entry
    if not answers or entry.golden is None or len(subject.outputs) != 1:
        return None
    (spec,) = subject.outputs
    try:
        stored = bundle.golden_array(entry.golden, f"output/{entry.name}/{RUNTIME}")
    except UsageError:  # made for other runtimes alone
        return None
    expected = stored[: len(answers)]
    # The first of a batch is the sample that was meant; the others come again in the next run.
    size = expected[:1].nbytes
    if len(expected) < len(answers) or any(len(answer) < size or len(answer) % size for answer in answers):
        reason = f"the output has {len(answers[0])} bytes; expected {size} for each sample"
        return {**_UNKNOWN, "samples": len(answers), "status": "failed", "reason": reason}
    raw = np.frombuffer(b"".join(answer[:size] for answer in answers), expected.dtype).reshape(expected.shape)
    inputs = bundle.golden_input(entry.golden, entry.columns)[: len(answers)]
    found = compare(raw, expected, spec, entry.tolerance, task=entry.task, inputs=inputs)
    return {"samples": len(answers), **{key: found[key] for key in (*_UNKNOWN, "status", "reason")}}


_UNKNOWN = dict.fromkeys(("identical", "max_abs_difference", "top1_agreement"))
