"""How does a bundle get its container image, and what is left when no engine can build it?"""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgepack import bundle
from edgepack.errors import BudgetError, EdgepackError, MissingError, RecipeError
from edgepack.store import code_digest, key_of, versions, write_json
from edgepack.target import Image, Target
from edgepack.verify import gates

if TYPE_CHECKING:
    from edgepack.images.contents import Contents
    from edgepack.images.facts import Facts

IMAGE_SCHEMA = "edgepack.image/1"
MODELS_LABEL = "io.edgepack.model-sha256"
Progress = Callable[[Mapping[str, Any]], None]


@dataclass(frozen=True)
class Options:
    """What to build.

    Attributes:
        tag: Name of the image.
        base_image: Image to start from.
        platform: ``linux/amd64`` or ``linux/arm64``.
        build: False leaves the context and the command only.
    """

    tag: str
    base_image: str
    platform: str
    build: bool


def default_tag(recipe: str, target: str) -> str:
    """``edgepack/<recipe>:<target>``."""
    return f"edgepack/{recipe}:{target}"


def choose_base(candidates: Sequence[str], platform: str) -> str:
    """The first base image that the engine holds for a platform, else the last candidate, to be pulled."""
    from edgepack.images import engine

    if len(candidates) > 1 and engine.available():
        with closing(engine.connect()) as client:
            for name in candidates:
                with suppress(Exception):  # not there, or not readable: then it is no choice
                    record = client.images.get(name).attrs
                    if f"{record['Os']}/{record['Architecture']}" == platform:
                        return name
    return candidates[-1]


def wheel_cache() -> Path:
    """Folder that keeps downloaded wheels between runs: ``$XDG_CACHE_HOME/edgepack/wheels``."""
    root = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(root) / "edgepack" / "wheels"


def of_target(target: Target) -> Image:
    """The image that a target asks for.

    Raises:
        RecipeError: It asks for none.
    """
    if target.image is None:
        raise RecipeError(
            f"the target {target.name} has no image", fix="its sources are in the bundle's folder firmware/"
        )
    return target.image


def make(
    folder: Path, target: Target, options: Options, *, progress: Progress, force: bool = False
) -> tuple[bool, list[EdgepackError]]:
    """Write a bundle's build context and build it when an engine answers.

    ``image/image.json`` says what was done. Where no engine answers that is no error: the context and the command
    that builds it later are there.

    Returns:
        Whether everything was there already, and what went wrong: a budget that was missed. The bundle keeps the
        context when the engine or the base image fails.

    Raises:
        RecipeError: The target has no image.
        EdgepackError: The context could not be written, or the image could not be built.
    """
    wanted = of_target(target)
    from edgepack.images import base, context, engine, layers

    def say(text: str) -> None:
        progress({"label": "image", "text": text})

    manifest = bundle.read_manifest(folder)
    status = engine.status()
    key = key_of(
        {name: manifest["files"][name] for name in _model_files(manifest)},
        asdict(options),
        target.resolved(),
        code_digest("images", "runner", "serving", "android", "imaging"),
        versions(
            *layers.session_needs(target.runtimes)[0],
            *layers.serving_needs(wanted.family, pictures=wanted.pictures)[0],
        ),
        status.version is not None,
    )
    previous = read(folder)
    if not force and previous is not None and previous.get("key") == key and _still_there(previous):
        return True, _judge(previous, target)
    facts, failure = _base_facts(options, wanted.python, say) if status.version else (None, None)
    lacking = layers.lacking(wanted.family, facts)
    if lacking:
        failure = MissingError(
            f"the base image {options.base_image} has no {' and no '.join(lacking)}, which an image of the family "
            f"{wanted.family} needs",
            fix=f"make one that has: containers/base/build --with {lacking[0]}, then --base-image {base.WITH_ADB}",
        )
    made = context.write(
        folder,
        family=wanted.family,
        pictures=wanted.pictures,
        platform=options.platform,
        runtimes=target.runtimes,
        base_image=options.base_image,
        python_version=wanted.python,
        labels=labels(manifest),
        wheel_cache=wheel_cache(),
        progress=say,
        base=facts,
    )
    document: dict[str, Any] = {
        "schema": IMAGE_SCHEMA,
        "key": key,
        "status": "context only",
        "reason": None,
        "tag": options.tag,
        "id": None,
        "platform": options.platform,
        "base_image": options.base_image,
        "base_digest": None,
        "size_mib": None,
        "layers": [],
        "contents": None,
        "pushed": None,
        "packages": [asdict(package) for package in made.packages],
        "provided": list(made.provided),
        "command": engine.build_command(folder / "image", options.tag, options.platform, options.base_image),
    }
    if not options.build:
        document["reason"] = f"target {target.name} asks for the build context only (image.build: false)"
    elif status.version is None:
        document["reason"] = status.reason
    else:
        try:
            if failure is not None:
                raise failure
            image = engine.build(
                made.path, tag=options.tag, platform=options.platform, base_image=options.base_image, progress=say
            )
        except EdgepackError as error:
            failed = {**document, "key": None, "status": "failed", "reason": error.message}
            if previous is not None and previous["status"] == "built":
                # The engine still has the image from before: the tag moves only when a build succeeds.
                failed = {**previous, "key": None, "reason": f"building it again failed: {error.message}"}
            write(folder, failed)
            raise
        document |= {
            "status": "built",
            "id": image.id,
            "base_digest": image.base_digest,
            "size_mib": round(image.size_mib, 3),
            "layers": [{"name": layer.name, "size_mib": round(layer.size_mib, 3)} for layer in image.layers],
            "contents": _contents(image.id).to_dict(),
        }
    if document["size_mib"] is not None:
        judged = gates.at_most("image_mib", "image", target.budgets.image_mib, document["size_mib"])
        document["gates"] = [item.to_dict() for item in judged]
    write(folder, document)
    return False, _judge(document, target)


