"""In what environment do processes start that import TensorFlow?

What is set here is read when TensorFlow is imported, and cannot be chosen afterwards.
"""

import os
from collections.abc import Mapping

ONEDNN = "TF_ENABLE_ONEDNN_OPTS"
"""Whether TensorFlow uses oneDNN's kernels; its own default depends on the processor."""

SETTINGS = {
    "TF_USE_LEGACY_KERAS": "1",  # TFMOT takes only tf_keras objects
    "TF_CPP_MIN_LOG_LEVEL": "2",
    "PYTHONHASHSEED": "0",
    "PYTHONUNBUFFERED": "1",
}


def environment(given: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The environment of such a process.

    Args:
        given: What it starts from; whoever has chosen for or against oneDNN keeps that choice.
    """
    return {ONEDNN: "1", **given, **SETTINGS}


def onednn() -> str:
    """The choice for or against oneDNN, as text; it decides about the last digits of whatever is computed."""
    return environment()[ONEDNN]
