"""Which data sets come with scikit-learn, without a download?"""

from pathlib import Path
from typing import Literal

from pydantic import Field, PositiveInt

from edgepack import contracts
from edgepack.columns import SourceColumn
from edgepack.contracts import RawData, Samples
from edgepack.errors import MissingError, RecipeError


class Config(contracts.DataConfig):
    """A table or image set that scikit-learn ships."""

    sklearn: Literal["digits", "breast_cancer", "wine", "iris"] = Field(description="name of the data set")
    image_shape: tuple[PositiveInt, PositiveInt, PositiveInt] | None = Field(
        None, description="height, width, channels of one sample; absent = a flat table row"
    )


def identity(config: Config, base: Path) -> object:
    """The data are part of the package: its version says which they are."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return ["scikit-learn", version("scikit-learn")]
    except PackageNotFoundError as error:
        raise MissingError("the package scikit-learn is not installed", fix="pip install scikit-learn") from error


def load(config: Config, base: Path) -> RawData:
    """Load features as float32 of shape (n, features) or (n, height, width, channels)."""
    import numpy as np
    from sklearn import datasets

    bunch = getattr(datasets, f"load_{config.sklearn}")()
    x = np.asarray(bunch.data, dtype=np.float32)
    columns: tuple[SourceColumn, ...] | None = tuple(SourceColumn(str(name)) for name in bunch.feature_names)
    if config.image_shape is not None:
        if int(np.prod(config.image_shape)) != x.shape[1]:
            raise RecipeError(
                f"data.image_shape: {list(config.image_shape)} holds {int(np.prod(config.image_shape))} values, "
                f"but a sample of {config.sklearn!r} has {x.shape[1]}",
                fix="e.g. image_shape: [8, 8, 1] for digits",
            )
        x, columns = x.reshape(-1, *config.image_shape), None
    labels = tuple(str(name) for name in bunch.target_names)
    return RawData(Samples(x, np.asarray(bunch.target)), None, None, labels, columns)
