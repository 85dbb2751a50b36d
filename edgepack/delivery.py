"""What does one target get: its bundle, its image, its measurement, its verdict?"""

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from edgepack import bundle, choice, embedding, history, imaging, latency, store
from edgepack.environment import describe
from edgepack.errors import EdgepackError, RecipeError
from edgepack.execution import Execution
from edgepack.mobile import package
from edgepack.plan import Plan
from edgepack.protocol import Protocol
from edgepack.store import Entry
from edgepack.target import Image, Target, runtime_format
from edgepack.verify import gates
from edgepack.verify.gates import KERAS, Judgement, Status

SMOKE = "smoke run"
Progress = Callable[[Mapping[str, Any]], None]


def deliver(plan: Plan, target: Target, lineage: Mapping[str, Any], work: Execution) -> list[EdgepackError]:
    """Publish the bundle of one target, then build its image and measure it.

    Returns:
        What went wrong for this target; its bundle holds whatever could be made.
    """
    folder = plan.run_folder / target.name
    errors: list[EdgepackError] = []
    verified: Entry = lineage["verify"]
    start = time.monotonic()
    verification, failed = _verification(plan, target, verified, lineage["export"])
    with store.explain_os_errors(folder):
        changed = _publish(plan, target, lineage, verification, folder)
    work.worked = work.worked or changed
    work.observer.finished("bundle", target.name, seconds=time.monotonic() - start, cached=not changed)
    missed = gates.error_for(failed, target.name, made_here=not plan.recipe.model.finished)
    if missed is not None:
        errors.append(missed)
        work.observer.failed("verify", target.name, missed.message)

    def step(stage: str, action: Callable[[Progress], tuple[bool, list[EdgepackError]]]) -> None:
        if not plan.runs(stage):
            return
        begun = time.monotonic()
        reason = None
        cached = False
        try:
            with store.explain_os_errors(folder):
                cached, problems = action(lambda event: work.observer.progress(stage, event))
        except EdgepackError as error:
            problems = [error]
        for problem in problems:
            reason = problem.message
            work.observer.failed(stage, target.name, problem.message)
        errors.extend(problems)
        seconds = time.monotonic() - begun
        work.worked = work.worked or not cached
        if not problems:
            work.observer.finished(stage, target.name, seconds=seconds, cached=cached)
        work.record(stage, seconds=round(seconds, 3), cached=cached, reason=reason)

    step("image", lambda progress: _package(plan, target, folder, verification, progress))
    step("bench", lambda progress: _bench(plan, target, folder, verification, progress))
    with store.explain_os_errors(folder):
        measured = latency.read(folder)
        if measured is not None:
            bundle.record(folder, "choice", choice.of_bundle(verification, measured))
        bundle.seal(folder)
    return errors


def _verification(
    plan: Plan, target: Target, verified: Entry, exported: Entry
) -> tuple[dict[str, Any], list[Judgement]]:
    """The part of the verification that concerns a target, held against the gates."""
    document = json.loads((verified.path / "verify.json").read_text())
    files = {record["file"] for record in document["artifacts"] if _fits(target, record["file"], record["runtime"])}
    if not files:
        what = "artifacts" if plan.recipe.model.finished else "exports"
        raise RecipeError(
            f"target {target.name}: none of the recipe's {what} suits it; "
            f"it takes {', '.join(sorted(target.formats()))} in {', '.join(target.precisions)}",
            fix=f"add one that does to the recipe's {what}, or drop the target",
        )
    records = [r for r in document["artifacts"] if _fits(target, r["file"], r["runtime"])]
    judgements: list[Judgement] = []
    for record in records:
        name = f"{record['file']}@{record['runtime']}"
        judgements += gates.judge_artifact(
            plan.recipe.gates,
            artifact=name,
            accuracy=record["accuracy"],
            drop=record["drop"],
            top1_agreement=record["top1_agreement"],
            unjudged=SMOKE if plan.smoke else None,
            alone=document["baseline"].get("reason"),
        )
        judgements += gates.judge_placement(
            target, artifact=name, precision=record["file"].split(".")[1], details=record["details"]
        )
        if record["max_abs_limit"] is not None:
            same = record["status"] == "ok"
            limit, error = record["max_abs_limit"], record["max_abs_error"]
            judgements.append(Judgement("float_parity", name, limit, error, "ok" if same else "failed"))
    known = files | {name for p in document["pairs"] for name in _keras_models(p)}
    runtimes = {KERAS, "litert", *target.runtimes}
    pairs = [p for p in document["pairs"] if all(s["file"] in known and s["runtime"] in runtimes for s in _sides(p))]
    judgements += _judge_pairs(pairs, {(r["file"], r["runtime"]): r["details"].get("caution") for r in records})
    held = [record for record in document["weights"] if record["file"] in files]
    judgements += [Judgement(**gate) for record in held for gate in record["gates"]]
    for name in sorted(files):
        size = (exported.path / name).stat().st_size
        judgements += gates.judge_size(plan.recipe.gates, target.budgets, artifact=name, size_bytes=size)
    failed = [item for item in judgements if item.status == "failed"]
    for record in records:
        name = f"{record['file']}@{record['runtime']}"
        missed = [item for item in failed if item.artifact in (name, record["file"]) and item.gate in gates.QUALITY]
        record["status"] = "failed" if missed else "ok"
        record["reasons"] = [
            f"{item.gate}: {'unknown' if item.value is None else f'{item.value:.4g}'}, limit {item.limit:.4g}"
            for item in missed
        ]
    result = {
        **document,
        "artifacts": records,
        "pairs": pairs,
        "weights": held,
        "gates": [item.to_dict() for item in judgements],
    }
    return result, failed


