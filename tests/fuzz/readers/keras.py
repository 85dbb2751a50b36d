"""What does edgepack do with a saved Keras model, ``.keras`` or ``.h5``?

Keras 3 is read in a process of its own, which takes seconds to start: here its files are looked at up to there, and
some of what is found is given to a real command afterwards (see `__main__`).
"""

import io
import json
import os
import random
import signal
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from edgepack.errors import RecipeError
from edgepack.keras_models import load as loading
from edgepack.keras_models import look as looking
from edgepack.keras_models.keras3 import load as loading_3
from edgepack.keras_models.trust import require_plain

from ..mutations import mutate_json, mutate_json_text
from . import Flip, Part

SUFFIX = ".keras"

LOOKS_S = 5
"""For a file of some KiB; `look` gives it more."""

HDF5 = b"\x89HDF\r\n\x1a\n"


def prepare(made: Path) -> None:
    """See `readers`."""
    import h5py
    import tensorflow_model_optimization
    import tf_keras

    assert h5py.File, tensorflow_model_optimization.sparsity
    tf_keras.models.load_model(made / "keras/two.h5", compile=False)


def seeds(made: Path) -> list[bytes]:
    """See `readers`."""
    return [path.read_bytes() for path in sorted((made / "keras").iterdir())]


def mutate(content: bytes, rng: random.Random, flip: Flip) -> bytes:
    """See `readers`: what the members of the archive or the attributes of the file say, or bytes anywhere."""
    if rng.random() < 0.25:
        return flip(content)
    try:
        return _in_hdf5(content, rng, flip) if content.startswith(HDF5) else _in_archive(content, rng, flip)
    except Exception:
        return flip(content)


def _in_archive(content: bytes, rng: random.Random, flip: Flip) -> bytes:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = rng.choice(["config.json", "config.json", "config.json", *members])
    if name.endswith(".json"):
        members[name] = mutate_json_text(members[name], rng) or flip(members[name])
    elif name.endswith(".h5") and rng.random() < 0.5:
        members[name] = flip(members[name])
    elif rng.random() < 0.5:
        members[rng.choice(("../outside", "/tmp/outside", "a/../../b", "config.json/x", "assets/../../c"))] = b"x"
    else:
        del members[name]
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for member, text in members.items():
            archive.writestr(zipfile.ZipInfo(member), text)
    return packed.getvalue()


def _in_hdf5(content: bytes, rng: random.Random, flip: Flip) -> bytes:
    with tempfile.NamedTemporaryFile(suffix=".h5") as changed:
        changed.write(content)
        changed.flush()
        if _forked(lambda: _change_attributes(changed.name, rng)) == 0:
            return Path(changed.name).read_bytes()
    return flip(content)


def _change_attributes(path: str, rng: random.Random) -> None:
    import h5py

    with h5py.File(path, "r+") as file:
        config = json.loads(file.attrs["model_config"])
        file.attrs["model_config"] = json.dumps(mutate_json(config, rng))
        if rng.random() < 0.1:
            file.attrs["keras_version"] = rng.choice(("3.0.0", "2.0.0", "", "3", "x"))
        if rng.random() < 0.1:
            file.attrs["model_config"] = rng.choice(("", "null", "[]", "{}", 3, "[" * 5000))


def parts(path: Path, made: Path, work: Path) -> Iterator[Part]:
    """See `readers`."""
    if path.read_bytes()[:8] == HDF5:
        path = path.rename(path.with_suffix(".h5"))
    yield Part("load", lambda: _load(path))


def _load(path: Path) -> Any:
    from edgepack.keras_models import custom, layers
    from edgepack.keras_models.inspect import require_graph

    _survive(path)
    saved = looking.read(path)
    if saved.version.startswith("3"):
        loading_3._check(path, saved.config, custom.in_use())
        return
    require_plain(saved.config, {*custom.in_use(), *layers.custom_objects()})
    require_graph(loading._load_keras_2(path, safe=True))


def _survive(path: Path) -> None:
    """Read a file in a forked process first, as `look` does in one of its own: HDF5 crashes and hangs."""
    ended = _forked(lambda: looking.read(path))
    if ended < 0:
        raise RecipeError(f"HDF5 ended by signal {-ended}", fix=looking.AGAIN)


def _forked(action: Callable[[], Any]) -> int:
    """Do something in a forked process; 0, 1 behind an exception, or minus the signal that ended it."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(LOOKS_S)
            action()
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


def command(path: Path, made: Path, work: Path) -> list[str]:
    """See `readers`."""
    if path.read_bytes()[:8] == HDF5:
        path = path.rename(path.with_suffix(".h5"))
    return ["doctor", str(path)]
