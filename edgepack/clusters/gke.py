"""How does Google's GKE serve a bundle, on Intel and AMD, Axion and Ampere or GPU nodes?"""

from edgepack.clusters import File, Workload, _overlay

IMAGE = True
NEEDS = (_overlay.BASE,)
EXAMPLE = "REGION-docker.pkg.dev/PROJECT/REPOSITORY/NAME"


def unsuitable(workload: Workload) -> str | None:
    """Without a registry its nodes find no image."""
    return _overlay.unsuitable(workload, example=EXAMPLE)


def files(workload: Workload) -> dict[str, File]:
    """An overlay of `kubernetes`; GPU and Arm nodes of GKE are tainted, and the patch tolerates it."""
    return _overlay.files(
        workload,
        cloud="Google GKE",
        pool_label="cloud.google.com/gke-nodepool",
        hints=[
            f"Images: {EXAMPLE}; nodes read Artifact Registry with their service account.",
            "arm64: Axion and Ampere (C4A, N4A, T2A). GPU: any pool with accelerators; Autopilot wants its type, too:",
            "add the label cloud.google.com/gke-accelerator to nodeSelector.",
        ],
    )
