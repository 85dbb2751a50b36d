"""How do report.json, report.md and report.html get into a run's folder, whole or not at all?"""

import os
import tempfile
from pathlib import Path

from edgepack.errors import MissingError
from edgepack.report.collect import collect
from edgepack.report.document import to_json
from edgepack.report.markdown import to_markdown
from edgepack.report.schema import Report


def write(run_dir: Path, *, history: Path | None = None) -> Report:
    """Collect a run and write its report in three forms.

    Args:
        run_dir: The folder of one recipe's run; report.json, report.md and report.html are put into it.
        history: Where earlier measurements are kept; default: its own folder `history`.

    Returns:
        The report.

    Raises:
        MissingError: It is not the folder of a run, or there is no room or right to write in it.
    """
    from edgepack.report.html import to_html

    report = collect(run_dir, history=history)
    # All three are made before the first is written: a failure leaves the earlier report as it was.
    forms = {"report.json": to_json(report), "report.md": to_markdown(report), "report.html": to_html(report)}
    for name, content in forms.items():
        write_atomically(run_dir / name, content.encode())
    return report


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that it is either the whole new one or the old one.

    Raises:
        MissingError: The folder cannot be written, or the disk is full.
    """
    temporary: Path | None = None
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp", delete=False) as file:
            temporary = Path(file.name)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    except OSError as error:
        raise MissingError(
            f"{path} cannot be written: {error.strerror or error}",
            fix="free some space, or make the folder writable",
        ) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
