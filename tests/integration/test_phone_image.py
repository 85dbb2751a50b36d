"""Does the image of a phone's target measure a phone, locked down and without anything but what is in it?"""

import contextlib
import json
import os
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import phones
import pytest
from adb_daemon import Daemon
from support import Edgepack, read_json

from edgepack import bundle, target
from edgepack.images import engine

pytestmark = pytest.mark.engine

BASE = "edgepack/base:bookworm-adb"
QUICK = ("--quick", "--warmup-s", "0.02", "--min-runs", "5", "--min-time-s", "0.02", "--artifact", "model.int8.tflite")


@pytest.fixture(scope="module")
def image(digits_bundle: Path, tmp_path_factory: pytest.TempPathFactory, edgepack: Edgepack) -> Iterator[Path]:
    """The demo's bundle as one for the target android-arm64, with its image."""
    found = engine.status()
    if found.version is None and os.environ.get("EDGEPACK_REQUIRE_DOCKER") != "1":
        pytest.skip(found.reason)
    phones.need_adb()
    folder = tmp_path_factory.mktemp("phone") / "digits" / "android-arm64"
    shutil.copytree(digits_bundle, folder, ignore=shutil.ignore_patterns("image"))
    manifest = bundle.read_manifest(folder)
    kept = [
        {**artifact, "runtimes": ["litert"]} for artifact in manifest["artifacts"] if artifact["format"] == "tflite"
    ]
    for name, value in {
        "target": "android-arm64",
        "platform": "android/arm64",
        "artifacts": kept,
        "target_spec": target.load("android-arm64").resolved(),
    }.items():
        bundle.record(folder, name, value)
    bundle.seal(folder)
    tag = f"edgepack/test-{uuid.uuid4().hex[:8]}:phone"
    done = edgepack("image", folder, "--base-image", BASE, "--tag", tag)
    assert done.returncode == 0, done.stderr
    yield folder
    with closing(engine.connect()) as client, contextlib.suppress(Exception):
        client.api.remove_image(tag, force=True)


@pytest.fixture
def phone(tmp_path: Path) -> Iterator[Daemon]:
    with phones.phone(tmp_path / "phone") as daemon:
        yield daemon


def run(image: Path, *words: str, network: str = "none", mounts: dict[str, Path] | None = None, **env: str) -> Any:
    """Run the image as on a measuring machine: read-only, as nobody, without a capability, bounded in time."""
    name = f"edgepack-test-{uuid.uuid4().hex[:12]}"
    options = [
        *(word for key, value in env.items() for word in ("--env", f"{key}={value}")),
        *(word for place, path in (mounts or {}).items() for word in ("--volume", f"{path}:{place}:ro")),
    ]
    locked = ["--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--user", "65532", "--init"]
    tag = read_json(image / "image" / "image.json")["tag"]
    argv = ["docker", "run", "--rm", "--name", name, *locked, "--network", network, *options, tag, *words]
    try:
        return subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False)
    finally:
        subprocess.run(["docker", "rm", "--force", name], capture_output=True, timeout=60, check=False)


def test_it_measures_a_phone_through_a_server_elsewhere(image: Path, phone: Daemon, tmp_path: Path) -> None:
    program = phones.program(tmp_path)
    with phones.server(tmp_path) as server:
        server.adb("connect", phone.address)
        address = f"tcp:127.0.0.1:{server.port}"
        mounts = {"/benchmark_model": program}
        done = run(
            image, "bench", "--on", "adb:", *QUICK, network="host", mounts=mounts, ADB_SERVER_SOCKET=address
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert done.stderr.splitlines()[-1] == "phone: measuring model.int8.tflite on Example Stand-in"
        document = json.loads(done.stdout)
        (result,) = document["results"]
        assert (result["artifact"], result["status"]) == ("model.int8.tflite", "ok")
        assert document["protocol"]["input"].startswith("golden samples")
        assert document["device"]["address"] == f"adb://{phone.address}"
        again = run(image, "bench", "--on", "adb:", *QUICK, network="host", ADB_SERVER_SOCKET=address)
        assert (again.returncode, again.stdout) == (3, "")
        assert "benchmark_model for arm64-v8a is not there: expected the file /benchmark_model" in again.stderr


def test_it_brings_a_server_of_its_own(image: Path, phone: Daemon, tmp_path: Path) -> None:
    program = phones.program(tmp_path)
    with phones.server(tmp_path) as server:  # for a free port; nothing is started on it here
        words = ("bench", "--on", f"adb://{phone.address}", *QUICK, "--quiet")
        mounts = {"/benchmark_model": program}
        done = run(image, *words, network="host", mounts=mounts, ANDROID_ADB_SERVER_PORT=str(server.port))
    assert (done.returncode, done.stderr) == (0, "")
    assert [result["status"] for result in json.loads(done.stdout)["results"]] == ["ok"]


def test_without_a_phone_it_says_so(image: Path) -> None:
    done = run(image)
    assert (done.returncode, done.stdout) == (6, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("phone: adb sees no phone; ")


def test_without_on_it_works_on_this_machine_as_any_other(image: Path, edgepack: Edgepack) -> None:
    done = edgepack("verify", image, "--on", "docker")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("identical") == 2


def test_adb_is_in_its_bill_of_materials_with_its_licence_and_in_the_table_of_bytes(
    image: Path, edgepack: Edgepack
) -> None:
    bill = json.loads((image / "image" / "sbom.cdx.json").read_text())
    assert {"adb", "android-libboringssl"} <= {component["name"] for component in bill["components"]}
    document = read_json(image / "image" / "image.json")
    parts = {part["name"]: part["size_bytes"] for part in document["contents"]["packages"]}
    assert 0 < parts["adb"] < 2_000_000
    with closing(engine.connect()) as client:
        container = client.containers.create(document["tag"])
        try:
            for name in ("adb/copyright", "adb/NOTICE.gz", "android-libboringssl/copyright"):
                container.get_archive(f"/usr/share/doc/{name}")
        finally:
            container.remove(force=True)
    limit = target.load("android-arm64").budgets.image_mib
    assert limit is not None and document["size_mib"] < limit


def test_a_base_without_adb_is_refused(image: Path, edgepack: Edgepack) -> None:
    done = edgepack("image", image, "--base-image", "edgepack/base:bookworm", "--tag", "edgepack/test-refused:phone")
    assert done.returncode == 3
    assert "the base image edgepack/base:bookworm has no adb" in done.stderr
    assert "containers/base/build --with adb" in done.stderr
