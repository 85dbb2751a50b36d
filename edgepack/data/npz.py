"""How are samples read from a NumPy ``.npz`` file?"""

from pathlib import Path

from pydantic import Field

from edgepack import contracts, userfiles
from edgepack.contracts import RawData, Samples
from edgepack.errors import RecipeError


class Config(contracts.DataConfig):
    """Arrays ``x``, ``y`` (to be split), or ``x_train``, ``y_train``, ``x_test``, ``y_test``.

    ``x_validation`` and ``y_validation`` may stand beside the latter.
    """

    npz: str = Field(description="path of the .npz file")


def identity(config: Config, base: Path) -> object:
    """The file's digest."""
    return userfiles.digest(userfiles.find(config.npz, base, what="data.npz"))


def load(config: Config, base: Path) -> RawData:
    """Load x of shape (n, ...) and integer y of shape (n,)."""
    import numpy as np

    path = userfiles.find(config.npz, base, what="data.npz")
    try:
        archive = np.load(path, allow_pickle=False)
        arrays = {name: archive[name] for name in archive.files}
    except Exception as error:
        raise RecipeError(f"{path} is not a readable .npz file: {error}", fix="write it with numpy.savez") from error

    def samples(x: str, y: str) -> Samples | None:
        return Samples(arrays[x], arrays[y]) if x in arrays and y in arrays else None

    train = samples("x_train", "y_train") or samples("x", "y")
    if train is None:
        raise RecipeError(
            f"{path} holds the arrays {sorted(arrays)}; expected x and y, or x_train, y_train, x_test and y_test",
            fix="rename the arrays",
        )
    classes = int(train.y.max()) + 1 if train.y.size and np.issubdtype(train.y.dtype, np.integer) else 0
    labels = tuple(str(index) for index in range(classes))
    return RawData(train, samples("x_validation", "y_validation"), samples("x_test", "y_test"), labels)
