"""What does Kubernetes have to know of a pod that serves a bundle?"""

from typing import Any

from edgepack.clusters import PORT, TLS, TOKENS, USER, Workload

LIVE, READY = "/v2/health/live", "/v2/health/ready"
"""Health of the Open Inference Protocol (https://github.com/kserve/open-inference-protocol)."""

START_S, GPU_START_S = 60, 900
"""Until a server must be ready: TensorRT builds its engine for the GPU at hand, which takes minutes."""

DRAIN_S = 5
"""A pod that ends answers on for as long: no sooner has every node stopped sending it connections."""

GRACE_S = 40
"""From the order to end until the kill: the time above, and what the server may take for its last answers."""

SHM_MIB = 64


def labels(workload: Workload) -> dict[str, str]:
    """Labels of every object: Kubernetes' recommended ones."""
    return {
        **selector(workload),
        "app.kubernetes.io/component": "inference",
        "app.kubernetes.io/version": workload.manifest["recipe_sha256"][:12],
        "app.kubernetes.io/managed-by": "edgepack",
    }


def selector(workload: Workload) -> dict[str, str]:
    """The labels by which pods are found: they never change."""
    return {"app.kubernetes.io/name": workload.name}


def annotations(workload: Workload) -> dict[str, str]:
    """What a pod was made from, and where its figures are read."""
    return {
        "prometheus.io/scrape": "true",
        "prometheus.io/port": str(PORT),
        "prometheus.io/path": "/metrics",
        **({"prometheus.io/scheme": "https"} if workload.tls else {}),
        "edgepack.io/recipe-sha256": workload.manifest["recipe_sha256"],
        "edgepack.io/target": workload.manifest["target"],
        "edgepack.io/resources": workload.resources.basis,
    }


def metadata(workload: Workload) -> dict[str, Any]:
    """Name and labels of an object."""
    return {"name": workload.name, "labels": labels(workload)}


def spec(workload: Workload, *, container: str, port_name: str) -> dict[str, Any]:
    """The pod: where it runs, as whom, and its one container.

    Args:
        workload: What is served.
        container: Name of the container.
        port_name: Name of its port.
    """
    return {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": GRACE_S,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "fsGroup": USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "nodeSelector": {"kubernetes.io/os": "linux", "kubernetes.io/arch": workload.architecture},
        **({"tolerations": [tolerated("nvidia.com/gpu")]} if workload.gpu else {}),
        "containers": [_container(workload, container, port_name)],
        "volumes": [
            {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": f"{SHM_MIB}Mi"}},
            *({"name": name, "secret": {"secretName": secret}} for name, secret, _ in _secrets(workload)),
        ],
    }


def tolerated(key: str, value: str | None = None) -> dict[str, str]:
    """Leave to run on nodes that are kept for such pods."""
    match = {"operator": "Exists"} if value is None else {"operator": "Equal", "value": value}
    return {"key": key, **match, "effect": "NoSchedule"}


def _secrets(workload: Workload) -> list[tuple[str, str, str]]:
    """Volume, secret and folder of each secret that the server reads."""
    wanted = (("tokens", workload.tokens, TOKENS), ("tls", workload.tls, TLS))
    return [(name, secret, folder) for name, secret, folder in wanted if secret]


def _container(workload: Workload, name: str, port_name: str) -> dict[str, Any]:
    resources = workload.resources
    gpu = {"nvidia.com/gpu": 1} if workload.gpu else {}
    scheme = {"scheme": "HTTPS"} if workload.tls else {}
    return {
        "name": name,
        "image": workload.reference,
        "imagePullPolicy": "IfNotPresent",
        "args": workload.words,
        "ports": [{"name": port_name, "containerPort": PORT, "protocol": "TCP"}],
        "resources": {
            "requests": {"cpu": str(resources.cpus), "memory": f"{resources.memory_mib}Mi", **gpu},
            "limits": {"cpu": str(resources.cpu_limit), "memory": f"{resources.memory_limit_mib}Mi", **gpu},
        },
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "privileged": False,
            "readOnlyRootFilesystem": True,
        },
        "startupProbe": _probe(
            READY, scheme, periodSeconds=1, failureThreshold=GPU_START_S if workload.gpu else START_S
        ),
        "livenessProbe": _probe(LIVE, scheme, periodSeconds=10, failureThreshold=3),
        "readinessProbe": _probe(READY, scheme, periodSeconds=2, failureThreshold=2),
        "lifecycle": {"preStop": {"sleep": {"seconds": DRAIN_S}}},
        "volumeMounts": [
            {"name": "shm", "mountPath": "/dev/shm"},  # noqa: S108 - memory that may be written to
            *({"name": name, "mountPath": folder, "readOnly": True} for name, _, folder in _secrets(workload)),
        ],
    }


def _probe(path: str, scheme: dict[str, str], **times: int) -> dict[str, Any]:
    return {"httpGet": {"path": path, "port": PORT, **scheme}, "timeoutSeconds": 2, **times}
