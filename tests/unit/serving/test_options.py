"""Are wrong words refused with what would be right, and processors shared without one too many?"""

from pathlib import Path
from typing import Any

import pytest

from edgepack.runner.errors import UsageError
from edgepack.serving import access, processors
from edgepack.serving.options import Options, parse


def test_words_become_options_and_nothing_said_is_the_default() -> None:
    assert parse([]) == Options()
    words = ["--port", "0", "--max-batch", "8", "--token-file", "t", "--artifact", "m.tflite", "--drain-s", "2.5"]
    assert parse(words) == Options(port=0, max_batch=8, token_file=Path("t"), artifact="m.tflite", drain_s=2.5)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--prot", "1"], "unrecognized arguments: --prot 1"),
        (["--port", "x"], "invalid int value: 'x'"),
        (["--port", "70000"], "--port 70000; expected at most 65535"),
        (["--instances", "0"], "--instances 0; expected at least 1"),
        (["--max-queue", "0"], "--max-queue 0; expected at least 1"),
        (["--body-timeout-s", "nan"], "--body-timeout-s nan; expected a number above 0"),
        (["--max-body-mib", "0"], "--max-body-mib 0; expected a number above 0"),
        (["--drain-s", "-1"], "--drain-s -1; expected 0 or more"),
        (["--tls-cert", "c"], "--tls-cert and --tls-key belong together"),
        (["--log", "some"], "--log 'some'; expected all or errors"),
    ],
)
def test_wrong_words_are_refused(words: list[str], said: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(words)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("processors_", "given", "expected"),
    [
        (1, {"recorded": 1}, (1, 1)),
        (2, {"recorded": 1}, (1, 1)),
        (2, {"recorded": 4}, (2, 1)),
        (8, {"recorded": 1}, (1, 4)),
        (8, {"recorded": 4}, (4, 1)),
        (16, {"recorded": 4}, (4, 3)),
        (0.5, {"recorded": 4}, (1, 1)),
        (8, {"recorded": 1, "threads": 2, "instances": 6}, (2, 6)),
    ],
)
def test_one_processor_is_left_to_the_server(
    processors_: float, given: dict[str, Any], expected: tuple[int, int]
) -> None:
    assert processors.split(processors_, **{"threads": None, "instances": None, **given}) == expected


@pytest.mark.parametrize(
    ("files", "quota"),
    [
        ({"cpu.max": "150000 100000\n"}, 1.5),
        ({"cpu.max": "max 100000\n"}, None),
        ({"cpu/cpu.cfs_quota_us": "50000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 0.5),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, None),
        ({"cpu.max": "damaged\n"}, None),
        ({}, None),
    ],
)
def test_a_containers_limit_counts(files: dict[str, str], quota: float | None, tmp_path: Path) -> None:
    here = processors.available(tmp_path)
    assert here >= 1
    for name, text in files.items():
        path = tmp_path / "sys/fs/cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert processors.available(tmp_path) == (here if quota is None else min(here, quota))


def test_tokens_are_read_and_compared(tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    path.write_text("# two, so that one can be replaced\n0123456789abcdef\n\n  fedcba9876543210  \n")
    tokens = access.read_tokens(path)
    assert tokens == (b"0123456789abcdef", b"fedcba9876543210")
    for header in (b"Bearer 0123456789abcdef", b"bearer  fedcba9876543210 "):
        assert access.allowed(header, tokens)
    for header in (None, b"", b"Bearer ", b"Bearer 0123456789abcde", b"Basic 0123456789abcdef", b"0123456789abcdef"):
        assert not access.allowed(header, tokens)
    for text in ("", "# nothing\n", "short\n"):
        path.write_text(text)
        with pytest.raises(UsageError, match="expected at least one, each of 16 characters"):
            access.read_tokens(path)
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        access.read_tokens(tmp_path / "absent")
