"""Is a file's compressed size the one that it has inside an archive, and is a damaged file called damaged?"""

import random
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from edgepack.errors import ConversionError
from edgepack.tflite_models import contents
from edgepack.tflite_models.contents import deflated_bytes


@pytest.mark.parametrize("share", [0.0, 0.5, 0.9])
def test_the_compressed_size_is_that_inside_an_archive(tmp_path: Path, share: float) -> None:
    chance = random.Random(0)
    content = bytes(0 if chance.random() < share else chance.randrange(1, 256) for _ in range(40_000))
    with zipfile.ZipFile(tmp_path / "app.apk", "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        archive.writestr("assets/model.tflite", content)
        (entry,) = archive.infolist()
    assert deflated_bytes(content) == entry.compress_size


@pytest.mark.parametrize(
    "content", [b"", b"TFL3", bytes(8) + b"TFL3" + bytes(64), b"\x1c\0\0\0TFL3" + bytes(range(200))]
)
@pytest.mark.parametrize(
    "read",
    [contents.tensor_specs, contents.tensor_names, contents.input_names, contents.kernels, contents.float_operations],
)
def test_a_damaged_file_is_refused_with_one_sentence(read: Callable[[bytes], object], content: bytes) -> None:
    with pytest.raises(ConversionError, match=r"no \.tflite file that LiteRT can read"):
        read(content)
    with pytest.raises(ConversionError, match=r"no \.tflite file that LiteRT can read"):
        contents.require(content, "int8")
