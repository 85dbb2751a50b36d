"""What does a real OpenSSH server on the loopback interface look like, with keys and a configuration of its own?"""

import getpass
import os
import shlex
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest

SSHD = "/usr/sbin/sshd"


def require(*programs: str) -> None:
    """Skip where one of these programs is missing, or fail where devices are required."""
    missing = [name for name in programs if shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin") is None]
    if missing:
        sentence = f"not installed: {', '.join(missing)}"
        if os.environ.get("EDGEPACK_REQUIRE_DEVICES") == "1":
            pytest.fail(f"EDGEPACK_REQUIRE_DEVICES=1, and {sentence}", pytrace=False)
        pytest.skip(sentence)


def make_key(path: Path) -> Path:
    """A new key without a passphrase; the public half lies beside it."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True, timeout=60)
    return path


class Server:
    """sshd on a free port of the loopback interface, which lets this very user in.

    Args:
        folder: For keys, configuration and log; home of whoever logs in.
        environment: What programs on the "device" find set, such as another PATH.
    """

    def __init__(self, folder: Path, **environment: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.cache = Path(environment.setdefault("XDG_CACHE_HOME", str(folder / "cache")))
        environment.setdefault("HOME", str(folder))
        self.host_key, self.key = make_key(folder / "host_key"), make_key(folder / "user_key")
        (folder / "authorized_keys").write_text((folder / "user_key.pub").read_text())
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        settings = {
            "Port": self.port,
            "ListenAddress": "127.0.0.1",
            "HostKey": self.host_key,
            "AuthorizedKeysFile": folder / "authorized_keys",
            "PidFile": "none",
            "PasswordAuthentication": "no",
            "KbdInteractiveAuthentication": "no",
            "UsePAM": "no",
            "StrictModes": "no",
            "SetEnv": " ".join(f"{name}={value}" for name, value in environment.items()),
        }
        (folder / "sshd_config").write_text("".join(f"{name} {value}\n" for name, value in settings.items()))
        self.known_hosts = folder / "known_hosts"
        self.trust(folder / "host_key.pub")
        if os.getuid() == 0:
            Path("/run/sshd").mkdir(exist_ok=True)
        words = [SSHD, "-D", "-f", str(folder / "sshd_config"), "-E", str(folder / "sshd.log")]
        self._process = subprocess.Popen(["timeout", "-s", "KILL", "900", *words], stdin=subprocess.DEVNULL)
        for _ in range(100):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.05)
        raise AssertionError((folder / "sshd.log").read_text())

    @property
    def address(self) -> str:
        """As ``--on`` takes it."""
        return f"ssh://{getpass.getuser()}@127.0.0.1:{self.port}"

    def trust(self, public_key: Path) -> None:
        """Let this be the host key that the client knows."""
        kind, key = public_key.read_text().split()[:2]
        self.known_hosts.write_text(f"[127.0.0.1]:{self.port} {kind} {key}\n")

    def ssh(self, *, key: Path | None = None) -> list[str]:
        """Words that start ssh as a user with this key and these known hosts."""
        config = self.folder / f"config-{(key or self.key).name}"
        config.write_text(
            f"Host *\n IdentityFile {key or self.key}\n IdentitiesOnly yes\n"
            f" UserKnownHostsFile {self.known_hosts}\n GlobalKnownHostsFile /dev/null\n"
        )
        return ["ssh", "-F", str(config)]

    def environment(self, *, key: Path | None = None) -> dict[str, str]:
        """The environment for an edgepack that is to use `ssh`."""
        return {**os.environ, "EDGEPACK_SSH": shlex.join(self.ssh(key=key))}

    def cut(self) -> None:
        """Lose every connection at once; the server itself goes on."""
        (listener,) = children(self._process.pid)
        for session in children(listener):
            for pid in [*children(session), session]:
                if b"sshd" in Path(f"/proc/{pid}/cmdline").read_bytes():
                    os.kill(pid, signal.SIGKILL)

    def close(self) -> None:
        """Stop it."""
        self.cut()
        for pid in children(self._process.pid):
            os.kill(pid, signal.SIGTERM)
        self._process.kill()
        self._process.wait()


def children(pid: int) -> list[int]:
    """The processes that one has started."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(path.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        if parent == pid:
            found.append(int(path.parent.name))
    return found


def running(text: str) -> bool:
    """Whether any process has this text among its words."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if text.encode() in path.read_bytes().split(b"\0"):
                return True
        except OSError:
            continue
    return False
