"""What does edgepack do on a device that it reaches through a shell? Keeps files, and runs one program at a time.

This file is sent along with every command and run by the device's own Python, with nothing but the standard library.
It is started with a verb; the request is one line of JSON on standard input, and files follow as a tar archive.
Everything lies in ``~/.cache/edgepack/device``: ``parcels/<key>`` are complete since they got this name by being
renamed, ``runs`` is what a program works in until it ends.
"""

import errno
import fcntl
import hashlib
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
from typing import Any, TextIO

MARK = "\x1eedgepack "
KEPT_DAYS = 30
BUSY_S = 5.0
LOST = 250
BLOCK_BYTES = 1 << 20


class RefusedError(Exception):
    """What this device cannot do, with the figures that explain it."""

    def __init__(self, kind: str, **figures: Any) -> None:
        super().__init__(kind)
        self.answer = {"kind": kind, **figures}


def root() -> str:
    """The folder of everything that edgepack keeps on this device."""
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return os.path.join(cache, "edgepack", "device")


def probe(request: dict[str, Any]) -> dict[str, Any]:
    """What kind of machine this is."""
    libc, version = platform.libc_ver()
    return {
        "machine": platform.machine(),
        "system": platform.system(),
        "bits": 64 if sys.maxsize > 2**32 else 32,
        "program": sys.executable,
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        "libc": libc,
        "libc_version": version,
        "folder": root(),
    }


def receive(request: dict[str, Any]) -> dict[str, Any]:
    """Keep the parcels that follow, each under its key, if they are what the key says."""
    parcels = os.path.join(root(), "parcels")
    os.makedirs(parcels, exist_ok=True)
    staging = tempfile.mkdtemp(prefix=f".tmp-{os.getpid()}-", dir=parcels)
    try:
        lines: dict[str, list[tuple[str, str]]] = {}
        with tarfile.open(fileobj=sys.stdin.buffer, mode="r|gz") as archive:
            for member in archive:
                key, _, path = member.name.partition("/")
                target = os.path.join(staging, key, path)
                if not member.isfile() or not os.path.realpath(target).startswith(os.path.realpath(staging) + os.sep):
                    raise RefusedError("damaged", text=member.name)
                os.makedirs(os.path.dirname(target), exist_ok=True)
                digest = hashlib.sha256()
                content = archive.extractfile(member)
                assert content is not None  # it is a file
                with content, open(target, "wb") as file:
                    while block := content.read(BLOCK_BYTES):
                        digest.update(block)
                        file.write(block)
                os.chmod(target, member.mode)
                executable = int(bool(member.mode & 0o100))
                lines.setdefault(key, []).append((path, f"{digest.hexdigest()} {executable} {path}\n"))
        for key, found in lines.items():
            whole = "".join(line for _, line in sorted(found)).encode()
            if hashlib.sha256(whole).hexdigest() != key:
                raise RefusedError("damaged", text=key)
        os.sync()  # before the names that say that it is complete
        for key in lines:
            if not os.path.isdir(os.path.join(parcels, key)):
                os.rename(os.path.join(staging, key), os.path.join(parcels, key))
        return {"kept": sorted(lines)}
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def run(request: dict[str, Any]) -> dict[str, Any]:
    """Run one program in a folder of its own, and end it when nobody listens any more."""
    parcels, runs = os.path.join(root(), "parcels"), os.path.join(root(), "runs")
    os.makedirs(runs, exist_ok=True)
    wanted = sorted({item["key"] for item in request["places"]} | set(request["search"]))
    missing = [key for key in wanted if not os.path.isdir(os.path.join(parcels, key))]
    if missing:
        space = os.statvfs(root())
        raise RefusedError("missing", keys=missing, free_bytes=space.f_bavail * space.f_frsize, folder=root())
    with open(os.path.join(root(), "lock"), "a+") as lock:
        take(lock)
        clean(parcels, runs)
        folder = tempfile.mkdtemp(prefix=f"{os.getpid()}-", dir=runs)
        try:
            for key in wanted:
                os.utime(os.path.join(parcels, key))
            for item in request["places"]:
                place(os.path.join(parcels, item["key"]), os.path.join(folder, item["place"]), item)
            search = [os.path.join(parcels, key) for key in request["search"]]
            given = {"python": sys.executable, "folder": folder}
            argv = [word.format(**given) if told else word for word, told in request["argv"]]
            env = {**os.environ, **request["env"]}
            if search:
                env["PYTHONPATH"] = os.pathsep.join(search)
            return {"exit": watched(argv, folder, env)}
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def place(parcel: str, target: str, item: dict[str, Any]) -> None:
    """Put a parcel, or one file of it, into a run's folder: as a copy, or the kept file where it is only read."""
    source = os.path.join(parcel, item["entry"]) if item["entry"] else parcel
    os.makedirs(os.path.dirname(target), exist_ok=True)
    if not item["copy"]:
        os.symlink(source, target)
    elif os.path.isdir(source):
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy(source, target)


