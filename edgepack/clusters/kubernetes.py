"""How does any Kubernetes serve a bundle: Deployment, Service, autoscaler, disruption budget, network policy?"""

from typing import Any

from edgepack.clusters import PORT, File, Workload, _pod
from edgepack.clusters._yaml import dump

IMAGE = True
NEEDS: tuple[str, ...] = ()

BUSY_PERCENT = 70
"""Of the reserved cores; above it the autoscaler adds replicas."""

CLIENTS = "edgepack.io/clients"
"""Label of namespaces whose pods may connect, beside the server's own namespace."""


def unsuitable(workload: Workload) -> str | None:
    """It runs wherever an image runs."""
    return None


def files(workload: Workload) -> dict[str, File]:
    """One file for each object, and a kustomization that names them all."""
    objects = {
        "deployment.yaml": _deployment(workload),
        "service.yaml": _service(workload),
        "autoscaler.yaml": _autoscaler(workload),
        "disruption-budget.yaml": _disruption_budget(workload),
        "network-policy.yaml": _network_policy(workload),
    }
    kustomization = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": list(objects),
    }
    head = f"{workload.title}. Made by edgepack; for Kubernetes 1.30 and later."
    notes = {
        "deployment.yaml": f"\n{workload.resources.basis}\nThe autoscaler decides how many replicas there are.",
        "network-policy.yaml": f'\nOther namespaces may connect with the label {CLIENTS}: "true".',
    }
    return {
        name: dump(document, head=head + notes.get(name, ""))
        for name, document in {**objects, "kustomization.yaml": kustomization}.items()
    }


def _deployment(workload: Workload) -> dict[str, Any]:
    # A new pod beside the old ones needs a node with room; a GPU more than is in use is seldom there.
    surge, unavailable = (0, 1) if workload.gpu else (1, 0)
    spread = {
        "maxSkew": 1,
        "topologyKey": "kubernetes.io/hostname",
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": _pod.selector(workload)},
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": _pod.metadata(workload),
        "spec": {
            "revisionHistoryLimit": 3,
            "selector": {"matchLabels": _pod.selector(workload)},
            "strategy": {
                "type": "RollingUpdate",
                "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable},
            },
            "template": {
                "metadata": {"labels": _pod.labels(workload), "annotations": _pod.annotations(workload)},
                "spec": {
                    **_pod.spec(workload, container="server", port_name="http"),
                    "topologySpreadConstraints": [spread, {**spread, "topologyKey": "topology.kubernetes.io/zone"}],
                },
            },
        },
    }


def _service(workload: Workload) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": _pod.metadata(workload),
        "spec": {
            "type": "ClusterIP",
            "selector": _pod.selector(workload),
            "ports": [{"name": "http", "port": PORT, "targetPort": PORT, "protocol": "TCP"}],
        },
    }


def _autoscaler(workload: Workload) -> dict[str, Any]:
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": _pod.metadata(workload),
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": workload.name},
            "minReplicas": workload.replicas,
            "maxReplicas": workload.max_replicas,
            "metrics": [
                {
                    "type": "Resource",
                    "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": BUSY_PERCENT}},
                }
            ],
        },
    }


def _disruption_budget(workload: Workload) -> dict[str, Any]:
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": _pod.metadata(workload),
        "spec": {"maxUnavailable": 1, "selector": {"matchLabels": _pod.selector(workload)}},
    }


def _network_policy(workload: Workload) -> dict[str, Any]:
    """Only the server's port, only from clients; nothing goes out, since a server asks nobody."""
    clients = [{"podSelector": {}}, {"namespaceSelector": {"matchLabels": {CLIENTS: "true"}}}]
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": _pod.metadata(workload),
        "spec": {
            "podSelector": {"matchLabels": _pod.selector(workload)},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [{"from": clients, "ports": [{"port": PORT, "protocol": "TCP"}]}],
            "egress": [],
        },
    }
