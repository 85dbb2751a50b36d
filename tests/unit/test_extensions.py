"""Are extensions what lies in their folder, without importing any of them?"""

import subprocess
import sys
from pathlib import Path

import pytest

import edgepack
from edgepack import extensions
from edgepack.errors import RecipeError

KINDS = ("data", "models", "techniques", "formats", "zoo", "transports", "clusters")


@pytest.mark.parametrize("kind", KINDS)
def test_names_are_the_files_of_the_folder(kind: str) -> None:
    folder = Path(edgepack.__file__).parent / kind
    files = {path.stem for path in folder.glob("*.py") if not path.name.startswith("_")}
    assert set(extensions.names(f"edgepack.{kind}")) == files != set()


def test_helpers_are_no_extensions() -> None:
    assert "_layers" not in extensions.names("edgepack.techniques")


def test_listing_imports_none_of_them() -> None:
    program = (
        "import sys\nfrom edgepack import extensions\nextensions.names('edgepack.techniques')\n"
        "print([name for name in sys.modules if name.startswith('edgepack.techniques.')])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "[]\n"


def test_an_extension_is_loaded_by_its_name() -> None:
    assert extensions.load("edgepack.data", "csv").__name__ == "edgepack.data.csv"


def test_an_unknown_name_is_refused_with_the_nearest_one() -> None:
    known = ", ".join(extensions.names("edgepack.techniques"))
    with pytest.raises(RecipeError, match=f"unknown name 'prun' in techniques; expected one of: {known}") as caught:
        extensions.load("edgepack.techniques", "prun")
    assert caught.value.fix == "did you mean 'prune'?"
    with pytest.raises(RecipeError) as caught:
        extensions.load("edgepack.techniques", "zzz")
    assert "edgepack/techniques/zzz.py" in caught.value.fix


@pytest.mark.parametrize("name", ["_layers", "prune.Config", "../errors", ""])
def test_nothing_else_can_be_reached_by_name(name: str) -> None:
    with pytest.raises(RecipeError):
        extensions.load("edgepack.techniques", name)