def _judge_pairs(pairs: list[dict[str, Any]], cautions: Mapping[tuple[str, str], str | None]) -> list[Judgement]:
    """A runtime may differ from LiteRT by as much as LiteRT's own kernels differ from each other.

    Args:
        pairs: As in ``verify.json``.
        cautions: What a runtime says against itself, by file and runtime.
    """

    def widest(file: str) -> float:
        own = [other for other in pairs if other["yardstick"] and other["a"]["file"] == file]
        return max((other["max_abs_difference"] for other in own), default=0.0)

    judgements = []
    for pair in pairs:
        name = f"{pair['b']['file']}@{pair['b']['runtime']}"
        if pair["status"] is not None:
            limit = widest(pair["a"]["file"])
            status: Status = "ok" if pair["status"] == "ok" else "failed"
            reason = cautions.get((pair["b"]["file"], pair["b"]["runtime"])) if status == "failed" else None
            judgements.append(Judgement("runtime_parity", name, limit, pair["max_abs_difference"], status, reason))
        if "layers" in pair:
            judgements.append(_judge_layers(name, pair["layers"]))
    return judgements


def _judge_layers(name: str, layers: Mapping[str, Any]) -> Judgement:
    """Fed the same integers, a layer may be off by a rounding; the first one that is further off is named."""
    first = layers["first_beyond"]
    reason = f"the first layer beyond it: {first['tensor']} ({first['operation']})" if first else None
    return Judgement("layer_parity", name, layers["limit"], layers["largest"], "failed" if first else "ok", reason)


def _keras_models(pair: Mapping[str, Any]) -> list[str]:
    """Names of the sides of a pair that are models and no files."""
    return [side["file"] for side in _sides(pair) if side["runtime"] == KERAS]


def _sides(pair: Mapping[str, Any]) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    return pair["a"], pair["b"]


def _fits(target: Target, file: str, runtime: str) -> bool:
    return runtime in target.runtimes and file.split(".")[1] in target.precisions


