"""What of a user's file counts as a custom layer or function?"""

from pathlib import Path

import pytest

from edgepack.errors import RecipeError
from edgepack.keras_models import custom


class Layer:
    """Stands for `tf_keras.layers.Layer`: any class can be the base."""


def test_layers_and_functions_that_the_file_defines_count(tmp_path: Path) -> None:
    path = tmp_path / "parts.py"
    path.write_text(
        "from pathlib import Path\n"
        f"from {__name__} import Layer\n"
        "class Own(Layer): pass\n"
        "class Helper: pass\n"
        "def bent(x): return x\n"
        "LIMIT = 3\n"
    )
    found = custom.objects(path, Layer)
    assert set(found) == {"Own", "bent"}
    assert custom.objects(path, Layer)["Own"] is found["Own"], "imported once: classes register themselves"


def test_layers_of_another_keras_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "foreign.py"
    path.write_text("class Layer: pass\nclass Own(Layer): pass\n")
    with pytest.raises(RecipeError, match="is a layer of") as caught:
        custom.objects(path, Layer)
    assert "from tensorflow import keras" in caught.value.fix


def test_a_file_that_fails_is_named_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "broken.py"
    path.write_text("x = 1\nx.missing\n")
    with pytest.raises(RecipeError, match=r"broken\.py failed: AttributeError: .*broken\.py:2"):
        custom.objects(path, Layer)
