"""Is what ONNX cannot say found in the graph, and does the runner then feed it rightly?"""

from pathlib import Path

import numpy as np
import onnx
import pytest

from edgepack.errors import RecipeError
from edgepack.formats import onnx as format_
from edgepack.onnx_models import unsaid
from edgepack.runner.infer import predict
from edgepack.runner.sessions import open_session

from . import foreign

IMAGES = np.random.default_rng(1).random((5, 4, 4, 1)).astype(np.float32)


def adopted(made: onnx.ModelProto, folder: Path, **options: str) -> tuple[Path, tuple[str, ...]]:
    """A file of another tool and its copy, held against samples of 4 x 4 x 1."""
    source = foreign.save(made, folder / "theirs.onnx")
    added = format_.adopt(source, folder / "ours.onnx", input_shape=(4, 4, 1), **options)  # type: ignore[arg-type]
    return folder / "ours.onnx", added


def answers(path: Path) -> np.ndarray:  # type: ignore[type-arg]
    with open_session("onnxruntime", path) as session:
        return predict(session, IMAGES)[1]


def test_a_file_that_says_everything_is_copied_byte_for_byte(tmp_path: Path) -> None:
    path, added = adopted(foreign.classifier(), tmp_path)
    assert added == ()
    assert path.read_bytes() == (tmp_path / "theirs.onnx").read_bytes()


def test_scales_are_those_of_the_graphs_own_ends(tmp_path: Path) -> None:
    path, added = adopted(foreign.quantised(), tmp_path)
    assert added == (
        "'image' is uint8 with scale 0.0625 and zero point 3",
        "'classes' is uint8 with scale 0.00390625 and zero point 0",
    )
    float_ends, _ = adopted(foreign.quantised(integers=False), tmp_path)
    expected = answers(float_ends)
    path, _ = adopted(foreign.quantised(), tmp_path)
    np.testing.assert_allclose(answers(path), expected, atol=1 / 256)


def test_a_scale_that_is_no_constant_stays_unknown() -> None:
    made = foreign.quantised()
    kept = [tensor for tensor in made.graph.initializer if tensor.name != "scale"]
    del made.graph.initializer[:]
    made.graph.initializer.extend(kept)
    made.graph.input.append(onnx.helper.make_tensor_value_info("scale", onnx.TensorProto.FLOAT, ()))
    image, _ = unsaid.find(made, (4, 4, 1)).inputs
    assert (image.dtype, image.scale) == ("uint8", None)


@pytest.mark.parametrize(
    ("shape", "layout", "turned"),
    [
        (("n", 1, 4, 4), None, True),
        (("n", 4, 4, 1), None, False),
        (("n", 1, "height", "width"), None, True),
        (("n", "a", "b", "c"), None, False),  # both fit: as samples are
        (("n", "a", "b", "c"), "nchw", True),
        (("n", 4, 4, 1), "nhwc", False),
        (("n", 16), "nchw", False),
    ],
)
def test_channels_stand_first_where_samples_fit_only_so_or_the_recipe_says_it(
    shape: tuple[int | str, ...], layout: str | None, turned: bool
) -> None:
    sample = (4, 4, 1) if len(shape) == 4 else (16,)
    found = unsaid.find(foreign.classifier(shape), sample, layout)
    assert [spec.layout for spec in found.inputs] == ["nchw" if turned else None]
    assert bool(found.sentences) == turned


def test_images_are_turned_for_a_file_with_channels_first(tmp_path: Path) -> None:
    plain, _ = adopted(foreign.classifier(), tmp_path)
    expected = answers(plain)
    path, added = adopted(foreign.classifier(("n", 1, 4, 4)), tmp_path)
    assert added == ("'image' takes channels first",)
    np.testing.assert_array_equal(answers(path), expected)  # with one channel, the same numbers in the same order
    again, added = tmp_path / "again.onnx", format_.adopt(path, tmp_path / "again.onnx", input_shape=(4, 4, 1))
    assert (added, again.read_bytes()) == ((), path.read_bytes())


def test_weights_in_other_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "split.onnx"
    onnx.save(foreign.classifier(), path, save_as_external_data=True, size_threshold=0, location="weights.bin")
    with pytest.raises(RecipeError, match=r"split\.onnx keeps its weights in other files"):
        format_.precision_of(path)


@pytest.mark.parametrize("content", [b"", b"no model at all", b"\x08"])
def test_what_is_no_model_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "text.onnx"
    path.write_bytes(content)
    with pytest.raises(RecipeError, match=r"text\.onnx is no (complete )?\.onnx file"):
        format_.precision_of(path)
    path.write_bytes(foreign.classifier().SerializeToString()[:-40])
    with pytest.raises(RecipeError, match=r"text\.onnx is no complete \.onnx file"):
        format_.precision_of(path)
