"""What does a saved model say of itself, and can all of it be read? A program of its own: HDF5 crashes and hangs.

``python -m edgepack.keras_models.look MODEL`` prints ``{"version": ..., "config": ...}``, or ``{"error": ..., "fix":
...}``. Only what was read here to its last byte is read again where a model is built.
"""

import json
import sys
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from edgepack import proc
from edgepack.errors import DeviceError, RecipeError
from edgepack.tf_environment import environment

ENOUGH_MIB, RATIO = 64, 100
"""An archive may unpack to this size, and beyond it to so many times its own."""

TIMEOUT_S, MIB_PER_S = 30, 10
"""A file is given this time, and longer by its size."""

AGAIN = "save or copy the model again"


@dataclass(frozen=True)
class Saved:
    """What a file says before anything in it is built.

    Attributes:
        version: The version of Keras that saved it; empty where the file does not say.
        config: The configuration of the model.
    """

    version: str
    config: Mapping[str, Any]


def look(path: Path) -> Saved:
    """Read a ``.keras`` or HDF5 file to its end in a process of its own.

    Raises:
        RecipeError: It is damaged, or holds no model.
    """
    limit_s = TIMEOUT_S + path.stat().st_size / 2**20 / MIB_PER_S
    try:
        argv = [sys.executable, "-m", "edgepack.keras_models.look", str(path)]
        done = proc.run(argv, timeout_s=limit_s, env=environment())
    except DeviceError as error:
        raise RecipeError(f"{path} cannot be read: HDF5 found no end of it in {limit_s:.0f} s", fix=AGAIN) from error
    try:
        found = json.loads(done.stdout)
    except ValueError as error:
        raise RecipeError(
            f"{path} cannot be read: HDF5 ended its process (exit code {done.returncode})", fix=AGAIN
        ) from error
    if "error" in found:
        raise RecipeError(found["error"], fix=found["fix"])
    return Saved(found["version"], found["config"])


def read(path: Path) -> Saved:
    """Read a file as `look` does, in this process.

    Raises:
        RecipeError: It is damaged, or holds no model.
    """
    kind = ".keras" if path.suffix == ".keras" else "HDF5"
    try:
        version, config = _archive(path) if path.suffix == ".keras" else _hdf5(path)
        saved = Saved(_text(version), json.loads(_text(config)))
    except RecipeError:
        raise
    except Exception as error:  # a damaged file makes zipfile, zlib, HDF5 and JSON raise classes of their own
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
        raise RecipeError(f"{path} is not a readable {kind} file ({reason})", fix=AGAIN) from error
    if not isinstance(saved.config, dict):
        raise RecipeError(f"{path}: its configuration is a {type(saved.config).__name__}, no model", fix=AGAIN)
    return saved


def _archive(path: Path) -> tuple[Any, Any]:
    with zipfile.ZipFile(path) as archive:
        unpacked = sum(member.file_size for member in archive.infolist())
        if unpacked > max(ENOUGH_MIB << 20, RATIO * path.stat().st_size):
            raise RecipeError(
                f"{path}: its members unpack to {unpacked / 2**20:,.0f} MiB, {RATIO} times its size and more",
                fix="save the model again: Keras does not compress so much",
            )
        metadata = json.loads(archive.read("metadata.json"))
        config = archive.read("config.json")
        broken = _broken(archive)
        if broken is None:
            for name in archive.namelist():
                if name.endswith(".h5"):
                    _read_whole(BytesIO(archive.read(name)))
    if broken is not None:
        raise RecipeError(f"{path}: its member {broken!r} is damaged", fix=AGAIN)
    return metadata.get("keras_version", ""), config


def _broken(archive: zipfile.ZipFile) -> str | None:
    try:
        return archive.testzip()
    except zlib.error as error:
        return f"({error})"


def _hdf5(path: Path) -> tuple[Any, Any]:
    import h5py

    with h5py.File(path, "r") as file:
        if "model_config" not in file.attrs:
            raise RecipeError(
                f"{path} holds weights and no model", fix='save the whole model: model.save("model.keras")'
            )
        version, config = file.attrs.get("keras_version", ""), file.attrs["model_config"]
    _read_whole(path)
    return version, config


def _read_whole(source: Path | BytesIO) -> None:
    """Read every attribute and every number of an HDF5 file."""
    import h5py

    def visit(_: str, item: Any) -> None:
        dict(item.attrs)
        if isinstance(item, h5py.Dataset):
            item[()]

    with h5py.File(source, "r") as file:
        dict(file.attrs)
        file.visititems(visit)


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def main() -> None:
    """Print what one file says."""
    try:
        saved = read(Path(sys.argv[1]))
        answer: dict[str, Any] = {"version": saved.version, "config": saved.config}
    except RecipeError as error:
        answer = {"error": error.message, "fix": error.fix}
    sys.stdout.write(json.dumps(answer))


if __name__ == "__main__":
    main()
