"""How does Docker serve a bundle: on one machine with Compose, on many with Swarm?"""

from typing import Any

from edgepack.clusters import PORT, TLS, TOKENS, USER, File, Workload
from edgepack.clusters._yaml import dump

IMAGE = True
NEEDS: tuple[str, ...] = ()

ARCHITECTURES = {"amd64": "x86_64", "arm64": "aarch64"}
"""As an engine reports its node's."""

START_S, GPU_START_S = 60, 900
GRACE_S = 35
"""What the server may take for its last answers."""

HEALTH = ["CMD", "python3", "-m", "edgepack.serving", "health"]
"""The image has neither shell nor curl; its own check asks for the protocol's ``ready``, through TLS if need be."""


def unsuitable(workload: Workload) -> str | None:
    """It runs wherever an image runs."""
    return None


def files(workload: Workload) -> dict[str, File]:
    """One file for Compose and Swarm; Compose takes GPUs from a second one."""
    head = (
        f"{workload.title}. Made by edgepack.\n{workload.resources.basis}\n"
        f"Swarm: docker stack deploy --compose-file compose.yaml {workload.name}\n"
        f"One machine: docker compose up --scale {workload.name}=1"
    )
    made: dict[str, File] = {"compose.yaml": dump(_stack(workload), head=head)}
    if workload.gpu:
        devices = [{"driver": "nvidia", "count": 1, "capabilities": ["gpu"]}]
        service = {"deploy": {"resources": {"reservations": {"devices": devices}}}}
        made["gpu.yaml"] = dump(
            {"services": {workload.name: service}},
            head=f"{workload.title}. Made by edgepack.\n"
            f"One machine: docker compose -f compose.yaml -f gpu.yaml up --scale {workload.name}=1",
        )
    return made


def _stack(workload: Workload) -> dict[str, Any]:
    secrets = _secrets(workload)
    service = {
        **({"secrets": [granted for _, granted in secrets.values()]} if secrets else {}),
        "image": workload.reference,
        "command": workload.words,
        "init": True,
        "user": f"{USER}:{USER}",
        "read_only": True,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges:true"],
        "stop_grace_period": f"{GRACE_S}s",
        "ports": [{"target": PORT, "published": workload.port, "protocol": "tcp", "mode": "ingress"}],
        "healthcheck": {
            "test": HEALTH,
            "interval": "5s",
            "timeout": "4s",
            "retries": 3,
            "start_period": f"{GPU_START_S if workload.gpu else START_S}s",
        },
        "logging": {"driver": "json-file", "options": {"max-size": "10m", "max-file": "3"}},
        "deploy": _deploy(workload),
    }
    # Docker's own command before version 25 asks for a version; later ones need none.
    return {
        "version": "3.8",
        "services": {workload.name: service},
        **({"secrets": {name: {"file": f"./{file}"} for name, (file, _) in secrets.items()}} if secrets else {}),
    }


def _secrets(workload: Workload) -> dict[str, tuple[str, dict[str, Any]]]:
    """By the secret's name: its file beside this one, and how the service gets it."""
    wanted = []
    if workload.tokens:
        wanted.append((workload.tokens, workload.tokens, f"{TOKENS}/tokens"))
    if workload.tls:
        wanted += [(f"{workload.tls}-{part}", f"{workload.tls}.{part}", f"{TLS}/tls.{part}") for part in ("crt", "key")]
    user = {"uid": str(USER), "gid": str(USER), "mode": 0o400}
    return {name: (file, {"source": name, "target": target, **user}) for name, file, target in wanted}


def _deploy(workload: Workload) -> dict[str, Any]:
    resources = workload.resources
    reserved: dict[str, Any] = {"memory": f"{resources.memory_mib}M"}
    if workload.gpu:
        # Swarm counts what the node's daemon.json names in node-generic-resources.
        reserved["generic_resources"] = [{"discrete_resource_spec": {"kind": "NVIDIA-GPU", "value": 1}}]
    # A replica more for a moment; where each takes a GPU there is none for it.
    order = "stop-first" if workload.gpu else "start-first"
    return {
        "mode": "replicated",
        "replicas": workload.replicas,
        "update_config": {"parallelism": 1, "order": order, "failure_action": "rollback", "monitor": "10s"},
        "rollback_config": {"parallelism": 1, "order": order},
        "restart_policy": {"condition": "any", "delay": "2s"},
        "placement": {
            "constraints": [
                "node.platform.os == linux",
                f"node.platform.arch == {ARCHITECTURES[workload.architecture]}",
            ]
        },
        "resources": {
            "limits": {"cpus": f"{resources.cpu_limit}", "memory": f"{resources.memory_limit_mib}M"},
            "reservations": reserved,
        },
    }
