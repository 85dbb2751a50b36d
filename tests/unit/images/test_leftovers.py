"""Does the next build remove what one that was cut off had noted, and nothing that another one still makes?"""

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from edgepack.images import leftovers

HOST = "unix:///run/test.sock"


class Images:
    """What of an engine `sweep` talks to: images by id, with their names."""

    def __init__(self, **names: list[str]) -> None:
        self.names = names

    def inspect_image(self, image: str) -> dict[str, Any]:
        return {"RepoTags": self.names[image]}

    def remove_image(self, image: str) -> None:
        del self.names[image]

    def remove_container(self, container: str, **_: object) -> None:
        del self.names[container]

    def containers(self, **_: object) -> list[Any]:
        return []


def cut_off(place: Path, *images: str, host: str = HOST) -> None:
    """A build whose process or engine was killed."""
    with leftovers.Ledger(host, place) as ledger:
        for image in images:
            ledger.note(image)


def test_only_nameless_images_of_ended_builds_on_this_engine_are_removed(tmp_path: Path) -> None:
    api = Images(ended=[], named=["base:1"], running=[], elsewhere=[], step=["-"])
    cut_off(tmp_path, "named", "gone", "ended", "Running in step")
    cut_off(tmp_path, "elsewhere", host="unix:///run/other.sock")
    (tmp_path / "1-damaged").write_bytes(b"\xff\xfe")
    with leftovers.Ledger(HOST, tmp_path) as going_on:
        going_on.note("running")
        leftovers.sweep(SimpleNamespace(api=api), HOST, tmp_path)
        assert set(api.names) == {"named", "running", "elsewhere"}
        going_on.forget()
    leftovers.sweep(SimpleNamespace(api=api), HOST, tmp_path)
    assert set(api.names) == {"named", "running", "elsewhere"}
    leftovers.sweep(SimpleNamespace(api=api), "unix:///run/other.sock", tmp_path)
    assert set(api.names) == {"named", "running"}
    assert [path.name for path in tmp_path.iterdir()] == ["1-damaged"]
    os.utime(tmp_path / "1-damaged", (0, 0))
    leftovers.sweep(SimpleNamespace(api=api), HOST, tmp_path)
    assert not list(tmp_path.iterdir())
