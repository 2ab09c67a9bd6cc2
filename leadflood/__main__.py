"""`python -m leadflood` and the `leadflood` command."""

import os
import signal
import sys


def main() -> None:
    """Run the command. `serve` ends with 0 on a SIGTERM that comes before it listens for it."""
    if sys.argv[1:2] == ["serve"]:
        signal.signal(signal.SIGTERM, _end_before_start)
    from leadflood.cli import main as run_command  # noqa: PLC0415 - a second, once signals are heard

    run_command()


def _end_before_start(_number: int, _frame: object) -> None:
    """End at once: nothing is open yet, and an exception could be lost inside an import."""
    os.write(sys.stderr.fileno(), b"serve: stopped before it started\n")
    os._exit(0)


if __name__ == "__main__":
    main()
