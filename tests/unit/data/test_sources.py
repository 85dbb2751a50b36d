"""Does every data source read real files, and refuse broken ones by name?"""

import gzip
import struct
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from edgepack import extensions
from edgepack.columns import SourceColumn
from edgepack.contracts import RawData
from edgepack.data import idx
from edgepack.errors import MissingError, RecipeError


def source(kind: str) -> ModuleType:
    return extensions.load("edgepack.data", kind)


def load(kind: str, base: Path, **keys: Any) -> RawData:
    raw: RawData = source(kind).load(source(kind).Config.model_validate(keys), base)
    return raw


def identity(kind: str, base: Path, **keys: Any) -> object:
    return source(kind).identity(source(kind).Config.model_validate(keys), base)


# CSV


def test_csv_columns_become_features_and_classes(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("width,kind,height\n1,cat,2\n3.5,ant,-4\n\n5,cat,1e2\n")
    raw = load("csv", tmp_path, csv="t.csv", target="kind")
    np.testing.assert_array_equal(raw.train.x, np.array([[1, 2], [3.5, -4], [5, 100]], np.float32))
    np.testing.assert_array_equal(raw.train.y, [1, 0, 1])
    assert raw.labels == ("ant", "cat")
    assert (raw.validation, raw.test) == (None, None)


@pytest.mark.parametrize(
    ("content", "message", "fix"),
    [
        (b"a,knd\n1,x\n", "has no column 'kind'; its columns are: a, knd", "did you mean 'knd'?"),
        (b"", "has no column 'kind'", "name one"),
        (b"a,kind\n1,x\n2\n", "t.csv:3: expected 2 values, received 1", "repair"),
        (b"a,a,kind\n1,2,x\n", "has several columns 'a'", "a name of its own"),
        (b"a,kind\n\xff,x\n", "is no readable CSV file", "UTF-8"),
    ],
)
def test_a_broken_table_names_its_line(tmp_path: Path, content: bytes, message: str, fix: str) -> None:
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(RecipeError) as caught:
        load("csv", tmp_path, csv="t.csv", target="kind")
    assert message in caught.value.message
    assert fix in caught.value.fix


def table(tmp_path: Path, text: str, **keys: Any) -> RawData:
    (tmp_path / "t.csv").write_text(text)
    return load("csv", tmp_path, csv="t.csv", target="kind", **keys)


def test_columns_of_texts_are_categories_and_gaps_are_not_a_number(tmp_path: Path) -> None:
    raw = table(tmp_path, "width,ward,kind\n1,north,a\n,south,b\nNA,,a\nnan, north ,b\n-2e3,N/A,a\n")
    np.testing.assert_array_equal(raw.train.x[:, 0], np.array([1, np.nan, np.nan, np.nan, -2000], np.float32))
    np.testing.assert_array_equal(raw.train.x[:, 1], np.array([0, 1, np.nan, 0, np.nan], np.float32))
    assert raw.columns == (SourceColumn("width"), SourceColumn("ward", ("north", "south")))


def test_the_recipe_may_say_otherwise(tmp_path: Path) -> None:
    text = "grade,ward,kind\n10,?,a\n9,NA,b\n10,x,a\n"
    given = {"columns": {"grade": {"type": "category"}}}
    raw = table(tmp_path, text, table=given, missing=["?"])
    assert raw.columns == (SourceColumn("grade", ("9", "10")), SourceColumn("ward", ("NA", "x")))
    np.testing.assert_array_equal(raw.train.x, np.array([[1, np.nan], [0, 0], [1, 1]], np.float32))


@pytest.mark.parametrize("keys", [{"table": None}, {"table": {"columns": {"a": {"type": "number"}}}}])
def test_a_text_among_numbers_is_named_with_its_line(tmp_path: Path, keys: dict[str, Any]) -> None:
    with pytest.raises(RecipeError) as caught:
        table(tmp_path, "a,kind\n1,x\n\nmany,x\n", **keys)
    assert "t.csv:4: expected numbers in the column 'a', received 'many'" in caught.value.message
    assert "data.missing" in caught.value.fix


def test_a_column_of_names_is_no_category(tmp_path: Path) -> None:
    text = "who,kind\n" + "".join(f"person {number},{'ab'[number % 2]}\n" for number in range(150))
    with pytest.raises(RecipeError, match=r"'who' of .* holds 150 different texts in 150 lines") as caught:
        table(tmp_path, text)
    assert "{who: {type: ignore}}" in caught.value.fix
    assert table(tmp_path, text, table={"columns": {"who": {"type": "category"}}}).train.x.max() == 149
    (ignored,) = table(tmp_path, text, table={"columns": {"who": {"type": "ignore"}}}).columns or ()
    assert ignored.name == "who"


# NPZ


def test_npz_arrays_with_and_without_a_split(tmp_path: Path) -> None:
    x, y = np.zeros((6, 2), np.uint8), np.arange(6) % 3
    np.savez(tmp_path / "whole.npz", x=x, y=y)
    raw = load("npz", tmp_path, npz="whole.npz")
    assert (raw.train.x.shape, raw.validation, raw.test, raw.labels) == ((6, 2), None, None, ("0", "1", "2"))
    parts = {"x_train": x, "y_train": y, "x_test": x[:2], "y_test": y[:2], "x_validation": x[:1], "y_validation": y[:1]}
    np.savez(tmp_path / "parts.npz", **parts)
    raw = load("npz", tmp_path, npz="parts.npz")
    assert raw.test is not None and raw.validation is not None
    assert (len(raw.train.y), len(raw.validation.y), len(raw.test.y)) == (6, 1, 2)


def test_an_npz_that_cannot_be_used_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "other.npz", images=np.zeros(3))
    with pytest.raises(RecipeError, match=r"holds the arrays \['images'\]; expected x and y"):
        load("npz", tmp_path, npz="other.npz")
    (tmp_path / "text.npz").write_text("no archive")
    with pytest.raises(RecipeError, match=r"text.npz is not a readable .npz file"):
        load("npz", tmp_path, npz="text.npz")
    np.savez(tmp_path / "pickled.npz", x=np.array([{}, {}], dtype=object), y=np.zeros(2, int))
    with pytest.raises(RecipeError, match=r"is not a readable \.npz file"):
        load("npz", tmp_path, npz="pickled.npz")


