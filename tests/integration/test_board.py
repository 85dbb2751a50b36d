"""Does the virtual arm64 board, with nothing but Python on it, verify and measure what this machine made?"""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ssh_server import require

from edgepack import latency
from edgepack.board import boot, image
from edgepack.errors import MissingError
from edgepack.protocol import Protocol
from edgepack.transports import Device
from edgepack.transports._openssh import Address
from edgepack.transports.ssh import Ssh

FILE = "model.int8.tflite"
PROTOCOL = Protocol(0.02, 5, 0.0, 2.0)


@pytest.fixture(scope="module")
def board() -> Path:
    """The board, built when it is not in the cache."""
    require("ssh", "qemu-system-aarch64", "mke2fs", "ssh-keygen", "apt-get")
    try:
        return image.ready(print)
    except MissingError as error:
        if os.environ.get("EDGEPACK_REQUIRE_DEVICES") == "1":
            raise
        pytest.skip(error.message)


@pytest.fixture(scope="module")
def cold(board: Path) -> Iterator[Ssh]:
    """A board that has never been used; its clock does not count instructions, as this takes longer."""
    with (
        boot.booted(board, processor=boot.PROCESSOR, counting=False) as program,
        Ssh(Address(boot.ALIAS), device=Device("ssh://board", "board"), program=program) as device,
    ):
        yield device


def test_from_a_cold_device_to_golden_outputs_and_latencies(cold: Ssh, digits_bundle: Path) -> None:
    words: list[str | Path] = ["verify", "--bundle", digits_bundle, "--runtime", "litert"]
    verified, code = cold.ask(words, timeout_s=600)
    assert code == 0, verified
    assert verified["environment"]["cpu"] == "Arm Cortex-A72"
    # The tolerance that they keep comes from how far LiteRT's own kernels are apart; integers are one step off at most.
    found = {item["artifact"]: item for item in verified["results"]}
    assert {item["status"] for item in found.values()} == {"ok"}
    assert found[FILE]["max_abs_difference"] <= 1 / 256
    assert {"runner", FILE} < set(cold.sent) and any(name.startswith("ai-edge-litert") for name in cold.sent)
    sent, sent_bytes = list(cold.sent), cold.sent_bytes
    measured, code = latency.bench(cold, digits_bundle, protocol=PROTOCOL, artifacts=[FILE], runtime="litert")
    assert (code, cold.sent) == (0, sent)
    assert cold.sent_bytes - sent_bytes < 50_000  # the agent and the request, twice
    (result,) = measured["results"]
    assert result["status"] == "ok" and result["details"]["delegate"] == "XNNPACK"
    assert measured["environment"]["machine"] == "aarch64"


def test_the_command_line_counts_instructions_and_says_so(
    board: Path, digits_bundle: Path, edgepack: Callable[..., Any], tmp_path: Path
) -> None:
    bundle = tmp_path / "digits" / "linux-arm64-cpu"
    shutil.copytree(digits_bundle, bundle, ignore=shutil.ignore_patterns("image"))
    done = edgepack("bench", bundle / FILE, "--on", "board", "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["device"] == {"address": "board", "name": "board", "simulated": True}
    assert document["protocol"]["clock"] == "instructions"
    (result,) = document["results"]
    assert [flag["kind"] for flag in result["flags"]] == ["simulated"]
    # The middle half of the runs counts nearly the same instructions.
    samples = sorted(result["samples_ns"])
    quarter = len(samples) // 4
    assert samples[-quarter - 1] / samples[quarter] < 1.1
