"""Does each artifact answer here as it did on the host that made it?"""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import bundle, environment, sessions, tasks
from .child import call
from .errors import RunnerError
from .infer import predict
from .tensors import TensorSpec, dequantize

SCHEMA = "edgepack.golden/1"


def verify(entries: Sequence[bundle.Entry], *, timeout_s: float = 600.0) -> dict[str, Any]:
    """Run the golden samples through each artifact and compare with the outputs that are stored beside them.

    Args:
        entries: What to verify. The files' hashes are compared first; a file that is not what the manifest
            says is not run.
        timeout_s: Seconds for each artifact, after which its process counts as hung.

    Returns:
        The document of schema ``edgepack.golden/1``, with the machine as in `environment.describe`. A result's
        status is ``"ok"`` (identical, or within the
        manifest's tolerance), ``"failed"`` (a file or an output is wrong) or ``"error"`` (it could not be
        run), with a reason.
    """
    results = [_result(entry, timeout_s) for entry in entries]
    return {"schema": SCHEMA, "environment": environment.describe(), "results": results}


def work(job: Mapping[str, Any], import_ms: float) -> dict[str, Any]:
    """Verify one artifact in this process; called in a process of its own.

    Args:
        job: An entry's job.
        import_ms: Not used here.

    Returns:
        The compared part of one result.
    """
    golden = Path(job["golden"])
    expected = bundle.golden_array(golden, f"output/{job['artifact']}/{job['runtime']}")
    with sessions.open_job(job) as session:
        inputs = bundle.golden_input(golden, job["columns"])
        raw, _ = predict(session, inputs)
        return compare(raw, expected, session.outputs[0], job["tolerance"], task=job["task"], inputs=inputs)


def compare(
    raw: NDArray[Any],
    expected: NDArray[Any],
    spec: TensorSpec,
    tolerance: Mapping[str, float] | None,
    *,
    task: str = "classification",
    inputs: NDArray[Any] | None = None,
) -> dict[str, Any]:
    """Judge raw outputs against stored ones.

    Args:
        raw: Outputs of this machine, shape (samples, ...).
        expected: Outputs of the host that made the artifact.
        spec: The output tensor, for its scale and zero point.
        tolerance: ``max_abs``, the largest difference of the real values, and ``top1``, the smallest share of
            samples with the same answer, in [0, 1]; None accepts nothing but identical outputs.
        task: What the outputs are answers to.
        inputs: The samples themselves, shape (samples, ...), for a task that judges by them.

    Returns:
        ``status``, ``reason``, ``identical`` (bit for bit), ``max_abs_difference`` (of the real values),
        ``top1_agreement`` (None where the task has nothing to compare) and ``output_sha256`` (of the raw bytes,
        in C order).
    """
    found = {
        "identical": False,
        "max_abs_difference": None,
        "top1_agreement": None,
        "output_sha256": _digest(raw),
    }
    if raw.shape != expected.shape or raw.dtype != expected.dtype:
        shapes = f"{raw.dtype} {list(raw.shape)}; expected {expected.dtype} {list(expected.shape)}"
        return {**found, "status": "failed", "reason": f"the output is {shapes}"}
    judge = tasks.load(task)
    here, there = dequantize(raw, spec), dequantize(expected, spec)
    given = there if inputs is None else inputs
    if _digest(raw) == _digest(expected):
        return {
            **found,
            "status": "ok",
            "reason": None,
            "identical": True,
            "max_abs_difference": 0.0,
            "top1_agreement": judge.agreement(there, here, given),
        }
    if not np.isfinite(here).all():
        return {**found, "status": "failed", "reason": "the output holds NaN or infinity; expected numbers"}
    difference = float(np.abs(here.astype(np.float64) - there).max())
    top1 = judge.agreement(there, here, given)
    reason = _outside(difference, top1, tolerance, judge.AGREEMENT)
    return {
        **found,
        "status": "failed" if reason else "ok",
        "reason": reason,
        "max_abs_difference": difference if np.isfinite(difference) else None,
        "top1_agreement": top1,
    }


def _outside(
    difference: float, top1: float | None, tolerance: Mapping[str, float] | None, agreement: str
) -> str | None:
    """Why outputs that are not identical fail, or None when the tolerance allows them."""
    if not tolerance:
        return f"the outputs differ by up to {difference:g}; expected none, as the manifest gives no tolerance"
    largest, least = tolerance.get("max_abs"), tolerance.get("top1")
    # Written so that a difference that is NaN fails.
    if largest is not None and not difference <= largest:
        return f"the outputs differ by up to {difference:g}; expected at most {largest:g}"
    if least is not None and top1 is not None and top1 < least:
        return f"{agreement} in {top1:.2%} of the samples; expected at least {least:.2%}"
    return None


def _digest(outputs: NDArray[Any]) -> str:
    return hashlib.sha256(np.ascontiguousarray(outputs).tobytes()).hexdigest()


def _result(entry: bundle.Entry, timeout_s: float) -> dict[str, Any]:
    known: dict[str, Any] = {"artifact": entry.name, "runtime": entry.runtime}
    unknown = dict.fromkeys(("identical", "max_abs_difference", "top1_agreement", "output_sha256"))
    reason = bundle.altered(entry)
    if reason is None and entry.golden is None:
        reason = "the bundle has no golden samples"
    if reason is not None:
        return {**known, "status": "failed", "reason": reason, **unknown}
    try:
        return {**known, **call("verify", entry.job(), timeout_s=timeout_s)}
    except RunnerError as error:
        return {**known, "status": "error", "reason": str(error), **unknown}
