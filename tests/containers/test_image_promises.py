"""Is an image the same wherever it is built, does it say what is in it, and does it need no rights to run?"""

import json
import shutil
import subprocess
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from edgepack.images import context, engine

pytestmark = pytest.mark.engine

WriteContext = Callable[..., context.Context]


@pytest.fixture(scope="module")
def small(
    write_context: WriteContext,
    make_bundle: Callable[..., Path],
    new_tag: Callable[[], str],
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[context.Context, str]:
    """The tiny bundle with its one runtime: its context and its image."""
    made = write_context(make_bundle(tmp_path_factory.mktemp("small") / "linux-amd64-cpu"), runtimes=["onnxruntime"])
    tag = new_tag()
    engine.build(made.path, tag=tag, platform=made.platform, base_image=made.base_image, progress=lambda line: None)
    return made, tag


def layers(client: Any, image: str) -> list[str]:
    return list(client.api.inspect_image(image)["RootFS"]["Layers"])


def test_two_folders_give_the_same_layers_and_source_date_epoch_other_ones(
    small: tuple[context.Context, str],
    client: Any,
    write_context: WriteContext,
    make_bundle: Callable[..., Path],
    new_tag: Callable[[], str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _, first = small
    found = []
    for epoch in ("0", "86400"):
        monkeypatch.setenv("SOURCE_DATE_EPOCH", epoch)
        made = write_context(make_bundle(tmp_path / epoch / "another-name"), runtimes=["onnxruntime"])
        tag = new_tag()
        # Without the engine's cache, which would hand out the first image's layers.
        client.images.build(
            path=str(made.path), tag=tag, nocache=True, rm=True, network_mode="none", platform=made.platform
        )
        found.append(layers(client, tag))
    assert found[0] == layers(client, first)
    base, *own = layers(client, first)
    assert found[1][0] == base and not set(own) & set(found[1])


def test_it_holds_a_valid_bill_of_materials_and_the_licences(
    small: tuple[context.Context, str], client: Any, run_image: Callable[..., Any], base_image: str
) -> None:
    made, tag = small
    code = (
        "import pathlib, json; root = pathlib.Path('/opt/edgepack');"
        "texts = sorted(str(p.relative_to(root)) for p in root.rglob('*') if 'LICENSE' in p.name);"
        "print(json.dumps([texts, (root / 'sbom.cdx.json').read_text()]))"
    )
    done = run_image(tag, "-c", code, entrypoint=["python3"])
    texts, bill = json.loads(done.stdout)
    assert bill == (made.path / "sbom.cdx.json").read_text()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(bill) is None
    assert "LICENSE" in texts and any(text.startswith("site-packages/onnxruntime/") for text in texts)
    parts = {part["name"]: part for part in json.loads(bill)["components"]}
    assert parts["onnxruntime"]["version"] == {item.name: item.version for item in made.packages}["onnxruntime"]
    assert parts[base_image]["version"].startswith("sha256:") or "@sha256:" in parts[base_image]["version"]
    if base_image.startswith("edgepack/base:"):
        assert parts["libc6"]["purl"].startswith("pkg:deb/debian/libc6@2.36") and "python3-numpy" in parts


HARDENED = (
    "--read-only",
    "--cap-drop",
    "ALL",
    "--user",
    "65532",
    "--network",
    "none",
    "--security-opt",
    "no-new-privileges",
)
RIGHTS = """
import os, socket
status = dict(line.split(":\t", 1) for line in open("/proc/self/status") if ":\t" in line)
assert {int(status[key], 16) for key in ("CapInh", "CapPrm", "CapEff", "CapBnd")} == {0}, status
assert (os.getuid(), os.geteuid()) == (65532, 65532)
for path in ("/", "/tmp", "/bundle", "/opt/edgepack", "/opt/edgepack/site-packages/onnxruntime", "/etc"):
    try:
        open(os.path.join(path, "written"), "w")
    except OSError:
        continue
    raise SystemExit(path + " can be written to")
assert [name for _, name in socket.if_nameindex()] == ["lo"]
"""


def test_it_measures_and_verifies_without_rights_network_or_anything_to_write(
    small: tuple[context.Context, str],
) -> None:
    if shutil.which("docker") is None:
        pytest.skip("the docker command line is not installed; the engine alone is")
    _, tag = small
    quick = ("bench", "--warmup-s", "0", "--min-runs", "3", "--min-time-s", "0")

    def run(*words: str, entrypoint: str = "") -> str:
        name = f"edgepack-test-{uuid.uuid4().hex[:12]}"
        changed = ("--entrypoint", entrypoint) if entrypoint else ()
        argv = ["docker", "run", "--rm", "--init", "--name", name, *HARDENED, *changed, tag, *words]
        try:
            done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
        finally:
            subprocess.run(["docker", "rm", "--force", name], capture_output=True, timeout=60, check=False)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    (measured,) = json.loads(run(*quick))["results"]
    assert measured["status"] == "ok" and len(measured["samples_ns"]) >= 3
    (verified,) = json.loads(run("verify"))["results"]
    assert verified["identical"] is True
    run("-c", RIGHTS, entrypoint="python3")
