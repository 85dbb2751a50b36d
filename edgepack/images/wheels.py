"""Which wheels does an image need, and how do they get here for a platform that is not this machine's?"""

import hashlib
import importlib.metadata
import re
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgepack import proc
from edgepack.errors import MissingError, RecipeError

MACHINES = {"linux/amd64": "x86_64", "linux/arm64": "aarch64"}

# Debian 12 has glibc 2.36; a wheel for a newer one would not load there.
NEWEST_GLIBC = 36
# pip matches platform tags exactly, so the older spellings of PEP 513, 571 and 599 are listed as well.
LEGACY_TAGS = {
    "x86_64": ("manylinux2014", "manylinux_2_12", "manylinux2010", "manylinux_2_5", "manylinux1"),
    "aarch64": ("manylinux2014",),
}

# A package that is rarely on the host, and the one whose version it follows, to know the same operators.
TWINS = {"onnxruntime-gpu": "onnxruntime"}

DOWNLOAD_TIMEOUT_S = 1800.0
PIP_DOWNLOAD = (
    *(sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--retries", "2"),
    *("--quiet", "--no-deps", "--only-binary=:all:"),
)


@dataclass(frozen=True)
class Wheel:
    """One wheel on this machine's disk.

    Attributes:
        name: Normalised name of the distribution, such as `ai-edge-litert`.
        version: Its version.
        path: The .whl file.
        sha256: Digest of the file, 64 hexadecimal digits.
    """

    name: str
    version: str
    path: Path
    sha256: str


def platform_tags(platform: str, glibc: int = NEWEST_GLIBC) -> tuple[str, ...]:
    """The wheel tags that a platform can load, newest first.

    Args:
        platform: `linux/amd64` or `linux/arm64`.
        glibc: Minor version of its C library, 2.x.

    Raises:
        RecipeError: Any other platform.
    """
    machine = MACHINES.get(platform)
    if machine is None:
        raise RecipeError(
            f"images for the platform {platform!r} cannot be made; expected one of {', '.join(MACHINES)}",
            fix="name one of these as the target's platform, or with --platform",
        )
    modern = [f"manylinux_2_{minor}" for minor in range(glibc, 16, -1)]
    return tuple(f"{tag}_{machine}" for tag in (*modern, *LEGACY_TAGS[machine]))


def abi(python_version: str) -> str:
    """The ABI tag of a CPython version: `3.11` gives `cp311`.

    Raises:
        RecipeError: The version is not of the form `3.11`.
    """
    if not re.fullmatch(r"3\.\d+", python_version):
        raise RecipeError(
            f"the Python version {python_version!r} was given; expected a form like '3.11'",
            fix="name the version of the base image's python3",
        )
    return "cp" + python_version.replace(".", "")


def host_version(name: str) -> str | None:
    """The version of a distribution installed beside edgepack, or None."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def resolve(
    names: Sequence[str],
    *,
    platform: str,
    python_version: str,
    cache: Path,
    progress: Callable[[str], None],
    glibc: int = NEWEST_GLIBC,
) -> tuple[Wheel, ...]:
    """Bring the wheels of these distributions, in the versions installed here, into the cache.

    The versions are this machine's so that container and host compute bit for bit the same. Dependencies are
    not followed: a runtime names all that it needs.

    Args:
        names: Distribution names; order and doubles do not matter.
        platform: `linux/amd64` or `linux/arm64`.
        python_version: The base image's, such as `3.11`.
        cache: Folder that keeps the wheels; made when absent.
        progress: Called with one line for each download.
        glibc: Minor version of the C library that the wheels must load with, 2.x.

    Returns:
        One wheel for each name, sorted by name.

    Raises:
        MissingError: A wheel is neither in the cache nor can be downloaded.
        RecipeError: The platform or the Python version is not known.
    """
    tags = platform_tags(platform, glibc)
    abi(python_version)
    cache.mkdir(parents=True, exist_ok=True)
    wheels = []
    for name in sorted({normalise(name) for name in names}):
        version = host_version(name)
        candidates: tuple[str | None, ...] = (version,)
        if version is None:
            twin = host_version(TWINS[name]) if name in TWINS else None
            candidates = (twin, None) if twin else (None,)
        wheels.append(_first(name, candidates, platform, tags, python_version, cache, progress))
    return tuple(wheels)


def normalise(name: str) -> str:
    """A distribution's name as PEP 503 spells it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _first(
    name: str,
    versions: Sequence[str | None],
    platform: str,
    tags: Sequence[str],
    python_version: str,
    cache: Path,
    progress: Callable[[str], None],
) -> Wheel:
    """The first of these versions (None: the newest) that is cached or can be downloaded."""
    for version in versions:
        found = _cached(name, version, tags, python_version, cache)
        if found:
            return found
    said = ""
    for version in versions:
        wanted = f"{name}=={version}" if version else name
        progress(f"downloading {wanted} for {platform}, Python {python_version}")
        said = _download(wanted, tags, python_version, cache)
        found = _cached(name, version, tags, python_version, cache)
        if found:
            return found
    wanted = f"{name}=={versions[0]}" if versions[0] else name
    raise MissingError(
        f"a wheel of {wanted} for {platform} and CPython {python_version} is needed; "
        f"it is not in {cache} and could not be downloaded (pip: {said})",
        fix=f"connect to a package index and try again, or put the .whl file into {cache}",
    )


