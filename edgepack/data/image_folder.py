"""How are images read from a folder with one sub-folder per class?"""

from pathlib import Path

from pydantic import Field, PositiveInt

from edgepack import contracts, userfiles
from edgepack.contracts import RawData, Samples
from edgepack.errors import MissingError, RecipeError

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp")


class Config(contracts.DataConfig):
    """``DIR/<class>/<image>``, or ``DIR/{train,validation,test}/<class>/<image>`` for a split of its own."""

    image_folder: str = Field(description="the folder")
    size: tuple[PositiveInt, PositiveInt] = Field(description="height and width to which each image is resized")
    channels: int = Field(3, ge=1, le=3, description="3 = RGB, 1 = grey")


def identity(config: Config, base: Path) -> object:
    """Name, size and modification time of every image."""
    root = userfiles.find(config.image_folder, base, what="data.image_folder")
    files = sorted(path for path in root.rglob("*") if path.suffix.lower() in SUFFIXES)
    return [[str(p.relative_to(root)), p.stat().st_size, p.stat().st_mtime_ns] for p in files]


def load(config: Config, base: Path) -> RawData:
    """Load images as uint8 of shape (n, height, width, channels), bilinear resize."""
    root = userfiles.find(config.image_folder, base, what="data.image_folder")
    if config.channels == 2:
        raise RecipeError("data.channels: expected 1 (grey) or 3 (RGB), received 2", fix="choose 1 or 3")
    split = (root / "train").is_dir()
    top = root / "train" if split else root
    labels = tuple(sorted(path.name for path in top.iterdir() if path.is_dir()))
    if not labels:
        raise MissingError(
            f"data.image_folder: {top} has no sub-folder; expected one per class", fix="make one per class"
        )
    parts = {name: root / name for name in ("validation", "test") if split and (root / name).is_dir()}
    return RawData(
        _read(top, labels, config),
        _read(parts["validation"], labels, config) if "validation" in parts else None,
        _read(parts["test"], labels, config) if "test" in parts else None,
        labels,
    )


def _read(folder: Path, labels: tuple[str, ...], config: Config) -> Samples:
    import numpy as np
    from PIL import Image, UnidentifiedImageError

    from edgepack.serving import pictures

    unknown = sorted({path.name for path in folder.iterdir() if path.is_dir()} - set(labels))
    if unknown:
        raise RecipeError(f"{folder} holds the classes {unknown}, which train/ has not", fix=f"expected: {labels}")
    images, classes = [], []
    height, width = config.size
    for code, label in enumerate(labels):
        for path in sorted((folder / label).glob("*")):
            if path.suffix.lower() not in SUFFIXES:
                continue
            try:
                with Image.open(path) as image:
                    images.append(pictures.fitted(image, height, width, config.channels))
            except (UnidentifiedImageError, OSError) as error:
                raise RecipeError(f"{path} is not a readable image: {error}", fix="repair or remove it") from error
            classes.append(code)
    if not images:
        raise MissingError(f"{folder} holds no image ({', '.join(SUFFIXES)})", fix="add images")
    return Samples(np.stack(images), np.array(classes, dtype=np.int64))
