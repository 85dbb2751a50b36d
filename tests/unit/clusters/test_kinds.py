"""Do the files of each kind hold against the published schemas, and say what the bundle needs?"""

import functools
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import onnx
import pytest
import yaml
from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2

from edgepack import extensions
from edgepack.errors import RecipeError

Deploy = Callable[..., Path]
TARGETS = ("linux-amd64-cpu", "linux-arm64-cpu", "nvidia-gpu")
OLDEST, NEWEST = "1.30", "1.37"
CLOUDS = {
    "eks": "eks.amazonaws.com/nodegroup",
    "aks": "kubernetes.azure.com/agentpool",
    "gke": "cloud.google.com/gke-nodepool",
}


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


def validate(document: Any) -> None:
    """Against the schemas that Kubernetes publishes, unknown fields refused."""
    for version in (OLDEST, NEWEST):
        kubernetes_validate.validate(document, version, strict=True)


def objects(folder: Path) -> dict[str, Any]:
    """The objects that a kustomization names, by kind."""
    names = read(folder / "kustomization.yaml")["resources"]
    return {document["kind"]: document for document in (read(folder / name) for name in names)}


@pytest.mark.parametrize("target", TARGETS)
def test_kubernetes_objects_hold_against_the_published_schemas(deploy: Deploy, target: str) -> None:
    found = objects(deploy(target) / "kubernetes")
    assert set(found) == {
        "Deployment", "Service", "HorizontalPodAutoscaler", "PodDisruptionBudget", "NetworkPolicy",
    }  # fmt: skip
    for document in found.values():
        validate(document)
        assert document["metadata"]["name"] == f"shapes-{target}"
    pod = found["Deployment"]["spec"]["template"]
    label = found["Deployment"]["spec"]["selector"]["matchLabels"]
    assert label.items() <= pod["metadata"]["labels"].items()
    for kind, *path in (
        ("Service", "selector"),
        ("PodDisruptionBudget", "selector", "matchLabels"),
        ("NetworkPolicy", "podSelector", "matchLabels"),
    ):
        assert functools.reduce(lambda inner, key: inner[key], path, found[kind]["spec"]) == label, kind
    scaled = found["HorizontalPodAutoscaler"]["spec"]
    assert scaled["scaleTargetRef"] == {"apiVersion": "apps/v1", "kind": "Deployment", "name": f"shapes-{target}"}
    assert (scaled["minReplicas"], scaled["maxReplicas"]) == (2, 10)
    # Both would fight over the number of replicas.
    assert "replicas" not in found["Deployment"]["spec"]


def test_a_wrong_field_would_be_found(deploy: Deploy) -> None:
    document = objects(deploy() / "kubernetes")["Deployment"]
    document["spec"]["template"]["spec"]["containers"][0]["startupProb"] = {}
    with pytest.raises(kubernetes_validate.ValidationError):
        validate(document)


def test_secrets_reach_the_server_by_files_and_probes_speak_tls(deploy: Deploy) -> None:
    out = deploy(tokens="some-tokens", tls="some-tls")
    document = objects(out / "kubernetes")["Deployment"]
    validate(document)
    template = document["spec"]["template"]
    (container,) = template["spec"]["containers"]
    assert container["args"][-6:] == [
        "--token-file", "/secrets/tokens/tokens",
        "--tls-cert", "/secrets/tls/tls.crt", "--tls-key", "/secrets/tls/tls.key",
    ]  # fmt: skip
    volumes = {volume["name"]: volume["secret"] for volume in template["spec"]["volumes"] if "secret" in volume}
    assert volumes == {"tokens": {"secretName": "some-tokens"}, "tls": {"secretName": "some-tls"}}
    mounts = {mount["name"]: (mount["mountPath"], mount.get("readOnly")) for mount in container["volumeMounts"]}
    assert (mounts["tokens"], mounts["tls"]) == (("/secrets/tokens", True), ("/secrets/tls", True))
    probes = [container[f"{name}Probe"]["httpGet"]["scheme"] for name in ("startup", "liveness", "readiness")]
    assert probes == ["HTTPS"] * 3
    assert template["metadata"]["annotations"]["prometheus.io/scheme"] == "https"
    stack = read(out / "compose" / "compose.yaml")
    assert {name: given["file"] for name, given in stack["secrets"].items()} == {
        "some-tokens": "./some-tokens", "some-tls-crt": "./some-tls.crt", "some-tls-key": "./some-tls.key",
    }  # fmt: skip
    (service,) = stack["services"].values()
    assert [(given["source"], given["target"], given["uid"], given["mode"]) for given in service["secrets"]] == [
        ("some-tokens", "/secrets/tokens/tokens", "65532", 0o400),
        ("some-tls-crt", "/secrets/tls/tls.crt", "65532", 0o400),
        ("some-tls-key", "/secrets/tls/tls.key", "65532", 0o400),
    ]
    assert not (out / "kserve").exists()


