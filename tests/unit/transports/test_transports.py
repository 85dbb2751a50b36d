import inspect
import sys
from pathlib import Path, PurePosixPath

import pytest
from small_bundles import write_bundle

from edgepack import extensions, transports
from edgepack.errors import DeviceError, MissingError, RecipeError
from edgepack.latency import bench, labelled
from edgepack.protocol import Protocol
from edgepack.transports import Device
from edgepack.transports._parcels import contents, parcel
from edgepack.transports.local import Local


@pytest.mark.parametrize("name", extensions.names("edgepack.transports"))
def test_each_transport_keeps_its_contract(name: str) -> None:
    module = extensions.load("edgepack.transports", name)
    kind = inspect.signature(module.connect).return_annotation
    for method in ("push", "run", "ask", "close"):
        expected = inspect.signature(getattr(transports.Transport, method))
        assert inspect.signature(getattr(kind, method)) == expected
    assert hasattr(kind, "__enter__")
    assert hasattr(kind, "__exit__")


def test_an_unknown_transport_names_the_known_ones() -> None:
    with pytest.raises(RecipeError, match=r"unknown name 'dokcer' in transports; expected one of: .*docker, local"):
        transports.connect("dokcer:image")


def test_local_takes_no_address() -> None:
    with pytest.raises(RecipeError, match="local takes no address, but got 'here'"):
        transports.connect("local:here")


def test_docker_needs_an_image() -> None:
    with pytest.raises(RecipeError, match="docker needs an image"):
        transports.connect("docker")


@pytest.mark.parametrize("remote", ["/etc/passwd", "../up", "a/../../up", "."])
def test_nothing_is_pushed_outside_the_working_folder(tmp_path: Path, remote: str) -> None:
    with Local() as device, pytest.raises(ValueError, match="inside the device's working folder"):
        device.push(tmp_path, PurePosixPath(remote))


def test_files_and_folders_are_pushed_and_programs_start_beside_them(tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("hello")
    folder = tmp_path / "package"
    (folder / "__pycache__").mkdir(parents=True)
    (folder / "__main__.py").write_text(
        "import os, sys; print(open('words.txt').read(), sys.argv[1:], os.environ['K'])"
    )
    with transports.connect("local") as device:
        device.push(tmp_path / "words.txt", PurePosixPath("words.txt"))
        device.push(folder, PurePosixPath("deep/program"))
        listed = device.run(["find", "."], timeout_s=30)
        done = device.run([sys.executable, "deep/program", "a b"], timeout_s=30, env={"K": "v"})
    assert (done.returncode, done.stdout, done.stderr) == (0, "hello ['a b'] v\n", "")
    assert "__pycache__" not in listed.stdout


def test_a_second_push_replaces_the_first(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "old").write_text("")
    with Local() as device:
        device.push(folder, PurePosixPath("data"))
        (folder / "old").rename(folder / "new")
        device.push(folder, PurePosixPath("data"))
        assert device.run(["ls", "data"], timeout_s=30).stdout == "new\n"


def test_what_is_pushed_is_a_copy(tmp_path: Path) -> None:
    original = tmp_path / "file"
    original.write_text("kept")
    with Local() as device:
        device.push(original, PurePosixPath("file"))
        device.run(["rm", "file"], timeout_s=30)
    assert original.read_text() == "kept"


def test_the_runner_is_asked_about_files_where_they_lie(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "bundle")
    with Local() as device:
        document, code = device.ask(["verify", "--bundle", bundle], timeout_s=60)
        assert document["schema"] == "edgepack.golden/1"
        assert code == {"ok": 0, "failed": 5, "error": 6}[document["results"][0]["status"]]
        with pytest.raises(RecipeError, match=r"the runner refused: there is no file .*nothing\.onnx"):
            device.ask(["bench", "--file", tmp_path / "nothing.onnx"], timeout_s=60)


def test_a_measurement_names_its_device_and_a_simulated_one_is_no_time() -> None:
    flags = [{"kind": kind, "text": "why"} for kind in ("short", "quick")]
    told = {"protocol": {"clock": "wall"}, "results": [{"status": "ok", "flags": flags}]}
    real = labelled(told, Device("ssh://pi@shelf", "shelf"))
    assert real == {**told, "device": {"address": "ssh://pi@shelf", "name": "shelf", "simulated": False}}
    simulated = labelled(told, Device("board", "board", simulated=True))
    assert simulated["protocol"]["clock"] == "instructions"
    assert [flag["kind"] for flag in simulated["results"][0]["flags"]] == ["quick", "simulated"]


class Phone:
    """A device without a runner, in so far as a measurement asks it."""

    device = Device("phone", "phone")

    def bench(self, what: Path, **options: object) -> tuple[dict[str, object], int]:
        return {"protocol": {}, "results": [], "asked": [what.name, *sorted(options)]}, 0


def test_a_device_with_means_of_its_own_is_measured_by_them(tmp_path: Path) -> None:
    protocol = Protocol(0.1, 5, 0.1)
    document, code = bench(Phone(), tmp_path / "model.tflite", protocol=protocol)  # type: ignore[arg-type]
    assert (code, document["device"]["name"]) == (0, "phone")
    assert document["asked"] == ["model.tflite", "artifacts", "protocol", "runtime", "threads"]


def test_of_a_bundle_only_what_its_manifest_needs_is_sent(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "bundle")
    (bundle / "image").mkdir()
    (bundle / "image" / "runtime.tar").write_bytes(b"large")
    assert {entry.path for entry in contents(bundle)} == {"golden.npz", "manifest.json", "model.float32.onnx"}
    assert [entry.path for entry in contents(bundle / "golden.npz")] == ["golden.npz"]
    with pytest.raises(MissingError, match="no file or folder"):
        contents(tmp_path / "nothing")


def test_a_parcel_is_known_by_names_and_contents(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1")
    first = parcel("first", contents(tmp_path / "a"))
    assert (first.name, first.size_bytes, len(first.key)) == ("first", 1, 64)
    assert parcel("second", contents(tmp_path / "a")).key == first.key
    (tmp_path / "a").write_text("2")
    assert parcel("first", contents(tmp_path / "a")).key != first.key
    (tmp_path / "a").rename(tmp_path / "b")
    (tmp_path / "b").write_text("1")
    assert parcel("first", contents(tmp_path / "b")).key != first.key


def test_nothing_is_left_behind_and_closing_twice_is_safe() -> None:
    with Local() as device:
        folder = Path(device.run(["pwd"], timeout_s=30).stdout.strip())
        assert folder.is_dir()
    assert not folder.exists()
    device.close()


def test_an_exit_code_is_a_result_and_no_error() -> None:
    with Local() as device:
        assert device.run([sys.executable, "-c", "import sys; sys.exit(5)"], timeout_s=30).returncode == 5


def test_what_takes_too_long_or_is_missing_is_an_error(tmp_path: Path) -> None:
    with Local() as device:
        with pytest.raises(DeviceError, match=r"did not finish within 0\.2 s"):
            device.run(["sleep", "30"], timeout_s=0.2)
        with pytest.raises(MissingError, match="'no-such-program' is not installed"):
            device.run(["no-such-program"], timeout_s=5)
        with pytest.raises(MissingError, match="no file or folder"):
            device.push(tmp_path / "nothing", PurePosixPath("nothing"))
