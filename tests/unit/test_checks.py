"""Is what a bundle says of its gates read, or called damaged?"""

import json
from pathlib import Path

import pytest

from edgepack import checks
from edgepack.errors import VerificationError

GATE = {"gate": "min_accuracy", "artifact": "m", "limit": 0.9, "value": None, "status": "failed", "reason": "unknown"}


def test_gates_come_back_as_they_were_written(tmp_path: Path) -> None:
    (tmp_path / "verify.json").write_text(json.dumps({"gates": [GATE]}))
    assert checks.read_gates(tmp_path) == [GATE]


@pytest.mark.parametrize(
    "text",
    [
        *("", "[]", "{}", "null", "3", 100_000 * "[", '{"gates": null}', '{"gates": {}}', '{"gates": ["failed"]}'),
        json.dumps({"gates": [{**GATE, "status": None}]}),
        json.dumps({"gates": [{key: value for key, value in GATE.items() if key != "limit"}]}),
        json.dumps({"gates": [{**GATE, "value": "high"}]}),
        json.dumps({"gates": [{**GATE, "limit": 10**400}]}),
    ],
)
def test_anything_else_is_damaged(tmp_path: Path, text: str) -> None:
    (tmp_path / "verify.json").write_text(text)
    with pytest.raises(VerificationError, match="is damaged"):
        checks.read_gates(tmp_path)


def test_a_bundle_without_the_file_is_damaged(tmp_path: Path) -> None:
    with pytest.raises(VerificationError, match="is damaged: FileNotFoundError"):
        checks.read_gates(tmp_path)