def _download(wanted: str, tags: Sequence[str], python_version: str, cache: Path) -> str:
    """Download one wheel into the cache; returns pip's last line when it fails, else nothing."""
    options = [option for tag in tags for option in ("--platform", tag)]
    # Into a folder of its own first: a file under its final name is complete.
    with tempfile.TemporaryDirectory(dir=cache, prefix=".download-") as folder:
        done = proc.run(
            [
                *(*PIP_DOWNLOAD, "--dest", folder, "--python-version", python_version),
                *("--implementation", "cp", "--abi", abi(python_version), *options, wanted),
            ],
            timeout_s=DOWNLOAD_TIMEOUT_S,
        )
        for path in sorted(Path(folder).glob("*.whl")):
            _record(path, cache)
    if done.returncode == 0:
        return ""
    return (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1].removeprefix("ERROR: ")


def _record(path: Path, cache: Path) -> None:
    """Move a complete wheel into the cache, its digest first."""
    staged = path.with_name(path.name + ".sha256")
    staged.write_text(_sha256(path) + "\n", encoding="ascii")
    staged.replace(cache / staged.name)
    path.replace(cache / path.name)


def _cached(
    name: str, version: str | None, fitting_tags: Sequence[str], python_version: str, cache: Path
) -> Wheel | None:
    """The best wheel in the cache that fits and is intact, or None."""
    tags = [*fitting_tags, "any"]
    fitting = []
    for path in cache.glob("*.whl"):
        parts = path.stem.split("-")
        if len(parts) < 5 or normalise(parts[0]) != name or (version is not None and parts[1] != version):
            continue
        ranks = [tags.index(tag) for tag in parts[-1].split(".") if tag in tags]
        if ranks and _python_fits(parts[-3], parts[-2], python_version):
            fitting.append((_version_key(parts[1]), -min(ranks), path.name, path))
    for _, _, _, path in sorted(fitting, reverse=True):
        record = path.with_name(path.name + ".sha256")
        sha256 = _sha256(path)
        if not record.is_file():  # put there by hand
            record.write_text(sha256 + "\n", encoding="ascii")
        if record.read_text(encoding="ascii").strip() == sha256:
            return Wheel(name, path.stem.split("-")[1], path, sha256)
    return None


def _python_fits(pythons: str, abis: str, python_version: str) -> bool:
    minor = int(python_version.split(".")[1])
    for python in pythons.split("."):
        if python in ("py3", f"py3{minor}") and "none" in abis.split("."):
            return True
        if python == f"cp3{minor}" and {abi(python_version), "abi3", "none"} & set(abis.split(".")):
            return True
        found = re.fullmatch(r"cp3(\d+)", python)
        if found and int(found[1]) <= minor and "abi3" in abis.split("."):
            return True
    return False


def _version_key(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version))


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