# IDX


def idx_bytes(array: np.ndarray, code: int) -> bytes:
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, code, array.ndim, *array.shape)
    return header + array.astype(idx.DTYPES[code]).tobytes()


def write_mnist(folder: Path, *, compressed: bool) -> dict[str, np.ndarray]:
    folder.mkdir()
    random = np.random.default_rng(0)
    arrays = {
        "x_train": random.integers(0, 256, (6, 4, 3)),
        "y_train": np.arange(6) % 3,
        "x_test": random.integers(0, 256, (2, 4, 3)),
        "y_test": np.array([2, 0]),
    }
    for key, name in idx.NAMES.items():
        content = idx_bytes(arrays[key], 0x08)
        path = folder / (f"{name}.gz" if compressed else name)
        path.write_bytes(gzip.compress(content) if compressed else content)
    return arrays


@pytest.mark.parametrize("compressed", [False, True])
def test_idx_files_are_read(tmp_path: Path, compressed: bool) -> None:
    arrays = write_mnist(tmp_path / "set", compressed=compressed)
    raw = load("idx", tmp_path, idx="set")
    assert raw.test is not None and raw.validation is None
    np.testing.assert_array_equal(raw.train.x[..., 0], arrays["x_train"])
    np.testing.assert_array_equal(raw.test.y, arrays["y_test"])
    assert (raw.train.x.dtype, raw.labels) == (np.uint8, ("0", "1", "2"))
    named = load("idx", tmp_path, idx="set", fallback="fashion_mnist")
    assert named.labels[9] == "Ankle boot"


