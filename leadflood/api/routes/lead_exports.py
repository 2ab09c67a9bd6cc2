"""Leads as a file over HTTP: all that fit a filter, at one moment, however many."""

from types import MappingProxyType
from typing import Annotated

import msgspec

from leadflood.api.http.request_context import Caller
from leadflood.api.http.responses import Streamed
from leadflood.api.http.routing import get
from leadflood.api.routes.lead_list import LeadFilterQuery
from leadflood.api.services import Services
from leadflood.domain.lead_views.schemas import ExportFormat
from leadflood.domain.lead_views.service.exports import read_options
from leadflood.engine.errors import Invalid, Throttled

_MEDIA_TYPES = MappingProxyType(
    {
        ExportFormat.CSV: "text/csv; charset=utf-8",
        ExportFormat.XLSX: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        ExportFormat.JSON: "application/json",
        ExportFormat.NDJSON: "application/x-ndjson",
    }
)


class LeadExportQuery(
    LeadFilterQuery, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"
):
    """Which leads, as what.

    `fields`: the columns, with commas between (`all`: every one); empty: those of a list. `bom`: a
    CSV begins with U+FEFF, by which Excel knows UTF-8.
    """

    format: ExportFormat = ExportFormat.CSV
    fields: Annotated[str, msgspec.Meta(max_length=2_000)] = ""
    bom: bool = False

    def record(self) -> dict[str, object]:
        """Return the filter as it is recorded: what was asked for, by its names in JSON."""
        return {
            name: value
            for name, value in msgspec.to_builtins(self).items()
            if value is not None and name not in {"format", "fields", "bom"}
        }


@get(
    "/v1/leads/export",
    permission="leads:export",
    rate="heavy",
    errors=(Invalid, Throttled),
    content_type=", ".join(kind.partition(";")[0] for kind in _MEDIA_TYPES.values()),
)
async def export_leads(query: LeadExportQuery, caller: Caller, services: Services) -> Streamed:
    """Export the leads that fit as CSV, XLSX, JSON or JSON lines, oldest first.

    What a spreadsheet could run as a formula in a CSV, or begins with an apostrophe, has an
    apostrophe before it, also behind a separator within a cell. An import of the file takes it off.
    """
    services.runs.require_room()
    options = read_options(query.format, query.fields, has_bom=query.bom)
    pieces = services.exports.export(
        query.filter_for(caller), options, caller.actor, query.record()
    )
    day = services.clock.now().date().isoformat()
    return Streamed(
        pieces=pieces,
        content_type=_MEDIA_TYPES[query.format],
        file_name=f"leads-{day}.{query.format.value}",
    )
