"""Is a foreign image given a processor whose name and description belong together?"""

import re

import pytest

from edgepack.errors import MissingError
from edgepack.images import emulation
from edgepack.runner.environment import cpu_model, emulated


@pytest.mark.parametrize("architecture", sorted(emulation.PROCESSORS))
def test_the_file_describes_the_processor_that_qemu_is_told(architecture: str) -> None:
    processor = emulation.PROCESSORS[architecture]
    model = cpu_model(processor.cpuinfo.read_text())
    assert model is not None
    assert model.lower().replace(" ", "-") == f"arm-{processor.name}"
    (shown,) = processor.mounts().values()
    assert shown == processor.cpuinfo and shown.is_file()
    # What the runner sees of it in a container makes its times worthless.
    assert emulated("aarch64", environ=processor.environment()) is True


def test_the_engines_own_architecture_is_not_emulated() -> None:
    assert emulation.processor("image", "amd64", "amd64") is None
    assert emulation.processor("image", "arm64", "amd64") is emulation.PROCESSORS["arm64"]


def test_an_architecture_without_a_known_processor_is_refused() -> None:
    with pytest.raises(MissingError, match=re.escape("only arm64 can be emulated here")):
        emulation.processor("some/image:1", "riscv64", "amd64")
