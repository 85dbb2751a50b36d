"""Is code inside a saved model left alone, and does edgepack's own file of a model with code come back?"""

from contextlib import chdir
from pathlib import Path
from typing import Any

import pytest

from edgepack.errors import RecipeError

pytestmark = pytest.mark.filterwarnings("ignore")  # libraries warn of what they themselves do


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A model whose code leaves a file behind when it runs, in both formats."""
    import tf_keras

    from edgepack.keras_models.save import save

    folder = tmp_path_factory.mktemp("code")
    with chdir(folder):
        model = tf_keras.Sequential(
            [
                tf_keras.layers.InputLayer((2,)),
                tf_keras.layers.Lambda(lambda x: [__import__("pathlib").Path("ran").touch(), x][1], name="code"),
                tf_keras.layers.Dense(1),
            ],
            name="tiny",
        )
    assert (folder / "ran").exists()
    model.save(folder / "m.keras")
    save(model, folder / "m.h5")
    return {suffix: folder / f"m{suffix}" for suffix in (".keras", ".h5")}


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_the_code_of_a_lambda_layer_is_not_run(
    saved: dict[str, Path], suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edgepack.keras_models.load import load

    monkeypatch.chdir(tmp_path)
    with pytest.raises(RecipeError, match="the code of the Lambda layer 'code'"):
        load(saved[suffix])
    assert not (tmp_path / "ran").exists()


def test_what_edgepack_saved_itself_comes_back_whole(
    saved: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edgepack.keras_models.load import load_own

    monkeypatch.chdir(tmp_path)
    model: Any = load_own(saved[".h5"])
    assert model.layers[0].name == "code"
