"""The effective settings over HTTP: what is set, by whom, and where it came from."""

from leadflood.api.http.routing import get
from leadflood.api.services import Services
from leadflood.engine.control.schemas import SettingView


@get("/v1/admin/settings", permission="admin:read")
async def list_settings(services: Services) -> list[SettingView]:
    """List every effective setting, secrets masked, with where it came from."""
    return services.control.settings.list_all()
