"""Where do many copies of a bundle's server run? One file for each kind of cluster, named by the file's name."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from edgepack.clusters._image import Image
from edgepack.clusters._resources import Resources

__all__ = ["ClusterKind", "File", "Image", "Resources", "Workload"]

PORT = 8000
"""On which ``serve`` listens inside its container."""

TOKENS, TLS = "/secrets/tokens", "/secrets/tls"
"""Folders of a container with the file ``tokens``, and with ``tls.crt`` and ``tls.key`` as Kubernetes calls them."""

USER = 65532
"""The numeric user and group of every image."""

File = str | Path
"""The text of a file, or a file of the bundle to be copied."""


@dataclass(frozen=True)
class Workload:
    """What a bundle needs wherever it is served.

    Attributes:
        name: A DNS label that begins with a letter, for every object.
        image: The container image that serves; None = none was given, and only kinds without ``IMAGE`` are written.
        architecture: Of the nodes.
        gpu: Whether a replica takes an NVIDIA GPU.
        resources: Processor and memory of one replica, and where the figures come from.
        replicas: Copies that run at least.
        max_replicas: Copies that an autoscaler starts at most.
        node_pool: Name of the cloud's node pool or node group to run on; None = any that suits.
        port: Port that the outside sees where a kind publishes one.
        tokens: Name of the secret with the tokens of clients; None = nobody is asked for one.
        tls: Name of the secret with certificate chain and key; None = plain HTTP.
        bundle: The bundle's folder.
        manifest: Its manifest.
        artifacts: The manifest's entries of the artifacts that passed verification.
    """

    name: str
    image: Image | None
    architecture: Literal["amd64", "arm64"]
    gpu: bool
    resources: Resources
    replicas: int
    max_replicas: int
    node_pool: str | None
    port: int
    bundle: Path
    manifest: Mapping[str, Any]
    artifacts: Sequence[Mapping[str, Any]]
    tokens: str | None = None
    tls: str | None = None

    @property
    def reference(self) -> str:
        """The image as a container engine is told it."""
        assert self.image is not None, "kinds that name an image are written only where there is one"
        return self.image.reference

    @property
    def words(self) -> list[str]:
        """What the image is told: to serve, what was chosen among its artifacts, if it was, and where secrets lie."""
        choice = self.manifest.get("choice")
        return [
            "serve",
            *(["--artifact", choice["artifact"], "--runtime", choice["runtime"]] if choice else []),
            *(["--token-file", f"{TOKENS}/tokens"] if self.tokens else []),
            *(["--tls-cert", f"{TLS}/tls.crt", "--tls-key", f"{TLS}/tls.key"] if self.tls else []),
        ]

    @property
    def title(self) -> str:
        """For the head of a file."""
        return f"{self.manifest['name']} for {self.manifest['target']}, recipe {self.manifest['recipe_sha256'][:12]}"


class ClusterKind(Protocol):
    """A module in ``edgepack/clusters``.

    ``IMAGE`` says whether the kind runs the bundle's own image; ``NEEDS`` names kinds whose files it refers to, in
    folders beside its own.
    """

    IMAGE: bool
    NEEDS: tuple[str, ...]

    def unsuitable(self, workload: Workload) -> str | None:
        """Why this kind cannot be written for a bundle, half a sentence that follows "because"; None = it can."""

    def files(self, workload: Workload) -> dict[str, File]:
        """The kind's files by their paths in its folder; the same workload gives the same bytes."""
