"""Does an image serve, locked down as on a device, to a client that nobody here wrote, and end as it should?"""

import base64
import io
import json
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from edgepack.images import context, engine
from edgepack.serving import health, pictures
from edgepack.serving.options import Options

pytestmark = pytest.mark.engine

READY_S = 30
DECODE = (
    "import base64, sys; from edgepack.serving import pictures; "
    "print(pictures.decode([base64.b64decode(sys.argv[1])], 6, 8, 3, 'x').tobytes().hex())"
)


@pytest.fixture(scope="module")
def image(made: context.Context, new_tag: Callable[[], str]) -> engine.Image:
    """The image of a tiny bundle."""
    return engine.build(
        made.path, tag=new_tag(), platform=made.platform, base_image=made.base_image, progress=lambda line: None
    )


@pytest.fixture
def container(client: Any, image: engine.Image) -> Iterator[Any]:
    """It serves, without rights, on a port of this machine's loopback interface."""
    network = client.networks.create(f"edgepack-test-{uuid.uuid4().hex[:8]}")
    container = None
    try:
        container = client.containers.run(
            image.tag,
            ["serve", "--drain-s", "0.2"],
            detach=True,
            read_only=True,
            cap_drop=["ALL"],
            user="65532",
            security_opt=["no-new-privileges"],
            network=network.name,
            ports={"8000/tcp": ("127.0.0.1", None)},
            mem_limit="256m",
        )
        yield container
    finally:
        if container is not None:
            container.remove(force=True)
        network.remove()


def test_a_locked_down_image_serves_tritonclient_and_ends_with_0(
    container: Any, made: context.Context, show: Callable[[str], None]
) -> None:
    import tritonclient.http as triton

    container.reload()
    port = int(container.ports["8000/tcp"][0]["HostPort"])
    _wait(port, container)
    with triton.InferenceServerClient(f"127.0.0.1:{port}") as asking:
        assert asking.is_server_live() and asking.is_model_ready("tiny")
        (source,) = asking.get_model_metadata("tiny")["inputs"]
        assert (source["name"], source["datatype"], source["shape"]) == ("x", "FP32", [-1, 64])
        with np.load(made.path.parent / "golden.npz") as golden:
            samples, expected = golden["input"], golden["output/model.float32.onnx/onnxruntime"]
        for binary in (False, True):
            sent = triton.InferInput("x", [1, 64], "FP32")
            sent.set_data_from_numpy(samples[:1], binary_data=binary)
            answer = asking.infer("tiny", [sent], outputs=[triton.InferRequestedOutput("y", binary_data=binary)])
            np.testing.assert_allclose(answer.as_numpy("y"), expected[:1], atol=1e-6)
    healthy = container.exec_run(["python3", "-m", "edgepack.serving", "health"])
    assert (healthy.exit_code, healthy.output) == (0, b"ready\n")
    container.stop(timeout=10)
    assert container.wait(timeout=10)["StatusCode"] == 0
    lines = [json.loads(line) for line in container.logs(stderr=False).decode().splitlines()]
    events = [line["event"] for line in lines]
    assert events[0] == "listening" and events[-2:] == ["draining", "ended"]
    show(f"docker run {container.image.tags[0]} serve -> {json.dumps(next(e for e in lines if e['event'] == 'ready'))}")


def test_a_container_that_only_measures_is_healthy_and_its_port_is_known(
    client: Any, image: engine.Image, run_image: Callable[..., Any]
) -> None:
    done = run_image(image.tag, "health")
    assert (done.returncode, done.stdout) == (0, "nothing is served here\n")
    record = client.api.inspect_image(image.tag)["Config"]
    assert record["ExposedPorts"] == {"8000/tcp": {}}
    assert record["Healthcheck"]["Test"] == ["CMD", "python3", "-m", "edgepack.serving", "health"]


def test_an_image_that_does_not_find_its_model_says_so_in_one_line(
    image: engine.Image, run_image: Callable[..., Any]
) -> None:
    done = run_image(image.tag, "serve", "--artifact", "absent.onnx")
    assert done.returncode == 2
    assert "has no artifact 'absent.onnx'; expected one of: model.float32.onnx" in done.stderr


def _wait(port: int, container: Any) -> None:
    end = time.monotonic() + READY_S
    while (problem := health.ask(Options(host="127.0.0.1", port=port))) is not None:
        assert time.monotonic() < end, f"{problem}: {container.logs().decode()}"
        time.sleep(0.02)


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_an_image_whose_target_wants_pictures_decodes_them_as_this_machine_does(
    client: Any, picture_image: engine.Image, run_image: Callable[..., Any], kind: str
) -> None:
    file = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (9, 12, 3), dtype=np.uint8)).save(file, kind)
    expected = pictures.decode([file.getvalue()], 6, 8, 3, "x")
    words = ["-c", DECODE, base64.b64encode(file.getvalue()).decode()]
    done = run_image(picture_image.tag, *words, entrypoint="python3", user="65532")
    assert bytes.fromhex(done.stdout) == expected.tobytes(), done.stderr


@pytest.fixture(scope="module")
def picture_image(
    write_context: Callable[..., context.Context],
    make_bundle: Callable[..., Path],
    tmp_path_factory: pytest.TempPathFactory,
    new_tag: Callable[[], str],
) -> engine.Image:
    """The image of a tiny bundle with a decoder in it."""
    bundle = make_bundle(tmp_path_factory.mktemp("pictures") / "linux-amd64-cpu")
    made = write_context(bundle, pictures=True, runtimes=["onnxruntime"])
    return engine.build(
        made.path, tag=new_tag(), platform=made.platform, base_image=made.base_image, progress=lambda line: None
    )
