"""Which delegates took which part of a graph, by what ``benchmark_model`` prints?"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

NAMES = {
    "TfLiteXNNPackDelegate": "XNNPACK",
    "TfLiteGpuDelegate": "GPU",
    "TfLiteGpuDelegateV2": "GPU",
    "LITERT_CL": "GPU",  # the GPU of LiteRT 2, through OpenCL
    "TfLiteNnapiDelegate": "NNAPI",
    "DispatchDelegate": "NPU",  # what LiteRT 2 calls all accelerators of vendors
}
OWN = "LiteRT"
"""As the runner calls LiteRT's own kernels."""

_REPLACING = re.compile(
    r"Replacing (\d+)(?: out of (\d+))? node\(s\) with delegate \(([^)]+)\)(?: node, yielding (\d+))?"
)
_COMPILED = re.compile(r"Partitioned subgraph<\d+>, selected (\d+) ops, from a total of (\d+) ops. resulted in (\d+)")
_SPLIT = re.compile(r"(\d+) operations will run on the GPU, and the remaining (\d+)")
_APPLIED = re.compile(r"xplicitly applied (.+?) delegate, and the model graph will be (completely|partially) executed")
_NOT_APPLIED = re.compile(r"Though (.+?) delegate is explicitly applied, the model graph will not be executed")
_UNSUPPORTED = re.compile(r"(?:Following|Next) operations are not supported by (.+?) delegate", re.IGNORECASE)
_OPERATION = re.compile(r"(?:^|[ \t])([A-Z][A-Z0-9_]{2,}(?: \w+)?):(?: (.+))?$")


@dataclass(frozen=True)
class Taken:
    """Nodes that a delegate took, of so many (None where an old program does not say), in so many parts."""

    delegate: str
    nodes: int
    total: int | None
    partitions: int


def nodes(found: Sequence[Taken]) -> dict[str, object] | None:
    """``total`` nodes of the graph and who runs how many of them; None where that was not told.

    A delegate that is applied later counts the nodes that are left, of which the earlier one's are one each. What none
    of them took is on LiteRT's own kernels.
    """
    totals = [item.total for item in found[:1] if item.total is not None]
    if not totals or any(item.total is None for item in found):
        return None
    by: dict[str, int] = {}
    for item in found:
        by[item.delegate] = by.get(item.delegate, 0) + item.nodes
    rest = totals[0] - sum(by.values())
    return {"total": totals[0], "by": {**by, **({OWN: rest} if rest else {})}} if rest >= 0 else None


def taken(lines: Sequence[str]) -> Iterable[Taken]:
    """What delegates took; where an old program leaves the total out, the GPU delegate's own words may have it."""
    compiled = [found for line in lines if (found := _COMPILED.search(line))]
    for found in compiled:  # by a vendor's compiler, which leaves one node for each part
        yield Taken("NPU", *(int(number[:18]) for number in found.groups()))
    split = next((found for line in lines if (found := _SPLIT.search(line))), None)
    total_of_gpu = int(split[1][:18]) + int(split[2][:18]) if split else None
    seen = set()
    for line in lines:
        found = _REPLACING.search(line)
        if found and found[0] not in seen:  # some builds print each line twice
            seen.add(found[0])
            name = NAMES.get(found[3], found[3])
            if compiled and name == "NPU":
                continue
            total = int(found[2][:18]) if found[2] else total_of_gpu if name == "GPU" else None
            yield Taken(name, int(found[1][:18]), total, int((found[4] or "0")[:18]))
    if split and not seen:
        yield Taken("GPU", int(split[1][:18]), total_of_gpu, 0)


def applied(lines: Iterable[str]) -> dict[str, str]:
    """How far each delegate that was asked for got: ``completely``, ``partially`` or ``not``."""
    found_for: dict[str, str] = {}
    for line in lines:
        if found := _NOT_APPLIED.search(line):
            found_for[found[1]] = "not"
        elif found := _APPLIED.search(line):
            found_for[found[1]] = found[2]
    return found_for


def unsupported(lines: Sequence[str]) -> Iterable[str]:
    """The lines behind the GPU delegate's heading, each an operation and the reason why not."""
    listing = False
    for line in lines:
        if _UNSUPPORTED.search(line):
            listing = True
        elif listing:
            found = _OPERATION.search(line)
            if found is None and line.strip():
                listing = line.strip().endswith(":")
            elif found is not None:
                yield f"{found[1]}: {found[2].strip()}" if found[2] else found[1]
