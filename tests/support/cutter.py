"""A proxy before Postgres that loses the reply to a COMMIT: it is done, but nobody is told."""

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import parse_qs, urlsplit

COMMIT = b"Q" + struct.pack("!I", 4 + len(b"COMMIT;\x00")) + b"COMMIT;\x00"
CHUNK_BYTES = 1 << 16


class Cutter:
    """Cuts every `every`-th connection that commits, as soon as the server has answered."""

    def __init__(self, server_socket: str, every: int) -> None:
        self._server_socket = server_socket
        self._every = every
        self._lock = threading.Lock()
        self.commits = 0
        self.cuts = 0

    def serve(self, listener: socket.socket) -> None:
        """Take connections until the listener is closed."""
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                server = socket.socket(socket.AF_UNIX)
                server.connect(self._server_socket)
                is_lost = threading.Event()
                for carry in (self._carry_questions, self._carry_answers):
                    threading.Thread(
                        target=carry, args=(client, server, is_lost), daemon=True
                    ).start()

    def _carry_questions(
        self, client: socket.socket, server: socket.socket, is_lost: threading.Event
    ) -> None:
        with suppress(OSError):
            while chunk := client.recv(CHUNK_BYTES):
                if COMMIT in chunk and self._is_turn():
                    is_lost.set()
                server.sendall(chunk)
        hang_up(server)

    def _carry_answers(
        self, client: socket.socket, server: socket.socket, is_lost: threading.Event
    ) -> None:
        with suppress(OSError):
            while chunk := server.recv(CHUNK_BYTES):
                if is_lost.is_set():  # the answer to COMMIT stays here
                    break
                client.sendall(chunk)
        hang_up(client)
        hang_up(server)

    def _is_turn(self) -> bool:
        with self._lock:
            self.commits += 1
            is_turn = self.commits % self._every == 0
            self.cuts += is_turn
            return is_turn


def hang_up(end: socket.socket) -> None:
    """End both directions, whoever still waits on it, and close."""
    with suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()


@contextmanager
def cutting_proxy(database_url: str, every: int) -> Iterator[tuple[str, Cutter]]:
    """Stand between a worker and the server behind a socket; tell the URL that leads through."""
    parts = urlsplit(database_url)
    params = parse_qs(parts.query)
    cutter = Cutter(f"{params['host'][0]}/.s.PGSQL.{params['port'][0]}", every)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=cutter.serve, args=(listener,), daemon=True).start()
        user, port = parts.netloc.removesuffix("@"), listener.getsockname()[1]
        try:
            yield f"postgresql://{user}@127.0.0.1:{port}{parts.path}?sslmode=disable", cutter
        finally:
            hang_up(listener)
