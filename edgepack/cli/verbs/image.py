"""What does `edgepack image` do: build a bundle's image, or show what is in one?"""

from functools import partial
from pathlib import Path
from shlex import quote
from typing import Annotated

import typer

INSPECT = "inspect"


def command(
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="[inspect] BUNDLE", help="A bundle: out/<recipe>/<target>. After `inspect` also an image's name."
        ),
    ],
    tag: Annotated[str | None, typer.Option(help="Name of the image; default edgepack/<recipe>:<target>.")] = None,
    base_image: Annotated[
        str | None, typer.Option(envvar="EDGEPACK_BASE_IMAGE", help="Base image, instead of the target's.")
    ] = None,
    platform: Annotated[str | None, typer.Option(help="linux/amd64 or linux/arm64, instead of the target's.")] = None,
    push: Annotated[
        str | None, typer.Option(metavar="REGISTRY/NAME", help="Push it there, with the engine's own credentials.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> int:
    """Build a bundle's image and leave its build context; `image inspect` shows MB by layer and by package."""
    from edgepack.errors import RecipeError

    verb, *rest = words
    if verb == INSPECT and len(rest) == 1:
        return _inspect(rest[0], json=json)
    if rest or verb == INSPECT:
        raise RecipeError(
            f"`edgepack image {' '.join(words)}` is not understood; expected one bundle, or `inspect` and one more",
            fix="see `edgepack image --help`",
        )
    return _build(Path(verb), tag=tag, base_image=base_image, platform=platform, push=push, json=json)


def _inspect(what: str, *, json: bool) -> int:
    from edgepack import images_of_bundles
    from edgepack.cli.output import print_json
    from edgepack.images import contents

    found = images_of_bundles.inspect(what)
    if json:
        print_json(found.to_dict())
    else:
        typer.echo(contents.table(found))
    return 0


def _build(
    bundle: Path, *, tag: str | None, base_image: str | None, platform: str | None, push: str | None, json: bool
) -> int:
    from edgepack import bundle as bundles
    from edgepack import images_of_bundles, imaging
    from edgepack.cli.output import Progress, print_json, results, say_next
    from edgepack.errors import MissingError
    from edgepack.images import registry
    from edgepack.store import explain_os_errors

    if push is not None:
        registry.parse(push, "latest")  # a wrong name is told before the build

    folder = bundles.require(bundle)
    manifest = bundles.read_manifest(folder)
    target = bundles.target_of(folder, manifest)
    image = imaging.of_target(target)
    wanted = platform or image.platform
    options = imaging.Options(
        tag=tag or imaging.default_tag(folder.resolve().parent.name, manifest["target"]),
        base_image=base_image or imaging.choose_base(image.base, wanted),
        platform=wanted,
        build=True,
    )
    with Progress(quiet=json, about=str(folder.resolve())) as progress, explain_os_errors(folder):
        progress.started("image", options.tag)
        try:
            _, problems = imaging.make(
                folder, target, options, progress=partial(progress.progress, "image"), force=True
            )
            built = (imaging.read(folder) or {}).get("status") == "built"
            if push is not None and built and not problems:
                images_of_bundles.push(folder, push, progress=partial(progress.progress, "image"))
        finally:
            # A build that fails leaves its context, and the bundle must stay one that verifies.
            bundles.seal(folder)
    document = imaging.read(folder) or {}
    if json:
        print_json(document)
    elif document["status"] == "built":
        out = results()
        out.print(f"{document['tag']}  {document['size_mib']:.1f} MiB  {document['id']}", soft_wrap=True)
        for layer in document["layers"]:
            out.print(f"  {layer['name']:<10} {layer['size_mib']:>8.1f} MiB")
        if document["pushed"]:
            out.print(f"pushed {document['pushed']['reference']}  {document['pushed']['digest']}", soft_wrap=True)
        say_next(
            f"edgepack image inspect {quote(str(bundle))}",
            f"edgepack verify {quote(str(bundle))} --on docker",
            f"docker run --rm --network none {document['tag']}",
        )
    if document["status"] != "built":
        raise MissingError(
            f"no image was built: {document['reason']}. The context is in {folder / 'image'}",
            fix=f"start a container engine and try again, or later: {document['command']}",
        )
    if problems:
        raise problems[0]
    return 0