def _publish(
    plan: Plan, target: Target, lineage: Mapping[str, Any], verification: dict[str, Any], folder: Path
) -> bool:
    exported: Entry = lineage["export"]
    verified: Entry = lineage["verify"]
    files = list(dict.fromkeys(record["file"] for record in verification["artifacts"]))
    tensors = json.loads((verified.path / "tensors.json").read_text())
    data = json.loads((lineage["data"].path / "data.json").read_text())
    chains = _chains(lineage, files)
    artifacts = []
    for name in files:
        path = exported.path / name
        runtimes = [r for r in target.runtimes if runtime_format(r) == path.suffix.lstrip(".")]
        artifacts.append(
            {
                "file": name,
                "format": path.suffix.lstrip("."),
                "precision": name.split(".")[1],
                "sha256": store.file_digest(path),
                "size_bytes": path.stat().st_size,
                "runtimes": runtimes,
                **tensors["tensors"][f"{name}@{runtimes[0]}"],
                "tolerance": tensors["tolerances"][name],
                "lineage": chains[name],
            }
        )
    manifest = {
        "schema": bundle.MANIFEST_SCHEMA,
        "name": plan.recipe.name,
        "target": target.name,
        "platform": target.platform,
        "threads": target.threads,
        "smoke": plan.smoke,
        "task": data["task"],
        "recipe_sha256": plan.recipe.sha256(),
        "recipe": plan.recipe.essence(),
        "target_spec": target.resolved(),
        "data_fingerprint": data["fingerprint"],
        "labels": data["labels"],
        "preprocessing": data["preprocessing"],
        "columns": data["columns"],
        "artifacts": artifacts,
        "golden": {"file": "golden.npz", "samples": plan.recipe.verify.golden},
        "tools": {key: value for key, value in describe().items() if value is not None},
    }
    sources = {name: exported.path / name for name in files}
    sources["golden.npz"] = verified.path / "golden.npz"
    return bundle.publish(folder, files=sources, documents={"verify.json": verification}, manifest=manifest)


def _chains(lineage: Mapping[str, Any], files: list[str]) -> dict[str, list[dict[str, Any]]]:
    """Where each file comes from: stage by stage from the data, or for a finished one the file that came."""
    exported: Entry = lineage["export"]
    if lineage["train"] is None:
        record = json.loads((exported.path / "adopted.json").read_text())
        came = {item["file"]: {key: item[key] for key in ("source", "sha256", "added")} for item in record}
        return {name: [{"stage": "adopt", "digest": exported.digest, **came[name]}] for name in files}
    chain = [
        {"stage": "data", "digest": lineage["data"].digest},
        {"stage": "train", "digest": lineage["train"].digest},
        *({"stage": "compress", "digest": entry.digest} for entry in lineage["compress"]),
        {"stage": "export", "digest": exported.digest},
    ]
    return dict.fromkeys(files, chain)


def _package(
    plan: Plan, target: Target, folder: Path, verification: Mapping[str, Any], progress: Progress
) -> tuple[bool, list[EdgepackError]]:
    """What the artifacts are shipped in: a container image, zip files for apps, source for firmware."""
    made: list[tuple[bool, list[EdgepackError]]] = []
    if target.image is not None and target.image.family == package.FAMILY:
        made.append((package.make(folder, progress=progress, force=plan.forced("image")), []))
    if target.image is not None:
        made.append(_image(plan, target, target.image, folder, progress))
    if target.firmware is not None:
        made.append(embedding.make(folder, target, verification, progress=progress, force=plan.forced("image")))
    return all(cached for cached, _ in made), [problem for _, problems in made for problem in problems]


def _image(
    plan: Plan, target: Target, image: Image, folder: Path, progress: Progress
) -> tuple[bool, list[EdgepackError]]:
    options = imaging.Options(
        tag=imaging.default_tag(plan.run_folder.name, target.name),
        base_image=plan.base_image or imaging.choose_base(image.base, image.platform),
        platform=image.platform,
        build=image.build,
    )
    return imaging.make(folder, target, options, progress=progress, force=plan.forced("image"))


def _bench(
    plan: Plan,
    target: Target,
    folder: Path,
    verification: Mapping[str, Any],
    progress: Progress,
) -> tuple[bool, list[EdgepackError]]:
    # A wrong model has no latency: only what passed verification is timed.
    passed = sorted({r["file"] for r in verification["artifacts"] if r["status"] == "ok"})
    protocol = Protocol.of(plan.recipe.bench, quick=plan.smoke)
    cached, errors = latency.measure_bundle(
        folder,
        target,
        passed,
        protocol,
        gates=plan.recipe.gates,
        unjudged=SMOKE if plan.smoke else None,
        progress=progress,
        force=plan.forced("bench"),
    )
    if not cached:
        measured = latency.read(folder) or {}
        documents = [measured[where] for where in ("host", "container") if measured.get(where)]
        history.append(
            plan.run_folder / "history", [record for one in documents for record in history.entries(one, folder)]
        )
    return cached, errors
