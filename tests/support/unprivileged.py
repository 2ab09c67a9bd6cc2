"""Start a process as an ordinary user when the tests run as root."""

import os
import shutil

NOBODY = 65534


def unprivileged() -> list[str] | None:
    """Return the prefix that runs a command as nobody; None where that cannot be done.

    It may read what root may (the interpreter often lives in root's home), but write nothing.
    """
    setpriv = shutil.which("setpriv")
    if os.geteuid() != 0 or setpriv is None:
        return None
    capability = "+dac_read_search"
    return [
        *(setpriv, f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"),
        *(f"--inh-caps={capability}", f"--ambient-caps={capability}", "--"),
    ]
