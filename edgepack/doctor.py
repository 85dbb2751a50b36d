"""Is everything there that edgepack needs, and what will happen to each layer of a model?"""

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any, Literal

from edgepack import worker, worklogs
from edgepack.environment import PACKAGES, describe, host_platform
from edgepack.recipe import Recipe, only_model
from edgepack.recipe import load as load_recipe
from edgepack.stages.request import Request

ENOUGH_DISK_GIB = 5.0


def examine_environment() -> dict[str, Any]:
    """Check versions, container engine, emulation, accelerators and disk; never fails."""
    facts = describe()
    checks = [
        _check("python", "ok", f"{facts['python']} on {facts['system']}, {host_platform()}"),
        _check("processor", "ok", f"{facts['cpu']}, {facts['cores']} cores"),
    ]
    for name in PACKAGES:
        version = facts[name]
        checks.append(
            _check(name, "ok" if version else "missing", str(version or f"not installed: pip install {name}"))
        )
    checks += [_engine(), _emulation(), _accelerators(), _disk(Path.cwd())]
    return {"schema": "edgepack.doctor/1", "checks": checks}


def examine_model(path: Path, custom_objects: Path | None = None) -> dict[str, Any]:
    """Say what quantisation and pruning will do with each layer of a saved model or of a recipe's model.

    Args:
        path: A saved model, or a recipe.
        custom_objects: Python file with a saved model's own layers and functions; a recipe names its own.

    Raises:
        MissingError: There is nothing at that path.
        RecipeError: It is no readable model or recipe.
    """
    if path.suffix in (".yaml", ".yml"):
        recipe, base = load_recipe(path), path.resolve().parent
    else:
        recipe, base = _recipe_for(path, custom_objects), Path.cwd()
    with tempfile.TemporaryDirectory(prefix="edgepack-") as folder:
        request = Request(recipe, base, Path(folder), {}, False, lambda _: None, {})
        return worker.call("edgepack.stages.doctor", request, log_path=worklogs.place("doctor")).figures


def _recipe_for(model: Path, custom_objects: Path | None) -> Recipe:
    return only_model(
        {"file": str(model.resolve()), "custom_objects": str(custom_objects.resolve()) if custom_objects else None}
    )


def _check(name: str, status: Literal["ok", "missing", "note"], text: str) -> dict[str, str]:
    return {"name": name, "status": status, "text": text}


def _engine() -> dict[str, str]:
    from edgepack.images import engine

    status = engine.status()
    if status.version is None:
        return _check("container engine", "missing", f"{status.reason}; images will be left as build contexts")
    return _check("container engine", "ok", f"Docker {status.version}")


def _emulation() -> dict[str, str]:
    handlers = Path("/proc/sys/fs/binfmt_misc")
    found = sorted(path.name.removeprefix("qemu-") for path in handlers.glob("qemu-*")) if handlers.is_dir() else []
    if not found:
        return _check("emulation", "note", "none registered: images of other architectures can be built, not run")
    return _check("emulation", "ok", ", ".join(found))


def _accelerators() -> dict[str, str]:
    devices = [
        str(path) for path in (Path("/dev/nvidia0"), Path("/dev/dri/renderD128"), Path("/dev/apex_0")) if path.exists()
    ]
    return _check("accelerators", "ok" if devices else "note", ", ".join(devices) or "none found")


def _disk(path: Path) -> dict[str, str]:
    free_gib = shutil.disk_usage(path).free / 2**30
    text = f"{free_gib:.1f} GiB free in {os.fspath(path)}"
    return _check("disk", "ok" if free_gib > ENOUGH_DISK_GIB else "note", text)
