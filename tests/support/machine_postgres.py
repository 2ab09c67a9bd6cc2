"""The PostgreSQL that the machine brings, started by the test in a folder of its own."""

import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from leadflood.engine.db.server_user import choose_server_user

from tests.support.db import open_folder


@contextmanager
def machine_postgres(version: int) -> Iterator[str | None]:
    """Run /usr/lib/postgresql/<version> on a free port of 127.0.0.1; None where it is missing."""
    binaries = Path(f"/usr/lib/postgresql/{version}/bin")
    if not (binaries / "postgres").exists():
        yield None
        return
    top = open_folder()
    folder = top / "postgres"
    user = choose_server_user(folder)
    as_user: dict[str, Any] = {"cwd": folder, **(user.popen_arguments() if user else {})}
    control = [str(binaries / "pg_ctl"), "-D", str(folder / "files"), "-l", str(folder / "log")]
    initdb = [str(binaries / "initdb"), "-D", str(folder / "files"), "-U", "leadflood", "-N"]
    port = _free_port()
    options = f"-h 127.0.0.1 -p {port} -k {folder} -c fsync=off"
    subprocess.run(  # noqa: S603 -- the machine's own binary
        [*initdb, "-E", "UTF8", "--locale=C", "--auth=trust"],
        check=True,
        stdout=subprocess.DEVNULL,
        **as_user,
    )
    subprocess.run(  # noqa: S603 -- the machine's own binary
        [*control, "-w", "-o", options, "start"], check=True, stdout=subprocess.DEVNULL, **as_user
    )
    try:
        yield f"postgresql://leadflood@127.0.0.1:{port}/postgres"
    finally:
        subprocess.run(  # noqa: S603 -- the machine's own binary
            [*control, "-m", "immediate", "stop"], check=True, stdout=subprocess.DEVNULL, **as_user
        )
        shutil.rmtree(top)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port
