"""Is what is deployed a whole bundle that passed, and is nothing of a user's lost?"""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from small_bundles import write_bundle

from edgepack import bundle, deployment
from edgepack.errors import MissingError, RecipeError, VerificationError

IMAGE = "registry.example.org/shapes:1.0"


@pytest.fixture
def make_bundle(tmp_path: Path) -> Callable[..., Path]:
    """Writes a bundle into a folder of the test's own."""
    return lambda name="linux-amd64-cpu", **changed: write_bundle(tmp_path / "run" / name, name, **changed)


def test_two_calls_give_the_same_bytes(make_bundle: Callable[..., Path], tmp_path: Path) -> None:
    folder = make_bundle()
    for out in ("one", "two", "one"):
        deployment.deploy(folder, tmp_path / out, deployment.Options(image=IMAGE))
    one, two = (
        {
            str(path.relative_to(tmp_path / out)): path.read_bytes()
            for path in (tmp_path / out).rglob("*")
            if path.is_file()
        }
        for out in ("one", "two")
    )
    assert one == two
    assert {name.split("/")[0] for name in one} == {
        "aks", "compose", "eks", "gke", "kserve", "kubernetes", "triton", "deployment.json",
    }  # fmt: skip


def test_the_choice_is_what_is_served(make_bundle: Callable[..., Path]) -> None:
    workload = deployment.describe(make_bundle(choice=True), deployment.Options(image=IMAGE))
    assert workload.words == ["serve", "--artifact", "model.float32.onnx", "--runtime", "onnxruntime"]


def test_without_an_image_only_what_needs_none_is_written(make_bundle: Callable[..., Path], tmp_path: Path) -> None:
    document = deployment.deploy(make_bundle(), tmp_path / "out", deployment.Options(image=None))
    assert set(document["kinds"]) == {"triton"}
    assert document["left_out"]["compose"] == "no --image was given, and it runs one"


def test_an_overlay_brings_its_base(make_bundle: Callable[..., Path], tmp_path: Path) -> None:
    document = deployment.deploy(make_bundle(), tmp_path / "out", deployment.Options(image=IMAGE, kinds=("eks",)))
    assert list(document["kinds"]) == ["eks", "kubernetes"]


def test_later_calls_add_kinds_and_take_away_what_is_no_longer_there(
    make_bundle: Callable[..., Path], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    deployment.deploy(make_bundle("nvidia-gpu"), out, deployment.Options(image=IMAGE, kinds=("compose",)))
    assert (out / "compose" / "gpu.yaml").exists()
    document = deployment.deploy(make_bundle(), out, deployment.Options(image=IMAGE, kinds=("compose", "kserve")))
    assert list(document["kinds"]) == ["compose", "kserve"]
    assert not (out / "compose" / "gpu.yaml").exists()


@pytest.mark.parametrize("theirs", ["changed", "written before"])
def test_files_of_the_users_are_not_lost(make_bundle: Callable[..., Path], tmp_path: Path, theirs: str) -> None:
    folder, out = make_bundle(), tmp_path / "out"
    path = out / "compose" / "compose.yaml"
    if theirs == "changed":
        deployment.deploy(folder, out, deployment.Options(image=IMAGE, kinds=("compose",)))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("mine: true\n")
    with pytest.raises(RecipeError, match=r"compose\.yaml was changed or written by someone else"):
        deployment.deploy(folder, out, deployment.Options(image=IMAGE))
    assert path.read_text() == "mine: true\n"


def test_a_record_that_names_other_files_is_refused(make_bundle: Callable[..., Path], tmp_path: Path) -> None:
    folder, out = make_bundle(), tmp_path / "out"
    victim = tmp_path / "victim"
    victim.write_text("precious")
    document = deployment.deploy(folder, out, deployment.Options(image=IMAGE, kinds=("compose",)))
    document["kinds"]["compose"]["../../victim"] = bundle.file_digest(victim)
    (out / "deployment.json").write_text(json.dumps(document))
    with pytest.raises(RecipeError, match=r"deployment\.json is damaged: it names a file outside the folder"):
        deployment.deploy(folder, out, deployment.Options(image=IMAGE, kinds=("compose",)))
    assert victim.exists()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"schema": "edgepack.deployment/1", "kinds": []}'])
def test_a_damaged_record_is_refused(make_bundle: Callable[..., Path], tmp_path: Path, text: str) -> None:
    (tmp_path / "deployment.json").write_text(text)
    with pytest.raises(RecipeError, match=r"deployment\.json is damaged"):
        deployment.deploy(make_bundle(), tmp_path, deployment.Options(image=IMAGE))


def test_an_altered_bundle_is_not_deployed(make_bundle: Callable[..., Path], tmp_path: Path) -> None:
    folder = make_bundle()
    with (folder / "model.float32.onnx").open("ab") as file:
        file.write(b"x")
    with pytest.raises(VerificationError, match=r"model\.float32\.onnx was altered"):
        deployment.deploy(folder, tmp_path / "out", deployment.Options(image=IMAGE))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"smoke": True}, "is a smoke run's"),
        ({"status": "failed"}, "no artifact of it passed verification"),
        ({"preprocessing": None}, "is damaged: TypeError"),
        ({"preprocessing": {}}, "is damaged: KeyError"),
        ({"labels": ["a", ["b"]]}, "is damaged: ValueError: labels are no texts"),
        ({"peak_mib": "much"}, r"latency\.json is damaged"),
    ],
)
def test_what_must_not_be_shipped_is_refused(
    make_bundle: Callable[..., Path], tmp_path: Path, changed: dict[str, object], message: str
) -> None:
    with pytest.raises(VerificationError, match=message):
        deployment.deploy(make_bundle(**changed), tmp_path / "out", deployment.Options(image=IMAGE))


@pytest.mark.parametrize("name", ["android-arm64", "mcu-cortex-m"])
def test_what_does_not_serve_is_refused(make_bundle: Callable[..., Path], tmp_path: Path, name: str) -> None:
    with pytest.raises(RecipeError, match="expected one that serves: cpu or gpu"):
        deployment.deploy(make_bundle(name), tmp_path / "out", deployment.Options(image=IMAGE))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"image": "shapes:1", "kinds": ("gke",)},
            "the image 'shapes' names no registry; expected one as in REGION-docker",
        ),
        ({"image": None, "kinds": ("compose",)}, "compose cannot be written: no --image was given"),
        ({"image": IMAGE, "kinds": ("composer",)}, "unknown name 'composer' in clusters"),
        ({"image": IMAGE, "replicas": 20}, "--max-replicas 10 is below --replicas 20"),
        ({"image": "A B"}, "--image expected REGISTRY/NAME"),
        ({"image": IMAGE, "name": "-"}, "--name expected at most 40"),
    ],
)
def test_options_that_do_not_fit_are_refused(
    make_bundle: Callable[..., Path], tmp_path: Path, options: dict[str, object], message: str
) -> None:
    with pytest.raises(RecipeError, match=message) as caught:
        deployment.deploy(make_bundle(), tmp_path / "out", deployment.Options(**options))  # type: ignore[arg-type]
    assert caught.value.fix
    assert not (tmp_path / "out").exists()


def test_no_bundle_and_a_folder_inside_it_are_refused(make_bundle: Callable[..., Path], tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="is no bundle"):
        deployment.deploy(tmp_path, tmp_path / "out", deployment.Options(image=IMAGE))
    folder = make_bundle()
    with pytest.raises(RecipeError, match="is inside the bundle"):
        deployment.deploy(folder, folder / "out", deployment.Options(image=IMAGE))
