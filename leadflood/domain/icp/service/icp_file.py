"""ICP files: TOML like `config/icp.example.toml`, read from disk and checked."""

from pathlib import Path

from leadflood.domain.icp.rules.toml_document import invalid_file, parse_icp
from leadflood.domain.icp.schemas import IcpInput
from leadflood.engine.errors import Invalid

MAX_FILE_BYTES = 1_000_000


def read_icp_file(path: Path) -> IcpInput:
    """Read and check the ICP in a file.

    Raises: Invalid naming the file, the fields and what to write instead.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise invalid_file(
            f"cannot read the ICP file {path} ({error.strerror or error}): give the path of a TOML"
            " file like config/icp.example.toml"
        ) from error
    if len(raw) > MAX_FILE_BYTES:
        raise invalid_file(f"the ICP file {path} is larger than {MAX_FILE_BYTES} bytes: shorten it")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise invalid_file(
            f"the ICP file {path} is not UTF-8 (byte {error.start}): save it as UTF-8"
        ) from error
    try:
        return parse_icp(text)
    except Invalid as error:
        raise Invalid(f"{path}: {error.detail}", error.fields, code=error.error_code) from error
