"""When is 16-bit training said to gain nothing?"""

from pathlib import Path

import pytest

from edgepack.training.precision import processor_flags, warning

XEON = "processor\t: 0\nflags\t\t: fpu sse2 avx512f avx512_bf16\nprocessor\t: 1\nflags\t\t: fpu sse2\n"
ARM = "processor\t: 0\nFeatures\t: fp asimd fphp asimdhp bf16\n"


@pytest.mark.parametrize(("text", "flag"), [(XEON, "avx512_bf16"), (ARM, "fphp")])
def test_flags_are_read_as_linux_writes_them(tmp_path: Path, text: str, flag: str) -> None:
    (tmp_path / "cpuinfo").write_text(text)
    assert flag in processor_flags(tmp_path / "cpuinfo")
    assert processor_flags(tmp_path / "absent") == frozenset()


def test_a_processor_without_units_gains_nothing() -> None:
    said = warning("mixed_bfloat16", {"avx2"}, accelerators=0)
    assert said is not None
    assert "gains nothing" in said
    assert "bfloat16" in said


@pytest.mark.parametrize(
    ("precision", "flags", "accelerators"),
    [
        ("float32", {"avx2"}, 0),
        ("mixed_float16", {"avx2"}, 1),
        ("mixed_bfloat16", {"amx_bf16"}, 0),
        ("mixed_float16", {"fphp"}, 0),
        ("mixed_float16", set(), 0),
    ],
)
def test_nothing_is_said_where_it_may_gain(precision: str, flags: set[str], accelerators: int) -> None:
    assert warning(precision, flags, accelerators=accelerators) is None
