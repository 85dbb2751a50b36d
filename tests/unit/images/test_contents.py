"""Does every file of an image count once, for the package that brought it?"""

import tarfile
from collections.abc import Callable
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from edgepack.images import contents, context, records

SITE = "opt/edgepack/site-packages"
SIZES = {
    "usr/lib/libc.so.6": 2_000_000,
    "usr/lib/python3.11/os.py": 40_000,
    "usr/lib/python3.11/__pycache__/os.cpython-311.pyc": 50_000,
    "var/lib/dpkg/status.d/libc6": 700,
    f"{SITE}/numpy/core.so": 9_000_000,
    f"{SITE}/numpy-2.4.dist-info/RECORD": 100,
    "opt/edgepack/app/edgepack/runner/verify.py": 3_000,
    "bundle/model.int8.tflite": 5_000,
    "bundlewrap": 1,
    "etc/hosts": 10,
}
TEXTS = {
    "var/lib/dpkg/status.d/libc6": "Package: libc6\nVersion: 2.36-9\n",
    "var/lib/dpkg/status.d/libc6.md5sums": "0123  lib/libc.so.6\n4567  usr/share/doc/absent\n",
    "var/lib/dpkg/status.d/python3": "Package: python3\nVersion: 3.11\n",
    "var/lib/dpkg/status.d/python3.md5sums": "89ab  usr/lib/python3.11/os.py\n",
    f"{SITE}/numpy-2.4.dist-info/RECORD": "numpy/core.so,sha256=x,9000000\nnumpy-2.4.dist-info/RECORD,,\n",
}


def test_files_count_for_what_brought_them() -> None:
    found = {part.name: (part.kind, part.version, part.size_bytes) for part in contents.of_files(SIZES, TEXTS)}
    assert found == {
        "numpy": ("python", "2.4", 9_000_100),
        "libc6": ("debian", "2.36-9", 2_000_700),
        "python3": ("debian", "3.11", 90_000),
        "edgepack": ("edgepack", None, 3_000),
        "model and golden samples": ("edgepack", None, 5_000),
        "files of no package": ("other", None, 11),
    }


def test_a_system_with_a_package_manager_is_read_from_its_own_lists() -> None:
    sizes = {"usr/bin/perl": 100, "usr/lib/libz.so": 7}
    texts = {
        "var/lib/dpkg/status": "Package: perl\nVersion: 5\nStatus: install ok installed\n\nPackage: libz\nVersion: 1\n"
        "Architecture: amd64\nStatus: install ok installed\n",
        "var/lib/dpkg/info/perl.list": "/.\n/bin\n/bin/perl\n",
        "var/lib/dpkg/info/libz:amd64.list": "/lib/libz.so\n",
    }
    assert [(part.name, part.size_bytes) for part in contents.of_files(sizes, texts)] == [("perl", 100), ("libz", 7)]


@given(
    st.dictionaries(st.sampled_from(sorted(SIZES)), st.integers(0, 10**9)), st.text(), st.sampled_from(sorted(TEXTS))
)
def test_nothing_is_lost_or_counted_twice_whatever_the_lists_say(sizes: dict[str, int], text: str, listed: str) -> None:
    parts = contents.of_files(sizes, {**TEXTS, listed: text})
    assert sum(part.size_bytes for part in parts) == sum(sizes.values())


def test_the_table_ends_with_what_is_too_small_to_be_named() -> None:
    parts = tuple(contents.Part(f"p{i:02}", "1", "debian", 2_000_000 - i) for i in range(contents.SHOWN + 3))
    found = contents.Contents(60_000_000, (("base", 59_000_000), ("model", 1_000_000)), parts)
    lines = contents.table(found).splitlines()
    assert [line.split() for line in lines[:4]] == [
        ["layer", "MB"],
        ["base", "59.0"],
        ["model", "1.0"],
        ["all", "60.0"],
    ]
    assert lines[-1].split() == ["3", "smaller", "ones", "6.0"]
    assert contents.from_dict(found.to_dict()) == found


def test_the_layers_of_another_image_are_one() -> None:
    history = [{"CreatedBy": "CMD", "Size": 0}, {"CreatedBy": "ADD file:1 in /", "Size": 5}]
    assert contents.layer_sizes(history, 7) == (("base", 7),)
    own = [{"CreatedBy": f"/bin/sh -c #(nop) ADD {n}.tar in /", "Size": n} for n in (3, 2, 1)]
    assert contents.layer_sizes([*own, *history], 20) == (("base", 14), ("runtime", 1), ("runner", 2), ("model", 3))


def test_a_record_lists_what_was_packed_and_nothing_else(
    tmp_path: Path, wheel_cache: Path, make_bundle: Callable[[Path], Path]
) -> None:
    made = context.write(
        make_bundle(tmp_path / "bundle"),
        family="cpu",
        platform="linux/amd64",
        runtimes=["onnxruntime"],
        base_image="base:1",
        python_version="3.11",
        labels={},
        wheel_cache=wheel_cache,
        progress=lambda line: None,
    )
    with tarfile.open(made.path / "runtime.tar") as tar:
        sizes = {member.name: member.size for member in tar if member.isfile()}
        texts = {name: tar.extractfile(name).read().decode() for name in sizes if contents.is_list(name)}  # type: ignore[union-attr]
    listed = {f"{SITE}/{path}": size for text in texts.values() for path, size in records.sizes(text)}
    assert listed == {name: None if name.endswith("/RECORD") else size for name, size in sizes.items()}
    found = {part.name: part.size_bytes for part in contents.of_files(sizes, texts)}
    assert found == {package.name: package.size_bytes for package in made.packages}


@given(st.lists(st.binary(max_size=30)), st.integers(1, 40))
def test_a_stream_of_pieces_is_read_as_a_file(pieces: list[bytes], size: int) -> None:
    stream = contents._Stream(piece for piece in pieces if piece)
    read = []
    while chunk := stream.read(size):
        read.append(chunk)
    assert b"".join(read) == b"".join(pieces)
    assert {len(chunk) for chunk in read[:-1]} <= {size}
