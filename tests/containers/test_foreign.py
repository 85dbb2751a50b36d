"""What happens to an image of another architecture that nothing here can run?"""

import contextlib
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from edgepack import transports
from edgepack.errors import MissingError

pytestmark = pytest.mark.engine

# The head of a 64-bit program for a machine that does not exist.
PROGRAM = b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x02\x00\x34\x12\x01\x00\x00\x00" + bytes(40)


@pytest.fixture
def foreign(client: Any, tmp_path: Path) -> Iterator[Callable[[str], str]]:
    """Makes an image that is marked for an architecture, and whose only program no machine runs."""
    made: list[str] = []

    def make(architecture: str) -> str:
        (tmp_path / "program").write_bytes(PROGRAM)
        (tmp_path / "program").chmod(0o755)
        (tmp_path / "Dockerfile").write_text('FROM scratch\nCOPY program /program\nENTRYPOINT ["/program"]\n')
        made.append(f"edgepack/test-foreign-{uuid.uuid4().hex[:8]}:{architecture}")
        client.images.build(
            path=str(tmp_path), tag=made[-1], platform=f"linux/{architecture}", network_mode="none", rm=True
        )
        return made[-1]

    yield make
    for name in made:
        with contextlib.suppress(Exception):
            client.api.remove_image(name, force=True)


def test_without_an_emulator_it_is_told_what_to_install(foreign: Callable[[str], str], platform: str) -> None:
    if platform == "linux/arm64":
        pytest.skip("this engine runs arm64 itself")
    image = foreign("arm64")
    with (
        transports.connect(f"docker:{image}") as device,
        pytest.raises(MissingError, match="is for arm64, this engine runs on amd64 and has no emulator") as caught,
    ):
        device.run([], timeout_s=60)
    assert "qemu-user-static" in caught.value.fix


def test_an_architecture_that_nobody_emulates_is_refused_before_it_runs(foreign: Callable[[str], str]) -> None:
    with pytest.raises(MissingError, match=r"is for riscv64, .* only arm64 can be emulated"):
        transports.connect(f"docker:{foreign('riscv64')}")
