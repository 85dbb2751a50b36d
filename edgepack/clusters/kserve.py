"""How does KServe serve a bundle: as an InferenceService whose predictor is the bundle's own image?"""

from typing import Any

from edgepack.clusters import File, Workload, _pod
from edgepack.clusters._yaml import dump
from edgepack.clusters.kubernetes import BUSY_PERCENT

IMAGE = True
NEEDS: tuple[str, ...] = ()


def unsuitable(workload: Workload) -> str | None:
    """It runs wherever an image runs, behind an ingress that speaks plain HTTP to it."""
    return "KServe's ingress has the certificate, and speaks plain HTTP to its servers" if workload.tls else None


def files(workload: Workload) -> dict[str, File]:
    """One object. KServe makes Deployment, Service and autoscaler of it."""
    head = f"{workload.title}. Made by edgepack; for KServe on Kubernetes 1.30 and later.\n{workload.resources.basis}"
    return {"inference-service.yaml": dump(_service(workload), head=head)}


def _service(workload: Workload) -> dict[str, Any]:
    pod = _pod.spec(workload, container="kserve-container", port_name="http1")
    (container,) = pod["containers"]
    # KServe reads the protocol of a custom container from this variable; without it clients are told version 1.
    container["env"] = [{"name": "PROTOCOL", "value": "v2"}]
    return {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {
            **_pod.metadata(workload),
            "annotations": {
                **_pod.annotations(workload),
                # Knative takes no node selectors, volumes and hooks of pods unless each is switched on.
                "serving.kserve.io/deploymentMode": "RawDeployment",
            },
        },
        "spec": {
            "predictor": {
                "minReplicas": workload.replicas,
                "maxReplicas": workload.max_replicas,
                "scaleMetric": "cpu",
                "scaleTarget": BUSY_PERCENT,
                **pod,
            }
        },
    }
