"""Is text from a file printed as it is, whatever it looks like?"""

import subprocess
import sys
from pathlib import Path

import pytest

import edgepack

TARGET = """\
description: {description}
platform: linux/amd64
runtimes: [litert]
precisions: [int8]
image: {{platform: linux/amd64, base: my/base:1}}
"""


@pytest.mark.parametrize("description", ["'[/b] closes nothing'", "'[red]'", '"half \\ud800 of a character"'])
@pytest.mark.parametrize("words", [(), ("--json",)])
def test_markup_and_broken_characters_are_text(tmp_path: Path, description: str, words: tuple[str, ...]) -> None:
    (tmp_path / "board.yaml").write_text(TARGET.format(description=description))
    done = subprocess.run(
        [sys.executable, "-m", "edgepack.cli.main", "targets", "board.yaml", *words],
        cwd=tmp_path,
        env={"PYTHONPATH": str(Path(edgepack.__file__).parents[1]), "LC_ALL": "C.UTF-8"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "closes nothing" in done.stdout or "red" in done.stdout or "half" in done.stdout
