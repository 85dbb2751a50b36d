"""How does Amazon's EKS serve a bundle, on Intel and AMD, Graviton or GPU nodes?"""

from edgepack.clusters import File, Workload, _overlay

IMAGE = True
NEEDS = (_overlay.BASE,)
EXAMPLE = "ACCOUNT.dkr.ecr.REGION.amazonaws.com/NAME"


def unsuitable(workload: Workload) -> str | None:
    """Without a registry its nodes find no image."""
    return _overlay.unsuitable(workload, example=EXAMPLE)


def files(workload: Workload) -> dict[str, File]:
    """An overlay of `kubernetes`; a node pool is a managed node group."""
    return _overlay.files(
        workload,
        cloud="Amazon EKS",
        pool_label="eks.amazonaws.com/nodegroup",
        hints=[
            f"Images: {EXAMPLE}; nodes read ECR with their own role.",
            "arm64: Graviton (m7g, c7g, r7g and their like). GPU: g5, g6 and their like, with NVIDIA's device plugin.",
        ],
    )
