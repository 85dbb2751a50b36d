"""Which files of a package are in an image? A RECORD of what is really there, as an installer writes it."""

import base64
import csv
import hashlib
import io
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath

from edgepack.images.archive import Entry, from_bytes

SITE_PACKAGES = "opt/edgepack/site-packages"


def entry(entries: Sequence[Entry]) -> list[Entry]:
    """The RECORD (PEP 376) of a package's files, to be packed beside them.

    Tools that list what is installed read it: scanners of vulnerabilities, `importlib.metadata`, and
    `edgepack image inspect`, which adds up the sizes in it.

    Args:
        entries: The package's files in the image.

    Returns:
        One entry; none where the package has no ``.dist-info`` folder.
    """
    site = PurePosixPath(SITE_PACKAGES)
    paths = {PurePosixPath(item.path).relative_to(site): item for item in entries}
    folders = {path.parts[0] for path in paths if path.parts[0].endswith(".dist-info")}
    if len(folders) != 1:
        return []
    record = f"{folders.pop()}/RECORD"
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    for path in sorted(paths, key=str):
        writer.writerow((str(path), f"sha256={_digest(paths[path])}", paths[path].size_bytes))
    writer.writerow((record, "", ""))
    return [from_bytes(text.getvalue().encode(), f"{SITE_PACKAGES}/{record}")]


def sizes(text: str) -> Iterable[tuple[str, int | None]]:
    """Path relative to site-packages, and size in bytes where it is known, of each file in a RECORD."""
    for row in csv.reader(io.StringIO(text)):
        if row:
            yield row[0], int(row[2]) if len(row) > 2 and row[2].isdecimal() else None


def _digest(item: Entry) -> str:
    """The digest of a file as RECORD spells it: base64 for URLs, without the padding."""
    with item.open() as content:
        digest = hashlib.file_digest(content, "sha256").digest()  # type: ignore[arg-type]
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
