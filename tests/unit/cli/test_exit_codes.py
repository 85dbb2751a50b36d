"""Does each class of failure leave the command line with its own exit code and one document?"""

import json

import pytest

from edgepack import bundle
from edgepack.cli import main
from edgepack.errors import CLASSES, EdgepackError


@pytest.mark.parametrize("cls", CLASSES.values())
@pytest.mark.parametrize("as_json", [False, True])
def test_a_failure_becomes_its_exit_code(
    cls: type[EdgepackError], as_json: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(path: object) -> None:
        raise cls("what was wrong", fix="what to do")

    monkeypatch.setattr(bundle, "require", fail)
    assert main.run(["verify", "anything", *(["--json"] if as_json else [])]) == cls.exit_code
    out, err = capsys.readouterr()
    assert err.endswith("error: what was wrong\n  fix: what to do\n")  # behind what is being done
    if as_json:
        (error,) = json.loads(out)["errors"]
        assert error == {
            "class": cls.__name__,
            "message": "what was wrong",
            "fix": "what to do",
            "exit_code": cls.exit_code,
        }
    else:
        assert out == ""


def test_anything_else_is_a_bug_with_its_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(path: object) -> None:
        raise KeyError("never thought of")

    monkeypatch.setattr(bundle, "require", fail)
    assert main.run(["verify", "anything"]) == 1
    err = capsys.readouterr().err
    assert "Traceback" in err and "error: KeyError: 'never thought of'" in err and "please report it" in err
    assert main.run(["verify", "anything", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["errors"][0]["class"] == "BugError"


def test_ctrl_c_gives_the_shells_code(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def fail(path: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(bundle, "require", fail)
    assert main.run(["verify", "anything", "--json"]) == 130
    out, err = capsys.readouterr()
    assert "error: interrupted" in err
    assert json.loads(out)["errors"][0]["exit_code"] == 130
