"""How are images and labels read from IDX files (MNIST, Fashion-MNIST, KMNIST, EMNIST)?"""

import gzip
import math
import struct
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from edgepack import contracts, userfiles
from edgepack.contracts import RawData, Samples
from edgepack.errors import MissingError, RecipeError

if TYPE_CHECKING:
    from numpy.typing import NDArray

NAMES = {
    "x_train": "train-images-idx3-ubyte",
    "y_train": "train-labels-idx1-ubyte",
    "x_test": "t10k-images-idx3-ubyte",
    "y_test": "t10k-labels-idx1-ubyte",
}
DTYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
FASHION = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
KERAS = {"fashion_mnist": FASHION, "mnist": tuple("0123456789")}


class Config(contracts.DataConfig):
    """A folder with the four IDX files of MNIST-like sets, gzipped or not."""

    idx: str = Field(description="folder with train-images-idx3-ubyte(.gz) and its three companions")
    fallback: str | None = Field(
        None,
        description="`fashion_mnist` or `mnist`: where the folder is absent, keras.datasets downloads it",
    )


def identity(config: Config, base: Path) -> object:
    """Digests of the four files, or the name of the set that Keras downloads."""
    folder = _folder(config, base)
    if folder is None:
        return ["keras.datasets", config.fallback]
    return [userfiles.digest(_member(folder, name)) for name in NAMES.values()]


def load(config: Config, base: Path) -> RawData:
    """Load images as uint8 of shape (n, height, width, 1) and labels of shape (n,)."""
    folder = _folder(config, base)
    arrays = _download(config) if folder is None else {key: read(_member(folder, name)) for key, name in NAMES.items()}
    for key in ("x_train", "x_test"):
        if arrays[key].ndim == 3:
            arrays[key] = arrays[key][..., None]
    labels = KERAS.get(config.fallback or "", tuple(str(i) for i in range(int(arrays["y_train"].max()) + 1)))
    return RawData(
        Samples(arrays["x_train"], arrays["y_train"]),
        None,
        Samples(arrays["x_test"], arrays["y_test"]),
        labels,
    )


def read(path: Path) -> "NDArray[Any]":
    """Read one IDX file (format: http://yann.lecun.com/exdb/mnist, "THE IDX FILE FORMAT").

    Returns:
        Array of the file's shape and dtype, native byte order.

    Raises:
        RecipeError: The magic number, the dtype or the length is wrong.
    """
    import numpy as np

    try:
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise RecipeError(f"{path} cannot be read: {error}", fix="fetch the file again") from error
    if len(data) < 4 or data[:2] != b"\0\0" or data[2] not in DTYPES:
        raise RecipeError(
            f"{path} is no IDX file: it starts with {data[:4].hex()!r}", fix="expected 0000, a type, a rank"
        )
    rank = data[3]
    start = 4 + 4 * rank
    if len(data) < start:
        raise RecipeError(f"{path} ends inside its header", fix="fetch the file again")
    shape = struct.unpack(f">{rank}I", data[4:start])
    dtype = np.dtype(DTYPES[data[2]])
    expected = start + math.prod(shape) * dtype.itemsize
    if len(data) != expected:
        raise RecipeError(
            f"{path}: expected {expected} bytes for shape {shape}, received {len(data)}", fix="fetch it again"
        )
    try:
        array = np.frombuffer(data, dtype, offset=start).reshape(shape)
    except ValueError as error:  # more axes, or larger ones beside an empty one, than an array can have
        raise RecipeError(
            f"{path}: there is no array of {rank} axes {shape[:8]}: {error}", fix="fetch it again"
        ) from error
    return array.astype(dtype.newbyteorder("="))


def _folder(config: Config, base: Path) -> Path | None:
    path = Path(config.idx).expanduser()
    path = path if path.is_absolute() else base / path
    if path.is_dir():
        return path
    if config.fallback in KERAS:
        return None
    raise MissingError(
        f"data.idx: there is no folder {path}",
        fix="on Debian: apt-get install dataset-fashion-mnist; or set data.fallback to one of: " + ", ".join(KERAS),
    )


def _member(folder: Path, name: str) -> Path:
    for candidate in (folder / name, folder / f"{name}.gz"):
        if candidate.is_file():
            return candidate
    raise MissingError(f"data.idx: {folder} holds neither {name} nor {name}.gz", fix="add the file")


def _download(config: Config) -> dict[str, Any]:
    import tf_keras

    try:
        (x_train, y_train), (x_test, y_test) = getattr(tf_keras.datasets, str(config.fallback)).load_data()
    except Exception as error:
        raise MissingError(
            f"data.idx: there is no folder {config.idx}, and keras.datasets.{config.fallback} could not be "
            f"downloaded: {error}",
            fix=f"put the four IDX files into {config.idx} (on Debian: apt-get install dataset-fashion-mnist)",
        ) from error
    return {"x_train": x_train, "y_train": y_train, "x_test": x_test, "y_test": y_test}
