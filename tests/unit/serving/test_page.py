"""Does docs/serving.md name every option with its default, every figure and every status?"""

import re
from pathlib import Path

import pytest

from edgepack.serving.metrics import Metrics
from edgepack.serving.options import Options, parse
from edgepack.serving.request import FLAGS

TEXT = (Path(__file__).parents[3] / "docs" / "serving.md").read_text()
PACKAGE = Path(__file__).parents[3] / "edgepack" / "serving"


def test_every_option_is_there_with_its_default(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(["--help"])
    options = set(re.findall(r"^  (--[\w-]+)", capsys.readouterr().out, re.MULTILINE))
    rows = re.findall(r"^\| (`--.*?) \| (.*?) \|", TEXT, re.MULTILINE)
    shown = {name: default for cell, default in rows for name in re.findall(r"`(--[\w-]+)`", cell)}
    assert set(shown) == options
    for name in options:
        default = getattr(Options(), name.removeprefix("--").replace("-", "_"))
        if default is not None:
            told = f"{default:g}" if isinstance(default, float) else str(default)
            assert told in shown[name], name


def test_every_figure_is_there() -> None:
    metrics = Metrics({"queue_depth": ("", lambda: 0.0), "requests_in_progress": ("", lambda: 0.0)}, lambda: {"a": "b"})
    names = {family.name for family in metrics.collect()}
    assert len(names) == 8
    assert not [name for name in names if f"`{name}" not in TEXT]


def test_every_status_and_parameter_is_there() -> None:
    source = "".join(path.read_text() for path in PACKAGE.glob("*.py"))
    statuses = set(re.findall(r"RequestError\(\s*(\d{3})", source)) | set(re.findall(r"_refuse\((\d{3})", source))
    assert statuses >= {"400", "404", "413", "429", "500", "503"}
    rows = " ".join(re.findall(r"^\| ([\d, ]+) \|", TEXT, re.MULTILINE))
    assert not [status for status in statuses if status not in rows]
    assert not [flag for flag in (*FLAGS, "timeout") if f"| `{flag}` |" not in TEXT]
