"""Do the files of pictures become the pixels that training saw, and everything else a clear refusal?"""

import base64
import io
import struct
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from edgepack.data import image_folder
from edgepack.runner.tensors import TensorSpec
from edgepack.serving import pictures
from edgepack.serving.errors import RequestError
from edgepack.serving.model import Model
from edgepack.serving.request import parse

from .conftest import float_model

RANDOM = np.random.default_rng(0)
PIXELS = RANDOM.integers(0, 256, (9, 12, 3), dtype=np.uint8)


def file_of(mode: str = "RGB", kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(PIXELS).convert(mode).save(buffer, kind)
    return buffer.getvalue()


def bomb(side: int) -> bytes:
    """A PNG file of a few bytes that says it is as large as memory."""
    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", head), (b"IDAT", zlib.compress(b"")), (b"IEND", b"")]
    parts = [
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def model(**changed: Any) -> Model:
    """A model of small colour pictures, channels first in its file."""
    inputs = (TensorSpec("x", (-1, 3, 6, 8), "float32", None, None, "nchw"),)
    return float_model(inputs=inputs, preprocessing=(0.5, 1.0), pictures=True, **changed)


def body(
    files: list[bytes], *, binary: bool, shape: list[int] | None = None, preprocess: bool = True
) -> tuple[bytes, bytes | None]:
    tensor: dict[str, Any] = {"name": "x", "datatype": "BYTES", "shape": shape or [len(files)]}
    rest = b"".join(len(file).to_bytes(4, "little") + file for file in files) if binary else b""
    if binary:
        tensor["parameters"] = {"binary_data_size": len(rest)}
    else:
        tensor["data"] = [base64.b64encode(file).decode() for file in files]
    head = orjson.dumps({"inputs": [tensor], "parameters": {"preprocess": preprocess}})
    return head + rest, str(len(head)).encode() if binary else None


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    ("mode", "kind"), [("RGB", "PNG"), ("RGBA", "PNG"), ("P", "PNG"), ("L", "PNG"), ("RGB", "JPEG"), ("CMYK", "JPEG")]
)
def test_pixels_are_those_of_the_data_source(tmp_path: Path, mode: str, kind: str, channels: int) -> None:
    file = file_of(mode, kind)
    (tmp_path / "class").mkdir()
    (tmp_path / "class" / f"one.{kind.lower()}").write_bytes(file)
    config = image_folder.Config(image_folder=str(tmp_path), size=(6, 8), channels=channels)
    trained = image_folder.load(config, tmp_path).train.x
    np.testing.assert_array_equal(pictures.decode([file], 6, 8, channels, "x"), trained)


@pytest.mark.parametrize("binary", [False, True])
def test_pictures_of_a_request_become_preprocessed_rows(binary: bool) -> None:
    files = [file_of(), file_of(kind="JPEG")]
    feed, rows = model().feed(parse(*body(files, binary=binary)))
    expected = pictures.decode(files, 6, 8, 3, "x").astype(np.float32) * np.float32(0.5) + 1
    assert rows == 2
    np.testing.assert_array_equal(feed["x"], expected.transpose(0, 3, 1, 2))


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ([file_of(kind="GIF")], "picture 0 of input 'x' is no PNG or JPEG file"),
        ([file_of(), file_of()[:-40]], "picture 1 of input 'x' is no PNG or JPEG file"),
        ([b""], "picture 0 of input 'x' is no PNG or JPEG file"),
        ([bomb(8_000)], "8000 x 8000 pixels; at most 50000000"),
        ([bomb(2**31 - 1)], "picture 0 of input 'x'"),
        ([file_of()] * 5, "has 5 files; 1 to 4 are taken"),
    ],
)
def test_what_is_no_picture_is_refused(files: list[bytes], said: str) -> None:
    with pytest.raises(RequestError, match=said) as caught:
        model().feed(parse(*body(files, binary=True)))
    assert caught.value.status == 400


def test_files_need_the_preprocessing_and_a_model_of_pictures() -> None:
    request = parse(*body([file_of()], binary=True, preprocess=False))
    with pytest.raises(RequestError, match="expected the parameter preprocess"):
        model().feed(request)
    with pytest.raises(RequestError, match="takes no files of pictures"):
        float_model().feed(request)


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        (body([b"abc"], binary=True, shape=[2]), r"has 1 elements and the shape \[2\]; expected \[1\]"),
        (body([b"abc"], binary=False, shape=[1, 2]), r"the shape \[1, 2\]; expected \[1\]"),
        ((body([b"abc"], binary=False)[0].replace(b"YWJj", b"%%%%"), None), "is not base64"),
        ((body([b"abc"], binary=False)[0].replace(b'"YWJj"', b"12345"), None), "no list of texts"),
    ],
)
def test_elements_that_do_not_add_up_are_refused(sent: tuple[bytes, bytes | None], said: str) -> None:
    with pytest.raises(RequestError, match=said):
        parse(*sent)


def test_an_element_longer_than_the_tensor_is_refused() -> None:
    sent, length = body([b"abc"], binary=True)
    with pytest.raises(RequestError, match="longer than its binary_data_size"):
        parse(sent[:-7] + b"\x09\0\0\0abc", length)


@given(st.lists(st.binary(max_size=200), min_size=1, max_size=4), st.booleans(), st.sampled_from([b"", file_of()[:60]]))
def test_files_of_noise_arrive_as_they_were_and_are_decoded_or_refused(
    files: list[bytes], binary: bool, start: bytes
) -> None:
    sent, length = body([start + file for file in files], binary=binary)
    asked = parse(sent, length)
    assert list(asked.inputs["x"][1]) == [start + file for file in files]
    with suppress(RequestError):
        model().feed(asked)


def test_which_models_take_pictures() -> None:
    assert pictures.fit((-1, 8, 8, 1)) and pictures.fit((1, 224, 224, 3))
    assert not pictures.fit((-1, 64)) and not pictures.fit((1, 8, 8, 2)) and not pictures.fit((1, -1, -1, 3))
    assert model().metadata()["parameters"]["pictures"] == ["PNG", "JPEG"]
    assert "pictures" not in float_model().metadata()["parameters"]