def test_what_is_missing_of_an_idx_set_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="there is no folder") as caught:
        load("idx", tmp_path, idx="absent")
    assert "dataset-fashion-mnist" in caught.value.fix
    write_mnist(tmp_path / "set", compressed=False)
    (tmp_path / "set" / idx.NAMES["y_test"]).unlink()
    with pytest.raises(MissingError, match=r"holds neither t10k-labels-idx1-ubyte nor t10k-labels-idx1-ubyte\.gz"):
        load("idx", tmp_path, idx="set")


@pytest.mark.parametrize("code", sorted(idx.DTYPES))
def test_every_idx_type_comes_back_in_native_order(tmp_path: Path, code: int) -> None:
    array = np.arange(24).reshape(2, 3, 4)
    (tmp_path / "file").write_bytes(idx_bytes(array, code))
    read = idx.read(tmp_path / "file")
    np.testing.assert_array_equal(read, array)
    assert read.dtype.isnative


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is no IDX file"),
        (b"\x00\x01\x08\x01", "is no IDX file: it starts with '00010801'"),
        (b"\x00\x00\x07\x01\x00\x00\x00\x00", "is no IDX file"),
        (b"\x00\x00\x08\x02\x00\x00\x00\x01", "ends inside its header"),
        (b"\x00\x00\x08\x01\x00\x00\x00\x03ab", r"expected 11 bytes for shape \(3,\), received 10"),
        (b"\x00\x00\x08\x01\x00\x00\x00\x01ab", r"expected 9 bytes for shape \(1,\), received 10"),
        (b"\x00\x00\x0e\x03" + b"\xff" * 12, "expected .* bytes for shape"),
        (b"\x00\x00\x08\x50" + b"\x00\x00\x00\x01" * 80 + b"a", "there is no array of 80 axes"),
        (b"\x00\x00\x08\x03" + bytes(4) + b"\xff" * 8, "there is no array of 3 axes"),
    ],
)
def test_a_broken_idx_file_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(RecipeError, match=message):
        idx.read(tmp_path / "file")


def test_a_damaged_gzip_is_refused(tmp_path: Path) -> None:
    whole = gzip.compress(idx_bytes(np.arange(100), 0x08))
    cut = [whole[:size] for size in (0, 5, 20, len(whole) - 3)]
    altered = [whole[:at] + bytes([whole[at] ^ 255]) + whole[at + 1 :] for at in (0, 2, 10, 12, 40, len(whole) - 2)]
    for content in (*cut, *altered):
        (tmp_path / "file.gz").write_bytes(content)
        with pytest.raises(RecipeError):
            idx.read(tmp_path / "file.gz")


HEADERS = st.builds(
    lambda code, shape, tail: bytes([0, 0, code, len(shape)]) + struct.pack(f">{len(shape)}I", *shape) + tail,
    st.sampled_from(sorted(idx.DTYPES)) | st.integers(0, 255),
    st.lists(st.integers(0, 4) | st.integers(0, 2**32 - 1), max_size=4),
    st.binary(max_size=40),
)


@given(content=st.binary(max_size=60) | HEADERS, compressed=st.booleans(), packed=st.booleans())
def test_any_bytes_give_an_array_or_a_clear_error(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, compressed: bool, packed: bool
) -> None:
    path = tmp_path_factory.mktemp("idx") / ("file.gz" if compressed else "file")
    path.write_bytes(gzip.compress(content) if packed else content)
    try:
        array = idx.read(path)
    except RecipeError as error:
        message = error.message
    else:
        message = f"{path} {array.size}"
        assert array.ndim <= 32
    assert str(path) in message


# Image folders


def write_image(path: Path, colour: Any, size: tuple[int, int] = (6, 4), mode: str = "RGB") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, colour).save(path)