def _contents(image: str) -> "Contents":
    from edgepack.images import contents, engine

    with closing(engine.connect()) as client, engine.failures("while the image was looked through"):
        return contents.of_image(client, image)


def _base_facts(
    options: Options, python_version: str, say: Callable[[str], None]
) -> tuple["Facts | None", EdgepackError | None]:
    """What the base image has, pulled when it is to be built on; or why that cannot be known.

    The context is written in either case: without knowledge of its base it holds everything itself.
    """
    from edgepack.images import engine, facts

    try:
        with closing(engine.connect()) as client, engine.failures("while it looked for the base image"):
            found = facts.look(client, options.base_image, options.platform, python_version, say, pull=options.build)
    except EdgepackError as error:
        return None, error
    return found, None


def read(folder: Path) -> dict[str, Any] | None:
    """``image/image.json`` of a bundle, or None."""
    try:
        document = json.loads((folder / "image" / "image.json").read_text())
    except (OSError, ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def write(folder: Path, document: Mapping[str, Any]) -> None:
    """Write ``image/image.json``."""
    write_json(folder / "image" / "image.json", document)


def labels(manifest: Mapping[str, Any]) -> dict[str, str]:
    """OCI labels of a bundle's image (https://github.com/opencontainers/image-spec/blob/main/annotations.md)."""
    from edgepack import __version__

    return {
        "org.opencontainers.image.title": f"{manifest['name']} for {manifest['target']}",
        "org.opencontainers.image.version": manifest["recipe_sha256"][:12],
        "org.opencontainers.image.vendor": f"edgepack {__version__}",
        "io.edgepack.recipe-sha256": manifest["recipe_sha256"],
        "io.edgepack.target": manifest["target"],
        MODELS_LABEL: ",".join(artifact["sha256"] for artifact in manifest["artifacts"]),
    }


def _model_files(manifest: Mapping[str, Any]) -> list[str]:
    return [*(artifact["file"] for artifact in manifest["artifacts"]), manifest["golden"]["file"]]


def _still_there(document: Mapping[str, Any]) -> bool:
    if document["status"] != "built":
        return True
    from edgepack.images import engine

    try:
        with closing(engine.connect()) as client:
            client.images.get(document["id"])
    except Exception:
        return False
    return True


def _judge(document: Mapping[str, Any], target: Target) -> list[EdgepackError]:
    from edgepack.images import contents

    limit, size = target.budgets.image_mib, document.get("size_mib")
    if limit is None or size is None or size <= limit:
        return []
    parts = f"\n{contents.table(contents.from_dict(found))}" if (found := document.get("contents")) else ""
    return [
        BudgetError(
            f"{target.name}: the image has {size:.1f} MiB, the budget is {limit:g} MiB{parts}",
            fix="use a smaller base image or fewer runtimes, or raise budgets.image_mib in the target",
        )
    ]
