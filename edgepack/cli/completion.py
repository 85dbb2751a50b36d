"""What can stand where the cursor is, when a shell asks? Names and files only: nothing heavy is imported."""

import inspect
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

ARTIFACTS = ("*.tflite", "*.onnx")


def targets(incomplete: str) -> list[str]:
    """Names of targets, and files that may be some."""
    from edgepack import resources

    shipped = (path.stem for path in resources.folder("targets").glob("*.yaml"))
    return _fitting([*shipped, *_here("*.yaml"), *_here("targets/*.yaml")], incomplete)


def recipes(incomplete: str) -> list[str]:
    """Recipes below the working folder; none of them = the shell offers files."""
    return _fitting([*_here("*.yaml"), *_here("*/recipe.yaml"), *_here("examples/*/*.yaml")], incomplete)


def bundles(incomplete: str) -> list[str]:
    """Bundles in ``out``."""
    return _fitting([str(path.parent) for path in _found("out/*/*/manifest.json")], incomplete)


def artifacts(incomplete: str) -> list[str]:
    """Bundles in ``out``, the artifacts in them, and those in the working folder."""
    files = [name for kind in ARTIFACTS for name in (*_here(kind), *_here(f"out/*/*/{kind}"))]
    return _fitting([*bundles(""), *files], incomplete)


def runs(incomplete: str) -> list[str]:
    """Folders of runs in ``out``."""
    return _fitting([str(path.parent) for path in _found("out/*/run.json")], incomplete)


def models(incomplete: str) -> list[str]:
    """Saved models and finished files in the working folder."""
    kinds = ("*.keras", "*.h5", *ARTIFACTS)
    saved = [str(path.parent) for path in _found("*/saved_model.pb")]
    return _fitting([*saved, *(name for kind in kinds for name in _here(kind))], incomplete)


def models_and_recipes(incomplete: str) -> list[str]:
    """What `edgepack doctor` looks at."""
    return _fitting([*models(""), *recipes("")], incomplete)


def models_and_architectures(incomplete: str) -> list[str]:
    """What `edgepack init` takes for a model."""
    return _fitting([*models(""), *_extensions("edgepack.zoo")], incomplete)


def architectures(incomplete: str) -> list[str]:
    """Names of the zoo."""
    return _fitting(_extensions("edgepack.zoo"), incomplete)


def data(incomplete: str) -> list[str]:
    """Data sets that are built in, and data files of the working folder."""
    built_in = ("digits", "breast_cancer", "wine", "iris")
    return _fitting([*built_in, *_here("*.npz"), *_here("*.csv")], incomplete)


def precisions(incomplete: str) -> list[str]:
    """Number formats."""
    return _fitting(["float32", "float16", "dynamic_range", "int8", "int16x8"], incomplete)


def formats(incomplete: str) -> list[str]:
    """Kinds of files."""
    return _fitting(_extensions("edgepack.formats"), incomplete)


def runtimes(incomplete: str) -> list[str]:
    """Names of runtimes."""
    return _fitting(_extensions("edgepack.runner.sessions"), incomplete)


def transports(incomplete: str) -> list[str]:
    """Ways to a device."""
    return _fitting(_extensions("edgepack.transports"), incomplete)


def clusters(incomplete: str) -> list[str]:
    """Kinds of deployment."""
    return _fitting(_extensions("edgepack.clusters"), incomplete)


def _extensions(package: str) -> tuple[str, ...]:
    from edgepack import extensions

    return extensions.names(package)


def _fitting(names: Sequence[str], incomplete: str) -> list[str]:
    return sorted({name for name in names if name.startswith(incomplete)})


def _here(pattern: str) -> list[str]:
    return [str(path) for path in _found(pattern)]


def _found(pattern: str) -> Iterator[Path]:
    return (path for path in Path().glob(pattern) if not path.name.startswith("."))


def images(incomplete: str) -> list[str]:
    """Words of `edgepack image`."""
    return _fitting(["inspect", *bundles("")], incomplete)


BY_NAME: dict[str, Callable[[str], list[str]]] = {
    "artifact": artifacts,
    "bundle": bundles,
    "data": data,
    "doctor.model": models_and_recipes,
    "image.words": images,
    "init.model": models_and_architectures,
    "kind": clusters,
    "model": models,
    "models.name": architectures,
    "on": transports,
    "out_dir": runs,
    "precision": precisions,
    "recipe": recipes,
    "runtime": runtimes,
    "target": targets,
    "targets.name": targets,
    "what": artifacts,
}
"""What completes a parameter of any verb, or of one, by its name. Choices of a fixed list complete themselves."""


def complete(verb: str, command: Callable[..., object]) -> None:
    """Give the parameters of a verb what completes them."""
    for name, parameter in inspect.signature(command).parameters.items():
        found = BY_NAME.get(f"{verb}.{name}") or BY_NAME.get(name)
        for info in getattr(parameter.annotation, "__metadata__", ()):
            if found is not None and info.autocompletion is None:
                info.autocompletion = found
