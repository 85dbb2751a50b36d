"""How does a bundle become files that clusters and inference servers take?"""

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, cast

from edgepack import bundle, extensions, latency
from edgepack.clusters import ClusterKind, File, Resources, Workload, _image, _names, _resources
from edgepack.errors import RecipeError, VerificationError
from edgepack.images.layers import SERVING
from edgepack.runner.tensors import TensorSpec
from edgepack.store import file_digest, write_atomic, write_json
from edgepack.target import Target

PACKAGE = "edgepack.clusters"
DEPLOYMENT_SCHEMA = "edgepack.deployment/1"
RECORD = "deployment.json"
AGAIN = "make the bundle again with `edgepack run`"


@dataclass(frozen=True)
class Options:
    """What a user asks for.

    Attributes:
        image: Reference of the image, or None where only a repository for another server is wanted.
        kinds: Names of kinds; empty = all that suit the bundle.
        name: Name of all objects; None = recipe and target.
        replicas: Copies at least.
        max_replicas: Copies that an autoscaler starts at most.
        node_pool: A cloud's node pool; None = any.
        memory_mib: Limit of one replica; None = from what was measured.
        port: Port that Compose and Swarm publish.
        tokens: Name of a secret with the tokens of clients; None = nobody is asked for one.
        tls: Name of a secret with certificate chain and key; None = plain HTTP.
    """

    image: str | None
    kinds: tuple[str, ...] = ()
    name: str | None = None
    replicas: int = 2
    max_replicas: int = 10
    node_pool: str | None = None
    memory_mib: int | None = None
    port: int = 8000
    tokens: str | None = None
    tls: str | None = None


def deploy(folder: Path, out: Path, options: Options) -> dict[str, Any]:
    """Write the files of each kind into ``out/<kind>``.

    Files of an earlier call are replaced; files that a user wrote or changed are not.

    Returns:
        The document that is left as ``deployment.json``: ``name``, ``image``, ``resources``, ``kinds`` with the
        digests of their files, ``left_out`` with reasons.

    Raises:
        MissingError: The folder is no bundle.
        RecipeError: The options do not fit the bundle, or a file would be lost.
        VerificationError: The bundle was altered, is a smoke run's, or nothing in it passed verification.
    """
    workload = describe(folder, options)
    if out.resolve().is_relative_to(folder.resolve()):
        raise RecipeError(
            f"--out {out} is inside the bundle, whose files its manifest lists", fix="choose another folder with --out"
        )
    chosen, left_out = _choose(workload, options.kinds)
    files = {name: _kind(name).files(workload) for name in chosen}
    previous = _read(out)
    _refuse_losses(out, previous, files)
    document = {
        "schema": DEPLOYMENT_SCHEMA,
        "bundle": folder.resolve().name,
        "recipe_sha256": workload.manifest["recipe_sha256"],
        "name": workload.name,
        "image": None if workload.image is None else workload.image.reference,
        "resources": asdict(workload.resources),
        "kinds": {
            **previous,
            **{name: _write(out / name, made, previous.get(name, {})) for name, made in files.items()},
        },
        "left_out": left_out,
    }
    document["kinds"] = dict(sorted(document["kinds"].items()))
    write_json(out / RECORD, document)
    return document


def describe(folder: Path, options: Options) -> Workload:
    """What a bundle needs wherever it is served; see `deploy` for what is raised."""
    bundle.require(folder)
    manifest = bundle.read_manifest(folder)
    target = bundle.target_of(folder, manifest)
    artifacts = _passed(folder, manifest)
    gpu = target.image is not None and target.image.family == "gpu"
    if options.max_replicas < options.replicas:
        raise RecipeError(
            f"--max-replicas {options.max_replicas} is below --replicas {options.replicas}", fix="raise --max-replicas"
        )
    return Workload(
        name=_names.check(options.name) if options.name else _names.label(manifest["name"], manifest["target"]),
        image=_image.parse(options.image, default_tag=manifest["target"]) if options.image else None,
        architecture=_architecture(target),
        gpu=gpu,
        resources=_measured(folder, manifest, target, gpu=gpu, memory_mib=options.memory_mib),
        replicas=options.replicas,
        max_replicas=options.max_replicas,
        node_pool=options.node_pool,
        port=options.port,
        bundle=folder,
        manifest=manifest,
        artifacts=artifacts,
        tokens=_names.check(options.tokens, "--tokens") if options.tokens else None,
        tls=_names.check(options.tls, "--tls") if options.tls else None,
    )


def _measured(
    folder: Path, manifest: Mapping[str, Any], target: Target, *, gpu: bool, memory_mib: int | None
) -> Resources:
    try:
        return _resources.of_bundle(
            target.threads, latency.read(folder), choice=manifest.get("choice"), gpu=gpu, memory_mib=memory_mib
        )
    except (KeyError, TypeError, AttributeError, ValueError, OverflowError) as error:
        raise VerificationError(
            f"{folder / 'latency.json'} is damaged: {type(error).__name__}: {error}", fix=AGAIN
        ) from error