@pytest.fixture
def images(tmp_path: Path) -> Path:
    write_image(tmp_path / "images/cat/1.png", (255, 0, 0))
    write_image(tmp_path / "images/cat/2.JPG", (0, 0, 255))
    write_image(tmp_path / "images/ant/1.png", (0, 255, 0), size=(9, 9))
    (tmp_path / "images/ant/notes.txt").write_text("not an image")
    return tmp_path


def test_a_folder_per_class_is_read_and_resized(images: Path) -> None:
    raw = load("image_folder", images, image_folder="images", size=[2, 3])
    assert (raw.train.x.shape, raw.train.x.dtype, raw.labels) == ((3, 2, 3, 3), np.uint8, ("ant", "cat"))
    np.testing.assert_array_equal(raw.train.y, [0, 1, 1])
    np.testing.assert_array_equal(raw.train.x[0], np.broadcast_to([0, 255, 0], (2, 3, 3)))
    np.testing.assert_array_equal(raw.train.x[1], np.broadcast_to([255, 0, 0], (2, 3, 3)))


def test_grey_images_have_one_channel(images: Path) -> None:
    raw = load("image_folder", images, image_folder="images", size=[2, 3], channels=1)
    assert raw.train.x.shape == (3, 2, 3, 1)
    assert raw.train.x[1, 0, 0, 0] == 76  # 0.299 of red (ITU-R BT.601)
    write_image(images / "grey/a/1.png", 7, mode="L")
    assert load("image_folder", images, image_folder="grey", size=[1, 1]).train.x.tolist() == [[[[7, 7, 7]]]]


def test_a_split_of_its_own_is_kept(images: Path) -> None:
    for part in ("train", "test"):
        write_image(images / f"parts/{part}/a/1.png", (1, 2, 3))
    write_image(images / "parts/train/b/1.png", (1, 2, 3))
    raw = load("image_folder", images, image_folder="parts", size=[1, 1])
    assert raw.test is not None
    assert (len(raw.train.y), raw.validation, len(raw.test.y), raw.labels) == (2, None, 1, ("a", "b"))


def test_images_that_cannot_be_used_are_refused(images: Path) -> None:
    keys = {"image_folder": "images", "size": [2, 3]}
    with pytest.raises(RecipeError, match="received 2"):
        load("image_folder", images, **keys, channels=2)
    (images / "images/cat/3.png").write_text("not an image")
    with pytest.raises(RecipeError, match=r"3.png is not a readable image"):
        load("image_folder", images, **keys)
    whole = (images / "images/cat/1.png").read_bytes()
    (images / "images/cat/3.png").write_bytes(whole[:40])
    with pytest.raises(RecipeError, match=r"3.png is not a readable image"):
        load("image_folder", images, **keys)


