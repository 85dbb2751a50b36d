"""How does Microsoft's AKS serve a bundle, on Intel and AMD, Cobalt and Ampere or GPU nodes?"""

from edgepack.clusters import File, Workload, _overlay

IMAGE = True
NEEDS = (_overlay.BASE,)
EXAMPLE = "NAME.azurecr.io/NAME"


def unsuitable(workload: Workload) -> str | None:
    """Without a registry its nodes find no image."""
    return _overlay.unsuitable(workload, example=EXAMPLE)


def files(workload: Workload) -> dict[str, File]:
    """An overlay of `kubernetes`; a node pool is an agent pool."""
    return _overlay.files(
        workload,
        cloud="Azure AKS",
        pool_label="kubernetes.azure.com/agentpool",
        gpu_taint=("sku", "gpu"),
        hints=[
            f"Images: {EXAMPLE}; `az aks update --attach-acr` lets nodes read it.",
            "arm64: Cobalt and Ampere (Dpsv6, Dpsv5). GPU: NC and ND sizes, with NVIDIA's device plugin.",
        ],
    )
