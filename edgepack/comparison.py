"""Which of two models is faster on a device, and is the difference more than chance?"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edgepack import bundle
from edgepack.errors import MissingError, RecipeError
from edgepack.latency import SIMULATED
from edgepack.runner.compare import Rounds
from edgepack.suggest import did_you_mean
from edgepack.transports import connect, quiet

SCHEMA = "edgepack.comparisons/1"
QUICK_ROUNDS = 4
PER_ROUND_S, ONCE_S = 120.0, 900.0
"""Hard limits: the runner has its own for each process."""


@dataclass(frozen=True)
class Side:
    """One model under one runtime.

    Attributes:
        path: The file, or the folder of its bundle.
        artifact: Its name, if it lies in a bundle.
        runtime: Which runtime; None for the first that fits.
    """

    path: Path
    artifact: str | None
    runtime: str | None

    def words(self, letter: str) -> list[str | Path]:
        """The runner's words for it."""
        found: list[str | Path] = [f"--{letter}", self.path]
        found += [f"--{letter}-artifact", self.artifact] if self.artifact else []
        return found + ([f"--{letter}-runtime", self.runtime] if self.runtime else [])


def compare(
    a: str,
    b: str,
    *,
    on: str = "local",
    threads: int | None = None,
    rounds: int | None = None,
    quick: bool = False,
    say: Callable[[str], None] = quiet,
) -> dict[str, Any]:
    """Measure two models in turns; of two bundles, each file that both have.

    Args:
        a: A model file, a bundle's folder, or a file inside one; ``@RUNTIME`` at its end chooses a runtime.
        b: Likewise.
        on: ``local``, ``docker:IMAGE`` or another device's address.
        threads: Inference threads; None for the bundle's own, or 1.
        rounds: Pairs of fresh processes; None for as many as a narrow interval takes.
        quick: Compare only to show that it works; the document says so.
        say: Called with one line before something that takes a while.

    Returns:
        A document of schema ``edgepack.comparisons/1``: the device, and the runner's document for each pair.

    Raises:
        MissingError: There is no such file, or the bundle is not complete.
        RecipeError: The two do not go together, or the device cannot take turns.
        DeviceError: The comparison failed.
    """
    pairs = _pairs(_side(a), _side(b))
    if on == "docker":
        raise RecipeError("--on docker: which image?", fix="name it: --on docker:IMAGE; `docker images` lists them")
    found = []
    with connect(on, say=say) as device:
        simulated = device.device.simulated
        least, most = (QUICK_ROUNDS, QUICK_ROUNDS) if quick or simulated else (Rounds.rounds, Rounds.max_rounds)
        words = ["compare", "--rounds", str(rounds or least), "--max-rounds", str(rounds or most)]
        words += ["--threads", str(threads)] if threads else []
        words += ["--quick"] if quick else []
        words += ["--warmup-s", "0.05", "--turns", "8"] if quick or simulated else []  # a count repeats
        if hasattr(device, "bench"):
            raise RecipeError(
                f"{on} has no runner, and what it measures with takes no turns",
                fix="measure each file with `edgepack bench --on`, or compare them on a device with Python",
            )
        for one, other in pairs:
            say(f"{_name(one)} against {_name(other)}")
            asked = [*words, *one.words("a"), *other.words("b")]
            document, _ = device.ask(asked, timeout_s=ONCE_S + (rounds or most) * PER_ROUND_S)
            found.append(document)
        return {
            "schema": SCHEMA,
            "device": asdict(device.device),
            "comparisons": [_marked(d, simulated) for d in found],
        }


def verdict(document: Mapping[str, Any]) -> str:
    """What a comparison found, as one sentence."""
    ratio, (low, high) = document["ratio"], document["interval"]
    doubt = f"99 % interval {low:.3f} to {high:.3f}"
    if not document["significant"]:
        return f"no significant difference: B takes {ratio:.3f} times as long as A ({doubt})"
    if ratio > 1:
        more = f"{ratio:.2f} times as long" if ratio >= 2 else f"{ratio - 1:.1%} more time"
        return f"A is faster: B takes {more} ({ratio:.3f} times; {doubt})"
    less = f"{1 / ratio:.2f} times as long" if ratio <= 0.5 else f"{1 / ratio - 1:.1%} more time"
    return f"B is faster: A takes {less} (B {ratio:.3f} times A; {doubt})"


def _marked(document: dict[str, Any], simulated: bool) -> dict[str, Any]:
    if not simulated:
        return document
    protocol = {**document["protocol"], "clock": "instructions"}
    return {**document, "protocol": protocol, "flags": [*document["flags"], SIMULATED]}


def _side(text: str) -> Side:
    """What a user names, with a runtime behind an @ if no file is called that."""
    name, _, runtime = text, "", None
    if not Path(text).exists() and "@" in text:
        name, _, runtime = text.rpartition("@")
    path = Path(name)
    if not path.exists():
        raise MissingError(f"there is nothing at {path}", fix="give a .tflite or .onnx file, or a bundle's folder")
    if runtime is not None:
        from edgepack.runner import sessions

        if runtime not in sessions.names():
            raise RecipeError(
                f"unknown runtime {runtime!r} in {text}; expected one of: {', '.join(sessions.names())}",
                fix=did_you_mean(runtime, sessions.names()) or "use one of the names above",
            )
    if path.is_dir():
        return Side(bundle.require(path), None, runtime)
    folder = path.resolve().parent
    if bundle.is_bundle(folder) and path.name in _files(folder):
        return Side(folder, path.name, runtime)  # with the bundle's golden samples as input
    return Side(path, None, runtime)


def _pairs(a: Side, b: Side) -> list[tuple[Side, Side]]:
    whole = [side for side in (a, b) if side.artifact is None and side.path.is_dir()]
    if not whole:
        return [(a, b)]
    if len(whole) == 1:
        (folder,), other = whole, b if whole[0] is a else a
        named = Side(folder.path, _named(folder.path, other), folder.runtime)
        return [(named, b) if folder is a else (a, named)]
    ours, theirs = _files(a.path), _files(b.path)
    common = [
        (Side(a.path, file, a.runtime or runtime), Side(b.path, file, b.runtime or runtime))
        for file, runtimes in ours.items()
        for runtime in runtimes
        if runtime in theirs.get(file, ())
    ]
    if not common:
        raise RecipeError(
            f"{a.path} and {b.path} have no file in common: {', '.join(ours)} and {', '.join(theirs)}",
            fix="name one file of each: BUNDLE/FILE",
        )
    return common


def _named(folder: Path, other: Side) -> str:
    files, wanted = _files(folder), other.artifact or other.path.name
    if wanted in files:
        return wanted
    raise RecipeError(
        f"the bundle {folder} has no file {wanted} to compare with {other.path}; it has {', '.join(files)}",
        fix=f"name one of them: {folder}/{next(iter(files))}",
    )


def _files(folder: Path) -> dict[str, list[str]]:
    """The artifacts of a bundle with their runtimes."""
    manifest = bundle.read_manifest(folder)
    return {item["file"]: list(item["runtimes"]) for item in manifest["artifacts"] if item["runtimes"]}


def _name(side: Side) -> str:
    return f"{side.artifact or side.path.name}{f'@{side.runtime}' if side.runtime else ''}"
