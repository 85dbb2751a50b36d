"""Is a file's compressed size the one that it has inside an archive?"""

import random
import zipfile
from pathlib import Path

import pytest

from edgepack.tflite_models.contents import deflated_bytes


@pytest.mark.parametrize("share", [0.0, 0.5, 0.9])
def test_the_compressed_size_is_that_inside_an_archive(tmp_path: Path, share: float) -> None:
    chance = random.Random(0)
    content = bytes(0 if chance.random() < share else chance.randrange(1, 256) for _ in range(40_000))
    with zipfile.ZipFile(tmp_path / "app.apk", "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        archive.writestr("assets/model.tflite", content)
        (entry,) = archive.infolist()
    assert deflated_bytes(content) == entry.compress_size
