"""Who asks a service of Swarm without a pause, from inside its network, and looks at every answer?

It runs in a container that has Python and nothing else: standard library only. Each new connection goes to one of the
addresses that the engine's own name service has for the service's tasks at that moment. Once a second a line tells how
many answers came from each version, and what failed.
"""

import http.client
import json
import os
import random
import socket
import sys
import threading
import time

CLIENTS = 4
PORT = 8000


class Clients:
    """Threads that ask; every second one keeps its connection for as long as the server does."""

    def __init__(self, service: str, path: str, body: str, token: str, expected: list[list[float]]) -> None:
        self.service, self.path, self.body, self.expected = service, path, body, expected
        self.headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}
        self.lock = threading.Lock()
        self.answers = [0] * len(expected)
        self.failures: list[str] = []

    def start(self) -> None:
        """Ask until the process ends."""
        for number in range(CLIENTS):
            threading.Thread(target=self.run, args=(number % 2 == 0,), daemon=True).start()

    def run(self, keep: bool) -> None:
        """One client."""
        connection = None
        while True:
            try:
                connection = connection or self.connect()
                version = self.ask(connection)
            except Exception as error:
                with self.lock:
                    self.failures.append(f"{type(error).__name__}: {error}")
                if connection:
                    connection.close()
                connection = None
                time.sleep(0.1)
                continue
            with self.lock:
                self.answers[version] += 1
            if not keep or connection.sock is None:
                connection.close()
                connection = None

    def connect(self) -> http.client.HTTPConnection:
        """A connection to one of the tasks that the engine sends clients to."""
        found = socket.getaddrinfo(f"tasks.{self.service}", PORT, socket.AF_INET, socket.SOCK_STREAM)
        return http.client.HTTPConnection(str(random.choice(found)[4][0]), PORT, timeout=20)

    def ask(self, connection: http.client.HTTPConnection) -> int:
        """Which version answered."""
        connection.request("POST", self.path, self.body, self.headers)
        response = connection.getresponse()
        content = response.read()
        if response.status != 200:
            raise ValueError(f"{response.status} {content[:200]!r}")
        output = json.loads(content)["outputs"][0]["data"]
        (version,) = (number for number, known in enumerate(self.expected) if same(output, known))
        return version


def same(output: list[float], known: list[float]) -> bool:
    """Equal but for rounding."""
    return len(output) == len(known) and all(abs(a - b) < 1e-4 for a, b in zip(output, known, strict=True))


if __name__ == "__main__":
    clients = Clients(**json.loads(os.environ["ASKING"]))
    clients.start()
    while True:
        time.sleep(1)
        with clients.lock:
            sys.stdout.write(json.dumps({"answers": clients.answers, "failures": clients.failures[:20]}) + "\n")
        sys.stdout.flush()
