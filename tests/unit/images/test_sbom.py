"""Is the bill of materials valid, complete and always the same?"""

import json
import os
import subprocess
import sys
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from hypothesis import given
from hypothesis import strategies as st

from edgepack.images import facts, sbom

MODELS = [sbom.Model("digits/model.int8.tflite", "model.int8.tflite", "a" * 64, "tflite", "int8")]
NUMPY = "Name: numpy\nVersion: 2.4\nSummary: Arrays\nLicense-Expression: BSD-3-Clause AND MIT\n"
ORT = "Name: onnxruntime\nLicense: MIT License\nClassifier: License :: OSI Approved :: MIT License\n"
WHEELS = [
    sbom.Distribution("numpy", "2.4.6", "b" * 64, NUMPY),
    sbom.Distribution("onnxruntime", "1.32.0", "c" * 64, ORT),
]
DEBIAN = (
    facts.DebianPackage("libc6", "2.36-9+deb12u13", "amd64", "glibc"),
    facts.DebianPackage("tzdata", "2026a-0", "all", "tzdata"),
)
BASE = facts.Facts("edgepack/base:bookworm", "sha256:" + "d" * 64, debian=DEBIAN)


def write(**changed: Any) -> bytes:
    arguments: dict[str, Any] = {
        "models": MODELS,
        "distributions": WHEELS,
        "title": "digits for linux-amd64-cpu",
        "version": "0123456789ab",
        "platform": "linux/amd64",
        "base_image": BASE.reference,
        "base": BASE,
        "mtime_s": 0,
    }
    return sbom.document(**{**arguments, **changed})


def test_it_is_valid_and_names_packages_licences_and_the_model() -> None:
    written = write()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(written.decode()) is None
    found = json.loads(written)
    parts = {part["bom-ref"]: part for part in found["components"]}
    assert set(parts) >= {"model/model.int8.tflite", "base", "pkg:pypi/numpy@2.4.6", "pkg:pypi/onnxruntime@1.32.0"}
    assert parts["pkg:pypi/numpy@2.4.6"]["licenses"] == [{"expression": "BSD-3-Clause AND MIT"}]
    assert parts["pkg:pypi/numpy@2.4.6"]["hashes"] == [{"alg": "SHA-256", "content": "b" * 64}]
    assert parts["pkg:pypi/onnxruntime@1.32.0"]["licenses"] == [{"license": {"id": "MIT"}}]
    assert parts["model/model.int8.tflite"]["hashes"] == [{"alg": "SHA-256", "content": "a" * 64}]
    assert parts["base"]["version"] == BASE.digest
    debian = {part["name"]: part["purl"] for part in parts.values() if part.get("purl", "").startswith("pkg:deb/")}
    assert debian == {
        "libc6": "pkg:deb/debian/libc6@2.36-9%2Bdeb12u13?arch=amd64&distro=debian&upstream=glibc",
        "tzdata": "pkg:deb/debian/tzdata@2026a-0?arch=all&distro=debian",
    }
    (tree,) = (item for item in found["dependencies"] if item["ref"] == "image")
    assert set(tree["dependsOn"]) == set(parts)


def test_the_same_image_gives_the_same_bytes_in_any_process_and_another_one_another_number() -> None:
    code = "from tests.unit.images.test_sbom import write; import sys; sys.stdout.write(write().decode())"
    for seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            capture_output=True,
            timeout=60,
            check=True,
        )
        assert done.stdout == write(models=MODELS[::-1], distributions=WHEELS[::-1])
    other = json.loads(write(platform="linux/arm64"))
    assert other["serialNumber"] != json.loads(write())["serialNumber"]
    assert json.loads(write(mtime_s=86400))["metadata"]["timestamp"].startswith("1970-01-02T00:00:00")


@pytest.mark.parametrize("base", [None, facts.Facts("python:3.11-slim", "sha256:0")])
def test_a_base_that_nothing_is_known_of_is_named_as_such(base: facts.Facts | None) -> None:
    written = write(base=base)
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(written.decode()) is None
    (part,) = (part for part in json.loads(written)["components"] if part["bom-ref"] == "base")
    assert part["properties"] == [{"name": "edgepack:packages", "value": "not known"}]


FIELD = st.sampled_from(["License", "License-Expression", "Classifier", "Name"])


@given(st.lists(st.tuples(FIELD, st.one_of(st.text(), st.sampled_from([*sbom.SPDX, "MIT OR Apache-2.0"])))))
def test_whatever_a_wheel_calls_its_licence_the_document_is_valid(fields: list[tuple[str, str]]) -> None:
    text = "".join(f"{key}: {' '.join(value.split())}\n" for key, value in fields)
    written = write(distributions=[sbom.Distribution("thing", "1", "e" * 64, text)])
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(written.decode()) is None
