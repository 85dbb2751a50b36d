"""Where must a model run: platform, runtimes, precisions, image or firmware, budgets?"""

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PositiveFloat, PositiveInt, model_validator

from edgepack import extensions, resources, yamlfile
from edgepack.android import address
from edgepack.android.errors import WordsError
from edgepack.config import Config, Extension, validate
from edgepack.contracts import FirmwareConfig, Precision
from edgepack.errors import RecipeError
from edgepack.suggest import did_you_mean

Share = Annotated[float, Field(ge=0, le=1)]

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
TAKEN = ("cache", "logs", "tensorboard")
"""Names of targets, which are those of their folders, and of what else is in a run's folder."""

Runtime = Annotated[str, Field(description="name of a file in edgepack/runner/sessions", examples=["litert"])]


class Image(Config):
    """How the container image of a target is put together."""

    family: Literal["cpu", "gpu", "mobile"] = Field("cpu", description="folder of containers/ with its Dockerfile")
    platform: Literal["linux/amd64", "linux/arm64"] = Field(description="OS/architecture of the image itself")
    base: Annotated[tuple[str, ...], BeforeValidator(lambda v: (v,) if isinstance(v, str) else v)] = Field(
        min_length=1,
        description="base image, or several: the first that the engine holds is used, else the last is pulled",
    )
    build: bool = Field(True, description="false: `edgepack run` leaves the context and the command that builds it")
    pictures: bool = Field(False, description="serving takes PNG and JPEG files, too: Pillow, 10 MB")
    python: str = Field("3.11", pattern=r"^3\.\d+$", description="Python version of the base image, for its wheels")


class Budgets(Config):
    """Limits that a target sets; a miss ends the run with exit code 7."""

    image_mib: PositiveFloat | None = Field(None, description="largest unpacked image, MiB")
    artifact_kib: PositiveFloat | None = Field(None, description="largest artifact file, KiB")
    arena_kib: PositiveFloat | None = Field(
        None, description="largest working memory on a micro-controller, or SRAM that an NPU takes, KiB"
    )
    latency_p90_ms: PositiveFloat | None = Field(None, description="slowest p90 latency per inference, milliseconds")


class Android(Config):
    """How phones of a target are measured through adb."""

    benchmark_model: str = Field(
        address.DEFAULT_PROGRAM, description="LiteRT's benchmark_model for the phone, on this machine; ~ = home folder"
    )
    sha256: str | None = Field(None, pattern=address.SHA256.pattern, description="its digest; absent = not checked")
    delegate: Literal["cpu", "gpu", "nnapi", "npu"] = Field(
        "cpu", description="what runs the model; cpu is XNNPACK, npu an accelerator of LiteRT 2"
    )
    accelerator: str | None = Field(None, description="of nnapi: its name of the device that is to be used")
    libraries: tuple[str, ...] = Field((), description="shared objects that benchmark_model loads, on this machine")
    cores: str = Field("big", description="big (those with the highest frequency), all, or a list such as 4-7")
    arguments: tuple[str, ...] = Field((), description="more options for benchmark_model")

    @model_validator(mode="after")
    def _fits_together(self) -> "Android":
        try:
            address.settings(self.model_dump(), {})
        except WordsError as error:
            raise ValueError(str(error)) from error
        return self


class Target(Config):
    """One class of device; the file name is the target's name."""

    description: str = Field(description="one line for `edgepack targets`")
    platform: Literal["linux/amd64", "linux/arm64", "android/arm64", "baremetal/cortex-m"] = Field(
        description="OS/architecture on which the model runs"
    )
    runtimes: tuple[Runtime, ...] = Field(min_length=1, description="runtimes to package, verify and measure")
    precisions: tuple[Precision, ...] = Field(min_length=1, description="precisions that the device can run")
    threads: PositiveInt = Field(1, description="inference threads, always explicit")
    export: dict[str, dict[str, Any]] = Field(
        default_factory=dict,
        description="keys of the recipe's exports that the device asks for, by format",
        examples=[{"onnx": {"opset": 15, "layout": "nchw"}}],
    )
    allow_cpu: bool = Field(
        False, description="runtimes of an accelerator run on the processor where there is none, and say so"
    )
    min_delegated: Share | None = Field(
        None, description="smallest share of a .tflite file's operations that a delegate must take"
    )
    min_integer_ops: Share | None = Field(
        None, description="smallest share of an int8 or int16x8 artifact's operations that must compute in integers"
    )
    image: Image | None = Field(None, description="the container image; absent = none")
    firmware: Annotated[FirmwareConfig, Extension("edgepack.firmware", by="use")] | None = Field(
        None, description="source to be built into firmware; absent = none"
    )
    android: Android | None = Field(None, description="how phones are measured; absent = by the defaults")
    budgets: Budgets = Field(default_factory=Budgets, description="limits; absent = no limit")
    name: str = Field("", description="filled in from the file name")

    @model_validator(mode="after")
    def _has_a_package(self) -> "Target":
        if self.image is None and self.firmware is None:
            raise ValueError("a target needs image or firmware: what is to be made for it")
        return self

    def resolved(self) -> dict[str, Any]:
        """The target as plain JSON data with every default filled in."""
        return self.model_dump(mode="json", serialize_as_any=True)

    def formats(self) -> frozenset[str]:
        """The artifact formats that the target's runtimes can run."""
        return frozenset(runtime_format(runtime) for runtime in self.runtimes)


def runtime_format(runtime: str) -> str:
    """The artifact format (``tflite``, ``onnx``) that a runtime reads."""
    return str(extensions.load("edgepack.runner.sessions", runtime).FORMAT)


def shipped() -> dict[str, Path]:
    """The targets that come with edgepack, by name."""
    return {path.stem: path for path in sorted(resources.folder("targets").glob("*.yaml"))}


def load(name_or_file: str, *, relative_to: Path | None = None) -> Target:
    """Load a shipped target by name, or a user's own by path.

    Args:
        name_or_file: ``linux-amd64-cpu``, or a path that ends in ``.yaml``/``.yml``.
        relative_to: Folder against which a relative path is read; None for the working folder.

    Raises:
        RecipeError: No such target, or its file is wrong.
        MissingError: No such file.
    """
    known = shipped()
    if name_or_file in known:
        path = known[name_or_file]
    elif name_or_file.endswith((".yaml", ".yml")):
        path = Path(name_or_file)
        if relative_to is not None and not path.is_absolute() and (relative_to / path).exists():
            path = relative_to / path
    else:
        raise RecipeError(
            f"unknown target {name_or_file!r}; expected one of: {', '.join(known)}, or the path of a .yaml file",
            fix=did_you_mean(name_or_file, known) or "`edgepack targets` lists them",
        )
    if not NAME.fullmatch(path.stem) or path.stem in TAKEN:
        raise RecipeError(
            f"the target {str(path)!r} would be called {path.stem!r}, and its bundle's folder too; expected letters, "
            f"digits and . _ - behind one of the former, and none of: {', '.join(TAKEN)}",
            fix="give the file another name",
        )
    document = yamlfile.read(path)
    target = validate(Target, document).model_copy(update={"name": path.stem})
    for index, runtime in enumerate(target.runtimes):
        if runtime not in extensions.names("edgepack.runner.sessions"):
            runtimes = extensions.names("edgepack.runner.sessions")
            raise RecipeError(
                f"{document.where(('runtimes', index))}: unknown runtime {runtime!r}; expected one of: "
                f"{', '.join(runtimes)}",
                fix=did_you_mean(runtime, runtimes) or "use one of the names above",
            )
    return target