def test_folders_without_classes_or_images_are_missing(tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    with pytest.raises(MissingError, match="has no sub-folder"):
        load("image_folder", tmp_path, image_folder="none", size=[2, 3])
    (tmp_path / "empty/a").mkdir(parents=True)
    with pytest.raises(MissingError, match="holds no image"):
        load("image_folder", tmp_path, image_folder="empty", size=[2, 3])
    write_image(tmp_path / "parts/train/a/1.png", (1, 2, 3))
    write_image(tmp_path / "parts/test/z/1.png", (1, 2, 3))
    with pytest.raises(RecipeError, match=r"holds the classes \['z'\], which train/ has not"):
        load("image_folder", tmp_path, image_folder="parts", size=[2, 3])


# The user's own function

OWN = """
import numpy as np

def load(count=6):
    return {"x": np.zeros((count, 2)), "y": np.arange(count) % 3, "labels": ["a", "b", "c"]}

def parts():
    x, y = np.zeros((4, 2)), np.arange(4) % 2
    return {"x_train": x, "y_train": y, "x_test": x[:1], "y_test": y[:1]}

def wrong():
    return [1, 2]

def keys():
    return {"images": 1}

def fails():
    raise ValueError("the disk is on fire")
"""


def test_a_function_supplies_the_data(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(OWN)
    raw = load("python", tmp_path, python="own.py:load", args={"count": 9})
    assert (raw.train.x.shape, raw.labels) == ((9, 2), ("a", "b", "c"))
    raw = load("python", tmp_path, python="own.py:parts")
    assert raw.test is not None
    assert (len(raw.train.y), len(raw.test.y), raw.labels) == (4, 1, ("0", "1"))


@pytest.mark.parametrize(
    ("reference", "cls", "message"),
    [
        ("own.py:wrong", RecipeError, "own.py:wrong returned list; expected a dict with x and y"),
        ("own.py:keys", RecipeError, r"returned the keys \['images'\]; expected x and y"),
        ("own.py:fails", RecipeError, r"own.py:fails failed: ValueError: the disk is on fire \(.*own.py:18\)"),
        ("own.py:lod", MissingError, "defines no function 'lod'"),
        ("own.py", MissingError, "expected 'file.py:function', received 'own.py'"),
        ("absent.py:load", MissingError, "data.python: there is nothing at"),
        ("broken.py:load", RecipeError, "broken.py:load failed: SyntaxError"),
    ],
)
def test_a_function_that_does_not_is_explained(
    tmp_path: Path, reference: str, cls: type[Exception], message: str
) -> None:
    (tmp_path / "own.py").write_text(OWN)
    (tmp_path / "broken.py").write_text("def load(:\n")
    with pytest.raises(cls, match=message):
        load("python", tmp_path, python=reference)


# What comes with scikit-learn


def test_data_that_come_with_scikit_learn() -> None:
    raw = load("sklearn", Path(), sklearn="digits", image_shape=[8, 8, 1])
    assert (raw.train.x.shape, raw.train.x.dtype, len(raw.labels)) == ((1797, 8, 8, 1), np.float32, 10)
    raw = load("sklearn", Path(), sklearn="wine")
    assert raw.train.x.shape == (178, 13)
    with pytest.raises(RecipeError, match=r"\[8, 9, 1\] holds 72 values, but a sample of 'digits' has 64"):
        load("sklearn", Path(), sklearn="digits", image_shape=[8, 9, 1])


# All of them


@pytest.mark.parametrize(
    ("kind", "keys", "file"),
    [
        ("csv", {"csv": "t.csv", "target": "kind"}, "t.csv"),
        ("npz", {"npz": "whole.npz"}, "whole.npz"),
        ("idx", {"idx": "set"}, f"set/{idx.NAMES['y_test']}"),
        ("image_folder", {"image_folder": "images", "size": [2, 2]}, "images/cat/1.png"),
        ("python", {"python": "own.py:load", "inputs": ["t.csv"]}, "own.py"),
        ("python", {"python": "own.py:load", "inputs": ["t.csv"]}, "t.csv"),
    ],
)
def test_a_change_of_a_file_changes_the_identity(images: Path, kind: str, keys: dict[str, Any], file: str) -> None:
    write_mnist(images / "set", compressed=False)
    (images / "t.csv").write_text("a,kind\n1,x\n")
    (images / "own.py").write_text(OWN)
    np.savez(images / "whole.npz", x=np.zeros((2, 2)), y=np.zeros(2, int))
    before = identity(kind, images, **keys)
    assert identity(kind, images, **keys) == before
    with (images / file).open("ab") as stream:
        stream.write(b"# more")
    assert identity(kind, images, **keys) != before


@pytest.mark.parametrize(
    ("kind", "keys"),
    [
        ("csv", {"csv": "absent", "target": "kind"}),
        ("npz", {"npz": "absent"}),
        ("idx", {"idx": "absent"}),
        ("image_folder", {"image_folder": "absent", "size": [2, 2]}),
        ("python", {"python": "absent.py:load"}),
    ],
)
def test_a_missing_file_is_named_with_its_key_before_any_work(tmp_path: Path, kind: str, keys: dict[str, Any]) -> None:
    with pytest.raises(MissingError, match=f"data.{kind}: .*absent"):
        identity(kind, tmp_path, **keys)
