"""What does a cloud's Kubernetes need beyond what every Kubernetes needs, as a Kustomize overlay?"""

from collections.abc import Sequence
from typing import Any

from edgepack.clusters import File, Workload
from edgepack.clusters._pod import tolerated
from edgepack.clusters._yaml import dump

BASE = "kubernetes"
"""The kind whose folder an overlay stands on."""

ARM_TAINT = tolerated("kubernetes.io/arch", "arm64")
"""Arm nodes among others are often kept free of images for other processors, on Google's clusters always."""


def unsuitable(workload: Workload, *, example: str) -> str | None:
    """Nodes of a cloud find an image in a registry; a name without one means Docker Hub."""
    if workload.image is not None and workload.image.registry is None:
        return f"the image {workload.image.name!r} names no registry; expected one as in {example}"
    return None


def files(
    workload: Workload,
    *,
    cloud: str,
    pool_label: str,
    hints: Sequence[str],
    gpu_taint: tuple[str, str] | None = None,
) -> dict[str, File]:
    """The overlay: the image's name in one place, and a patch that puts the pods onto the cloud's nodes.

    Args:
        workload: What is served.
        cloud: The cloud's name, for the head.
        pool_label: Label of the nodes that has the name of their pool.
        hints: Sentences for the head of the patch.
        gpu_taint: Key and value by which the cloud's documents keep GPU nodes for GPU pods, beside NVIDIA's own.
    """
    image = workload.image
    assert image is not None, "overlays name an image"
    kustomization = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": [f"../{BASE}"],
        "images": [
            {
                "name": image.name,
                "newName": image.name,
                **({"digest": image.digest} if image.digest else {"newTag": image.tag}),
            }
        ],
        "patches": [{"path": "nodes.yaml"}],
    }
    head = f"{workload.title}, on {cloud}. Made by edgepack."
    images = "Another registry or tag: kustomize edit set image " + image.name + "=REGISTRY/NAME:TAG"
    return {
        "kustomization.yaml": dump(kustomization, head=f"{head}\n{images}"),
        "nodes.yaml": dump(_patch(workload, pool_label, gpu_taint), head="\n".join([head, *hints])),
    }


def _patch(workload: Workload, pool_label: str, gpu_taint: tuple[str, str] | None) -> dict[str, Any]:
    """A strategic merge patch: it replaces lists of tolerations, so that those of the base are in it again."""
    labels = {"kubernetes.io/os": "linux", "kubernetes.io/arch": workload.architecture}
    tolerations = [ARM_TAINT] if workload.architecture == "arm64" else []
    if workload.gpu:
        tolerations += [tolerated("nvidia.com/gpu"), *([tolerated(*gpu_taint)] if gpu_taint else [])]
    if workload.node_pool:
        labels[pool_label] = workload.node_pool
    pod = {"nodeSelector": labels, **({"tolerations": tolerations} if tolerations else {})}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": workload.name},
        "spec": {"template": {"spec": pod}},
    }
