"""Is a program for another processor, another program than was meant, or none, refused before anything is sent?"""

import struct
from pathlib import Path

import pytest

from edgepack.android.errors import AbsentError, AndroidError, WordsError
from edgepack.android.files import check_library, check_program, digest, instruction_set

PIXEL = ("arm64-v8a",)


def elf(path: Path, machine: int) -> Path:
    path.write_bytes(b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HH", 3, machine) + bytes(44))
    return path


@pytest.mark.parametrize(
    ("machine", "abi"), [(183, "arm64-v8a"), (40, "armeabi-v7a"), (62, "x86_64"), (3, "x86"), (8, "processor 8")]
)
def test_the_processor_of_a_program(tmp_path: Path, machine: int, abi: str) -> None:
    assert instruction_set(elf(tmp_path / "program", machine)) == abi


def test_a_program_for_the_phone(tmp_path: Path) -> None:
    program = elf(tmp_path / "benchmark_model", 183)
    assert check_program(program, None, PIXEL) == check_program(program, digest(program), ()) == digest(program)


def test_a_program_for_another_processor(tmp_path: Path) -> None:
    with pytest.raises(AndroidError, match="is for x86_64, and the phone runs arm64-v8a") as caught:
        check_program(elf(tmp_path / "benchmark_model", 62), None, PIXEL)
    assert (caught.value.exit_code, caught.value.fix) == (6, "get the benchmark_model for arm64-v8a")


def test_what_is_no_program_or_not_the_one_that_was_meant(tmp_path: Path) -> None:
    page = tmp_path / "benchmark_model"
    page.write_text("<html>404</html>")
    with pytest.raises(WordsError, match="is no program for Android"):
        check_program(page, None, PIXEL)
    with pytest.raises(WordsError, match=f"expected {'0' * 64}"):
        check_program(page, "0" * 64, PIXEL)


def test_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(AbsentError, match="is not there: expected the file"):
        check_program(tmp_path / "benchmark_model", None, PIXEL)
    with pytest.raises(AbsentError, match="there is no library"):
        check_library(str(tmp_path / "libGpu.so"))
