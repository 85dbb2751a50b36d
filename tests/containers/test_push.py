"""Is an image pushed with the engine's own credentials, found again by its digest, and no secret left anywhere?"""

import base64
import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from edgepack import bundle, images_of_bundles, target
from edgepack.errors import DeviceError, MissingError
from edgepack.images import registry as registries

pytestmark = pytest.mark.engine

USER, PASSWORD = "pusher", f"secret-{uuid.uuid4().hex}"
TIMEOUT_S = 120
HASH = "import crypt, sys; print(crypt.crypt(sys.argv[1], crypt.mksalt(crypt.METHOD_BLOWFISH, rounds=16)))"
HELPER = """#!/bin/sh
[ "$1" = get ] || exit 1
read -r server
printf '{{"ServerURL": "%s", "Username": "{user}", "Secret": "{password}"}}' "$server"
"""


@dataclass(frozen=True)
class Registry:
    """A real registry on the loopback interface, which wants a password: its address and what it logged."""

    address: str
    log: Path


@pytest.fixture(scope="module")
def registry(client: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """Debian's docker-registry for this file's tests."""
    if shutil.which("docker-registry") is None:
        if os.environ.get("EDGEPACK_REQUIRE_DOCKER") == "1":
            pytest.fail("EDGEPACK_REQUIRE_DOCKER=1, and docker-registry is not installed: .ci/engine start")
        pytest.skip("docker-registry is not installed")
    folder = tmp_path_factory.mktemp("registry")
    hashed = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", HASH, PASSWORD], capture_output=True, text=True, timeout=30, check=True
    )
    (folder / "htpasswd").write_text(f"{USER}:{hashed.stdout}")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    settings = {
        "version": 0.1,
        "storage": {"filesystem": {"rootdirectory": str(folder / "data")}},
        "http": {"addr": address},
        "auth": {"htpasswd": {"realm": "test", "path": str(folder / "htpasswd")}},
    }
    (folder / "config.json").write_text(json.dumps(settings))  # which is YAML, too
    log = folder / "log"
    with log.open("wb") as file:
        process = subprocess.Popen(["docker-registry", "serve", str(folder / "config.json")], stdout=file, stderr=file)
    try:
        for _ in range(100):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", int(address.split(":")[1])), 1):
                break
            assert process.poll() is None, log.read_text()
            time.sleep(0.1)
        yield Registry(address, log)
    finally:
        process.terminate()
        process.wait(timeout=20)


@pytest.fixture(scope="module")
def tiny(make_bundle: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle with one small model, for ONNX Runtime alone."""
    folder: Path = make_bundle(tmp_path_factory.mktemp("pushed") / "tiny" / "linux-amd64-cpu")
    spec = target.load("linux-amd64-cpu").model_copy(update={"runtimes": ("onnxruntime",)})
    bundle.record(folder, "target_spec", spec.model_dump(mode="json"))
    (folder / "verify.json").write_text('{"gates": []}')
    bundle.seal(folder)
    return folder


def edgepack(*words: str | Path) -> "subprocess.CompletedProcess[str]":
    argv = [sys.executable, "-m", "edgepack.cli.main", *map(str, words)]
    return subprocess.run(argv, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)


def quiet(event: Mapping[str, Any]) -> None:
    """What a push says on the way is not of interest here."""


def pushed(bundle: Path) -> Any:
    return json.loads((bundle / "image/image.json").read_text())["pushed"]


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Docker's configuration for one test, without credentials."""
    folder = tmp_path / "config"
    folder.mkdir()
    monkeypatch.setenv("DOCKER_CONFIG", str(folder))
    return folder / "config.json"


def test_an_image_is_pushed_pulled_and_verified_and_the_password_is_nowhere(
    registry: Registry,
    tiny: Path,
    client: Any,
    base_image: str,
    config: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    name, token = f"{registry.address}/team/tiny", base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    tags = [f"edgepack/test-{uuid.uuid4().hex[:8]}:tiny", f"{name}:linux-amd64-cpu", f"{name}:1.0"]
    try:
        # As `docker login` leaves it in its file.
        config.write_text(json.dumps({"auths": {registry.address: {"auth": token}}}))
        done = edgepack("image", tiny, "--base-image", base_image, "--tag", tags[0], "--push", name)
        assert done.returncode == 0, done.stderr
        first = pushed(tiny)
        assert first["reference"] == f"{name}:linux-amd64-cpu" and first["digest"].startswith("sha256:")
        assert first["digest"] in done.stdout

        config.write_text("{}")
        with pytest.raises(MissingError, match=f"did not take {name}:1.0") as refused:
            images_of_bundles.push(tiny, f"{name}:1.0", progress=quiet)
        assert f"docker login {registry.address}" in refused.value.fix
        assert pushed(tiny) == first

        # As it leaves it with a credential helper.
        config.write_text(json.dumps({"credHelpers": {registry.address: "edgepack-test"}}))
        helper = tmp_path / "docker-credential-edgepack-test"
        helper.write_text(HELPER.format(user=USER, password=PASSWORD))
        helper.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
        images_of_bundles.push(tiny, f"{name}:1.0", progress=quiet)
        assert pushed(tiny) == {"reference": f"{name}:1.0", "digest": first["digest"]}
        bundle.seal(tiny)

        for tag in tags:
            client.api.remove_image(tag, force=True)
        fetched = f"{name}@{first['digest']}"
        client.api.pull(name, tag=first["digest"], auth_config={"username": USER, "password": PASSWORD})
        tags.append(fetched)
        verified = edgepack("verify", tiny, "--on", f"docker:{fetched}", "--json")
        assert verified.returncode == 0, verified.stderr
        (result,) = json.loads(verified.stdout)["golden"]
        assert result["identical"] is True

        history = json.dumps([client.api.history(fetched), client.api.inspect_image(fetched)])
        said = "".join((done.stdout, done.stderr, verified.stdout, verified.stderr, str(refused.value), history))
        kept = [path.read_bytes() for path in tiny.rglob("*") if path.is_file()]
        stored = [path.read_bytes() for path in registry.log.parent.rglob("*") if path.is_file()]
        for secret in (PASSWORD, token):
            assert secret not in said
            assert not [content for content in (*kept, *stored) if secret.encode() in content]
    finally:
        for tag in tags:
            with contextlib.suppress(Exception):
                client.api.remove_image(tag, force=True)


def test_a_registry_that_does_not_answer_is_a_device_error(client: Any, base_image: str) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        nowhere = registries.parse(f"127.0.0.1:{probe.getsockname()[1]}/tiny:1", "latest")
        image = client.api.inspect_image(base_image)["Id"]
        try:
            with pytest.raises(DeviceError, match=f"could not be pushed to {nowhere}") as caught:
                registries.push(client, image, nowhere, lambda line: None)
        finally:
            client.api.remove_image(str(nowhere))
    assert caught.value.exit_code == 6 and caught.value.fix
