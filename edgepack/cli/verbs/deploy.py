"""edgepack deploy: files that clusters and inference servers take."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated

import typer


def command(
    bundle: Annotated[Path, typer.Argument(help="A bundle: out/<recipe>/<target>.")],
    image: Annotated[
        str | None,
        typer.Option(help="The bundle's image as the cluster finds it: REGISTRY/NAME, with :TAG or @DIGEST."),
    ] = None,
    kind: Annotated[
        list[str] | None,
        typer.Option(help="aks, compose, eks, gke, kserve, kubernetes, triton; repeatable. Default: all that suit."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder, with one for each kind in it; default out/<recipe>/deploy/<target>.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="Name of all objects; default <recipe>-<target>.")] = None,
    replicas: Annotated[int, typer.Option(min=1, help="Copies that run at least.")] = 2,
    max_replicas: Annotated[int, typer.Option(min=1, help="Copies that an autoscaler starts at most.")] = 10,
    node_pool: Annotated[
        str | None, typer.Option(help="Name of the cloud's node pool or node group to run on.")
    ] = None,
    memory_mib: Annotated[
        int | None, typer.Option(min=16, help="Memory of one replica, MiB, instead of what was measured.")
    ] = None,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port that Compose and Swarm publish.")] = 8000,
    tokens: Annotated[
        str | None, typer.Option(help="Name of a secret with tokens, one a line; clients must show one.")
    ] = None,
    tls: Annotated[str | None, typer.Option(help="Name of a secret with certificate and key; serve HTTPS.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> int:
    """Write Compose, Kubernetes, KServe, EKS, AKS and GKE files, or a Triton model repository."""
    from edgepack import bundle as bundles
    from edgepack import deployment
    from edgepack.cli.output import print_json, results, say_next
    from edgepack.store import explain_os_errors

    folder = bundles.require(bundle)
    place = out or folder.resolve().parent / "deploy" / folder.resolve().name
    options = deployment.Options(
        image=image,
        kinds=tuple(dict.fromkeys(kind or ())),
        name=name,
        replicas=replicas,
        max_replicas=max_replicas,
        node_pool=node_pool,
        memory_mib=memory_mib,
        port=port,
        tokens=tokens,
        tls=tls,
    )
    with explain_os_errors(place):
        document = deployment.deploy(folder, place, options)
    if json:
        print_json(document)
        return 0
    screen = results()
    screen.print(f"{document['name']}: {document['image'] or 'no image'}", soft_wrap=True)
    screen.print(document["resources"]["basis"], soft_wrap=True)
    for each, files in document["kinds"].items():
        for file in files:
            screen.print(f"  {place / each / file}", soft_wrap=True)
    for each, reason in document["left_out"].items():
        screen.print(f"  {each}: left out, because {reason}", soft_wrap=True)
    say_next(*_after(place, document["kinds"]))
    return 0


def _after(place: Path, kinds: Mapping[str, Iterable[str]]) -> list[str]:
    """The commands that take what was written."""
    from shlex import quote

    found = []
    for kind, files in kinds.items():
        names = {Path(file).name for file in files}
        if "kustomization.yaml" in names:
            found.append(f"kubectl apply --kustomize {quote(str(place / kind))}")
        elif "compose.yaml" in names:
            found.append(f"docker compose --file {quote(str(place / kind / 'compose.yaml'))} up")
    return found or [f"ls {quote(str(place))}"]