def take(lock: TextIO) -> None:
    """Hold the device: two measurements at once would measure each other."""
    end = time.monotonic() + BUSY_S
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            if time.monotonic() > end:
                lock.seek(0)
                raise RefusedError("busy", text=lock.read()) from None
            time.sleep(0.1)
    lock.truncate(0)
    lock.write(str(os.getpid()))
    lock.flush()


def clean(parcels: str, runs: str) -> None:
    """Remove what ended processes left, and what nobody has used for a month."""
    for folder, left in ((runs, os.listdir(runs)), (parcels, os.listdir(parcels) if os.path.isdir(parcels) else [])):
        for name in left:
            path = os.path.join(folder, name)
            owner = name.removeprefix(".tmp-").partition("-")[0]
            if folder == runs or name.startswith(".tmp-"):
                unused = not owner.isdigit() or not os.path.exists("/proc/" + owner)
            else:
                unused = time.time() - os.stat(path).st_mtime > KEPT_DAYS * 86400
            if unused:
                shutil.rmtree(path, ignore_errors=True)


def watched(argv: list[str], folder: str, env: dict[str, str]) -> int:
    """A program's exit code; it and its children are killed when standard input ends, as with a lost connection."""
    try:
        process = subprocess.Popen(argv, cwd=folder, env=env, stdin=subprocess.DEVNULL, start_new_session=True)
    except FileNotFoundError:
        raise RefusedError("no program", text=argv[0]) from None
    lost = threading.Event()

    def watch() -> None:
        while sys.stdin.buffer.read(1):
            pass
        lost.set()
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass

    threading.Thread(target=watch, daemon=True).start()
    code = process.wait()
    return LOST if lost.is_set() else code if code >= 0 else 128 - code


def main() -> None:
    """Answer one request; the last line of standard error says how it ended, which a lost connection does not."""
    for stream in (sys.stdout, sys.stderr):  # what a talkative shell said comes before
        stream.write(MARK + "\n")
        stream.flush()
    try:
        request = json.loads(sys.stdin.buffer.readline())
        answer = {"probe": probe, "receive": receive, "run": run}[sys.argv[1]](request)
    except RefusedError as refused:
        answer = {"refused": refused.answer}
    except OSError as error:
        kind = "full" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "system"
        answer = {"refused": {"kind": kind, "text": error.strerror or str(error), "folder": error.filename or root()}}
    except (tarfile.TarError, EOFError, ValueError) as error:
        answer = {"refused": {"kind": "damaged", "text": str(error)}}
    sys.stdout.flush()
    sys.stderr.write("\n" + MARK + json.dumps(answer) + "\n")
    sys.stderr.flush()
    os._exit(0)  # the watching thread holds standard input


if __name__ == "__main__":
    main()