def test_without_secrets_none_is_mounted(deploy: Deploy) -> None:
    out = deploy()
    pod = objects(out / "kubernetes")["Deployment"]["spec"]["template"]["spec"]
    assert [volume["name"] for volume in pod["volumes"]] == ["shm"]
    assert "secrets" not in read(out / "compose" / "compose.yaml")
    with pytest.raises(RecipeError, match="--tokens expected at most 40 small letters"):
        deploy("nvidia-gpu", tokens="Some_Tokens")


@pytest.mark.parametrize("target", TARGETS)
def test_pods_are_locked_down_and_asked_for_their_health(deploy: Deploy, target: str) -> None:
    pod = objects(deploy(target) / "kubernetes")["Deployment"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["securityContext"] | {"fsGroup": 65532} == {
        "runAsNonRoot": True, "runAsUser": 65532, "runAsGroup": 65532, "fsGroup": 65532,
        "seccompProfile": {"type": "RuntimeDefault"},
    }  # fmt: skip
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}, "privileged": False,
        "readOnlyRootFilesystem": True,
    }  # fmt: skip
    assert pod["automountServiceAccountToken"] is False
    assert container["args"] == ["serve"]
    probes = {key: container[f"{key}Probe"]["httpGet"] for key in ("startup", "liveness", "readiness")}
    assert probes == {
        "startup": {"path": "/v2/health/ready", "port": 8000},
        "liveness": {"path": "/v2/health/live", "port": 8000},
        "readiness": {"path": "/v2/health/ready", "port": 8000},
    }
    drain_s = container["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert 0 < drain_s < pod["terminationGracePeriodSeconds"]


def test_nodes_are_those_of_the_target(deploy: Deploy) -> None:
    found = {}
    for target in TARGETS:
        pod = objects(deploy(target) / "kubernetes")["Deployment"]["spec"]["template"]["spec"]
        gpus = pod["containers"][0]["resources"]["limits"].get("nvidia.com/gpu")
        tolerated = [item["key"] for item in pod.get("tolerations", ())]
        found[target] = pod["nodeSelector"]["kubernetes.io/arch"], gpus, tolerated
    assert found == {
        "linux-amd64-cpu": ("amd64", None, []),
        "linux-arm64-cpu": ("arm64", None, []),
        "nvidia-gpu": ("amd64", 1, ["nvidia.com/gpu"]),
    }


def test_a_gpu_more_than_is_in_use_is_not_asked_for(deploy: Deploy) -> None:
    strategy = {
        target: objects(deploy(target) / "kubernetes")["Deployment"]["spec"]["strategy"]["rollingUpdate"]
        for target in ("linux-amd64-cpu", "nvidia-gpu")
    }
    assert strategy["linux-amd64-cpu"] == {"maxSurge": 1, "maxUnavailable": 0}
    assert strategy["nvidia-gpu"] == {"maxSurge": 0, "maxUnavailable": 1}
    stack = read(deploy("nvidia-gpu") / "compose" / "compose.yaml")
    assert stack["services"]["shapes-nvidia-gpu"]["deploy"]["update_config"]["order"] == "stop-first"


@pytest.mark.parametrize("target", TARGETS)
def test_kserve_gets_a_predictor_whose_pod_holds_against_kubernetes_schema(deploy: Deploy, target: str) -> None:
    """Of KServe's own fields the names are checked here; decision 0067 says what was checked by hand."""
    document = read(deploy(target) / "kserve" / "inference-service.yaml")
    assert (document["apiVersion"], document["kind"]) == ("serving.kserve.io/v1beta1", "InferenceService")
    assert document["metadata"]["annotations"]["serving.kserve.io/deploymentMode"] == "RawDeployment"
    predictor = document["spec"]["predictor"]
    own = {key: predictor.pop(key) for key in ("minReplicas", "maxReplicas", "scaleMetric", "scaleTarget")}
    assert own == {"minReplicas": 2, "maxReplicas": 10, "scaleMetric": "cpu", "scaleTarget": 70}
    validate({"apiVersion": "v1", "kind": "Pod", "metadata": document["metadata"], "spec": predictor})
    (container,) = predictor["containers"]
    assert container["name"] == "kserve-container"
    assert {"name": "PROTOCOL", "value": "v2"} in container["env"]


@pytest.fixture(scope="module")
def kustomize() -> Callable[[Path], list[Any]]:
    """Builds an overlay, if one of the programs that can is here."""
    program = shutil.which("kustomize") and ["kustomize", "build"]
    program = program or (shutil.which("kubectl") and ["kubectl", "kustomize"])

    def build(folder: Path) -> list[Any]:
        if not program:
            pytest.skip("neither kustomize nor kubectl is installed; overlays are checked without being built")
        done = subprocess.run([*program, str(folder)], capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        return list(yaml.safe_load_all(done.stdout))

    return build


@pytest.mark.parametrize("cloud", CLOUDS)
@pytest.mark.parametrize("target", TARGETS)
def test_overlays_patch_what_is_in_their_base(deploy: Deploy, cloud: str, target: str) -> None:
    out = deploy(target, node_pool="pool-7")
    overlay = read(out / cloud / "kustomization.yaml")
    (base,) = overlay["resources"]
    found = objects((out / cloud / base).resolve())
    (image,) = overlay["images"]
    container = found["Deployment"]["spec"]["template"]["spec"]["containers"][0]
    assert container["image"] == f"{image['name']}:{image['newTag']}"
    (patch,) = (read(out / cloud / item["path"]) for item in overlay["patches"])
    assert patch["metadata"]["name"] == found[patch["kind"]]["metadata"]["name"]
    pod = patch["spec"]["template"]["spec"]
    assert pod["nodeSelector"].pop(CLOUDS[cloud]) == "pool-7"
    tolerated = {(item["key"], item.get("value")) for item in pod.get("tolerations", ())}
    expected = {
        "linux-amd64-cpu": set(),
        "linux-arm64-cpu": {("kubernetes.io/arch", "arm64")},
        "nvidia-gpu": {("nvidia.com/gpu", None), *([("sku", "gpu")] if cloud == "aks" else [])},
    }
    assert tolerated == expected[target]


@pytest.mark.parametrize("cloud", CLOUDS)
def test_overlays_are_built_by_kustomize(deploy: Deploy, kustomize: Callable[[Path], list[Any]], cloud: str) -> None:
    digest = "sha256:" + "a" * 64
    out = deploy("nvidia-gpu", image=f"registry.example.org/shapes@{digest}", node_pool="pool-7")
    documents = kustomize(out / cloud)
    for document in documents:
        validate(document)
    (deployment,) = (document for document in documents if document["kind"] == "Deployment")
    pod = deployment["spec"]["template"]["spec"]
    assert pod["containers"][0]["image"] == f"registry.example.org/shapes@{digest}"
    assert pod["nodeSelector"][CLOUDS[cloud]] == "pool-7"
    assert {"nvidia.com/gpu"} <= {item["key"] for item in pod["tolerations"]}


@pytest.mark.parametrize("target", TARGETS)
def test_compose_file_is_as_docker_itself_takes_it(deploy: Deploy, target: str) -> None:
    """`docker stack config` needs no engine: the schema is in the command; it came with version 23."""
    folder = deploy(target, replicas=3, port=8123) / "compose"
    service = read(folder / "compose.yaml")["services"][f"shapes-{target}"]
    assert (service["read_only"], service["cap_drop"], service["user"]) == (True, ["ALL"], "65532:65532")
    assert service["command"] == ["serve"]
    assert service["deploy"]["replicas"] == 3
    arch = "aarch64" if "arm64" in target else "x86_64"
    assert service["deploy"]["placement"]["constraints"] == [
        "node.platform.os == linux",
        f"node.platform.arch == {arch}",
    ]
    assert (folder / "gpu.yaml").exists() == (target == "nvidia-gpu")
    if not shutil.which("docker"):
        pytest.skip("the docker command line is not installed")
    words = ["docker", "stack", "config", "--compose-file", str(folder / "compose.yaml")]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    if "unknown" in done.stderr and "config" in done.stderr:
        pytest.skip("this docker command line is older than `docker stack config`")
    assert done.returncode == 0, done.stderr
    merged = yaml.safe_load(done.stdout)["services"][f"shapes-{target}"]
    assert merged["ports"] == [{"mode": "ingress", "target": 8000, "published": "8123", "protocol": "tcp"}] or merged[
        "ports"
    ] == [{"mode": "ingress", "target": 8000, "published": 8123, "protocol": "tcp"}]
    assert merged["deploy"]["resources"]["limits"]["memory"] == str(service_bytes(service["deploy"]))


def service_bytes(deploy: dict[str, Any]) -> int:
    """The limit of the memory, as Docker counts an M."""
    return int(deploy["resources"]["limits"]["memory"].removesuffix("M")) * 2**20


def models(folder: Path) -> Iterator[tuple[Path, Any]]:
    """The models of a repository with their configurations, read by the message that Triton reads them with."""
    for path in sorted(folder.glob("*/config.pbtxt")):
        yield path.parent, text_format.Parse(path.read_text(), model_config_pb2.ModelConfig())


@pytest.mark.parametrize("batch", ["n", 1])
@pytest.mark.parametrize("target", ["linux-amd64-cpu", "nvidia-gpu"])
def test_triton_repository_is_what_the_onnx_file_is(
    make_bundle: Callable[..., Path], tmp_path: Path, target: str, batch: int | str
) -> None:
    from edgepack import deployment

    out = tmp_path / "out"
    deployment.deploy(make_bundle(target, batch=batch), out, deployment.Options(image=None))
    ((folder, config),) = models(out / "triton")
    assert (folder.name, config.name, config.backend) == ("shapes_float32", "shapes_float32", "onnxruntime")
    graph = onnx.load(folder / "1" / "model.onnx").graph
    types = {model_config_pb2.TYPE_FP32: onnx.TensorProto.FLOAT}
    for told, held in ((config.input, graph.input), (config.output, graph.output)):
        assert [tensor.name for tensor in told] == [tensor.name for tensor in held]
        for tensor, real in zip(told, held, strict=True):
            assert types[tensor.data_type] == real.type.tensor_type.elem_type
            dims = [axis.dim_value or -1 for axis in real.type.tensor_type.shape.dim]
            assert [-1, *tensor.dims] == dims if config.max_batch_size else list(tensor.dims) == dims
    assert (config.max_batch_size > 0) == config.HasField("dynamic_batching") == (batch == "n")
    gpu = target == "nvidia-gpu"
    kind = model_config_pb2.ModelInstanceGroup.KIND_GPU if gpu else model_config_pb2.ModelInstanceGroup.KIND_CPU
    assert [group.kind for group in config.instance_group] == [kind]
    accelerators = config.optimization.execution_accelerators.gpu_execution_accelerator
    assert [item.name for item in accelerators] == (["tensorrt"] if gpu else [])
    assert config.parameters["intra_op_thread_count"].string_value == "1"
    assert config.output[0].label_filename == "labels.txt"
    assert (folder / "labels.txt").read_text().splitlines() == ["circle", "square", "on"]


def test_every_kind_says_whether_it_needs_an_image() -> None:
    for name in extensions.names("edgepack.clusters"):
        kind = extensions.load("edgepack.clusters", name)
        assert isinstance(kind.IMAGE, bool), name
        assert set(kind.NEEDS) <= set(extensions.names("edgepack.clusters")), name
        assert callable(kind.files), name
        assert callable(kind.unsuitable), name
