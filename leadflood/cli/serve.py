"""`leadflood serve`: a node with its API, until a signal."""

import os
import signal
from pathlib import Path
from typing import Annotated

import anyio
import msgspec
import typer
from anyio.abc import TaskStatus

from leadflood.api.http.settings import warning_of
from leadflood.app import open_node, open_storage, serve_node
from leadflood.cli.claim import show_claim_link
from leadflood.cli.console import backend_options, print_message
from leadflood.cli.database_command import warn_of_unpriced
from leadflood.engine.obs import log as logs
from leadflood.engine.obs.log import log
from leadflood.settings import Settings, load_settings
from leadflood.wiring.storage import Storage


def serve(
    host: Annotated[str | None, typer.Option(help="Where to listen; else http.host.")] = None,
    port: Annotated[int | None, typer.Option(help="0 takes a free one; else http.port.")] = None,
    config: Annotated[Path | None, typer.Option(help="The settings file.")] = None,
) -> None:
    """Work and serve the API until SIGTERM or Ctrl-C; a second signal stops at once."""
    settings = _with_address(load_settings(config), host, port)
    logs.configure(settings.log)
    if warning := warning_of(settings.http):
        log.warning("http.binding.open", host=settings.http.host)
        print_message(f"serve: {warning}")
    anyio.run(_serve, settings, backend_options=backend_options())


def _with_address(settings: Settings, host: str | None, port: int | None) -> Settings:
    http = msgspec.structs.replace(
        settings.http,
        host=settings.http.host if host is None else host,
        port=settings.http.port if port is None else port,
    )
    return msgspec.structs.replace(settings, http=http)


async def _serve(settings: Settings) -> None:
    async with anyio.create_task_group() as group:
        with anyio.CancelScope() as scope:
            await group.start(_stop_on_signal, scope)
            async with open_storage(settings, report=print_message) as storage:
                await _run_node(storage)
        group.cancel_scope.cancel()
    print_message("serve: stopped")


async def _run_node(storage: Storage) -> None:
    """Stop accepting first, then let the engine finish, then close what it stands on."""
    async with open_node(storage) as node:

        async def announce(address: str) -> None:
            print_message(f"serve: ready, listening on {address} (docs: {address}/docs)")
            log.info("http.server.started", address=address)
            warn_of_unpriced(storage.settings)
            await show_claim_link(storage, address)

        await serve_node(node, announce)


async def _stop_on_signal(
    scope: anyio.CancelScope, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED
) -> None:
    """Stop in order on the first signal, at once on the second."""
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        task_status.started()
        async for number in signals:
            if scope.cancel_called:
                print_message("serve: stopping at once")
                os._exit(128 + number)
            print_message("serve: stopping: finishing the jobs in flight (again: at once)")
            log.info("http.server.stopping", signal=int(number))
            scope.cancel()