def _architecture(target: Target) -> Literal["amd64", "arm64"]:
    """Of the machines that serve.

    Raises:
        RecipeError: The target's image does not serve.
    """
    if target.image is None or target.image.family not in SERVING:
        what = "no image" if target.image is None else f"an image of the family {target.image.family!r}"
        raise RecipeError(
            f"the target {target.name} has {what}; expected one that serves: {' or '.join(SERVING)}",
            fix="deploy the bundle of a target for Linux, e.g. linux-amd64-cpu",
        )
    return "arm64" if target.image.platform == "linux/arm64" else "amd64"


def _passed(folder: Path, manifest: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The artifacts that may be shipped: whole, verified in every runtime, of no smoke run."""
    changed = bundle.changed_files(folder, manifest)
    if changed:
        raise VerificationError("\n".join(f"{folder}: {problem}" for problem in changed), fix=AGAIN)
    if manifest.get("smoke"):
        raise VerificationError(
            f"{folder} is a smoke run's: it was trained for a moment, and is not to be shipped",
            fix="run the recipe without --smoke",
        )
    try:
        records = json.loads((folder / "verify.json").read_text())["artifacts"]
        failed = {record["file"] for record in records if record["status"] != "ok"}
        passed = [artifact for artifact in manifest["artifacts"] if artifact["file"] not in failed]
        for artifact in passed:
            if not all(isinstance(artifact[key], list) and artifact[key] for key in ("inputs", "outputs")):
                raise ValueError(f"{artifact['file']} has no tensors")
            for tensor in (*artifact["inputs"], *artifact["outputs"]):
                TensorSpec.from_dict(tensor)
            _ = artifact["format"], artifact["precision"]
        if (choice := manifest.get("choice")) is not None:
            _ = choice["artifact"] + choice["runtime"]
        if not all(isinstance(label, str) for label in manifest["labels"]):
            raise ValueError("labels are no texts")
        _ = (
            manifest["task"],
            manifest["preprocessing"]["scale"],
            manifest["preprocessing"]["offset"],
        )
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise VerificationError(f"{folder} is damaged: {type(error).__name__}: {error}", fix=AGAIN) from error
    if not passed:
        raise VerificationError(
            f"{folder}: no artifact of it passed verification", fix="see its report for the gates that were missed"
        )
    return passed


def _choose(workload: Workload, wanted: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """The kinds to write, those included that others stand on, and why others are left out.

    Raises:
        RecipeError: A kind that was asked for by name cannot be written, or none can.
    """
    chosen: dict[str, None] = {}
    left_out: dict[str, str] = {}
    for name in wanted or extensions.names(PACKAGE):
        kind = _kind(name)
        reason = kind.unsuitable(workload)
        if reason is None and kind.IMAGE and workload.image is None:
            reason = "no --image was given, and it runs one"
        if reason is None:
            chosen |= dict.fromkeys([*kind.NEEDS, name])
        elif wanted:
            raise RecipeError(
                f"{name} cannot be written: {reason}",
                fix="give --image REGISTRY/NAME:TAG" if kind.IMAGE else "leave this --kind out",
            )
        else:
            left_out[name] = reason
    if not chosen:
        raise RecipeError(
            "nothing to write: " + "; ".join(f"{name}: {reason}" for name, reason in left_out.items()),
            fix="give --image REGISTRY/NAME:TAG",
        )
    return list(chosen), left_out


def _kind(name: str) -> ClusterKind:
    return cast("ClusterKind", extensions.load(PACKAGE, name))


def _read(out: Path) -> dict[str, dict[str, str]]:
    """Digests of the files that an earlier call left, by kind; empty when there was none."""
    try:
        document = json.loads((out / RECORD).read_text())
        kinds = document["kinds"] if document["schema"] == DEPLOYMENT_SCHEMA else {}
        known = {str(kind): {str(k): str(v) for k, v in files.items()} for kind, files in kinds.items()}
        outside = [
            name
            for kind in known
            for name in known[kind]
            if not (out / kind / name).resolve().is_relative_to(out.resolve())
        ]
        if outside:
            raise ValueError(f"it names a file outside the folder: {outside[0]!r}")
        return known
    except FileNotFoundError:
        return {}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise RecipeError(
            f"{out / RECORD} is damaged: {error}", fix="delete it with the folders beside it, or give another --out"
        ) from error


def _refuse_losses(
    out: Path, previous: Mapping[str, Mapping[str, str]], files: Mapping[str, Mapping[str, File]]
) -> None:
    """Leave alone what edgepack did not write.

    Raises:
        RecipeError: A file is there already and is not as an earlier call left it.
    """
    for kind, made in files.items():
        known = previous.get(kind, {})
        for name in sorted({*made, *known}):
            path = out / kind / name
            if path.exists() and (not path.is_file() or file_digest(path) != known.get(name)):
                raise RecipeError(
                    f"{path} was changed or written by someone else; it would be lost",
                    fix="move it away, or give another --out; changes of your own belong into an overlay",
                )


def _write(folder: Path, files: Mapping[str, File], previous: Mapping[str, str]) -> dict[str, str]:
    """Write a kind's files, take away those of an earlier call that are no longer among them, tell their digests."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, Path):
            shutil.copyfile(content, path)
        else:
            write_atomic(path, content.encode(errors="replace"))  # names in a file may be no text
    for name in set(previous) - set(files):
        (folder / name).unlink(missing_ok=True)
    return {name: file_digest(folder / name) for name in sorted(files)}
