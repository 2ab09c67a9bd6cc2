"""`leadflood templates`: list, show, set and preview the templates of drafts."""

from pathlib import Path
from typing import Annotated
from uuid import UUID

import msgspec
import typer

from leadflood.cli import command_audit
from leadflood.cli.console import USAGE_ERROR, print_data, print_json, print_table
from leadflood.cli.database_command import AsJson, terminal_user, with_storage
from leadflood.domain.drafting.schemas import TemplateInput, TemplatePreview, TemplateView
from leadflood.engine.errors import FieldProblem, Invalid, NotFound
from leadflood.wiring.storage import Storage

app = typer.Typer(no_args_is_help=True, help="Templates of drafts: list, show, set, preview.")
File = Annotated[Path, typer.Argument(metavar="FILE", help="A template as TOML.", dir_okay=False)]


@app.command("list")
def list_templates(*, as_json: AsJson = False) -> None:
    """List the newest version of each template, and the built-in ones in use."""
    templates = with_storage(lambda storage: storage.messaging().templates.list())
    if as_json:
        print_json(templates)
        return
    print_table(
        ("id", "name", "channel", "language", "version", "used", "subject"),
        [
            (
                template.id or "built in",
                template.name,
                template.channel,
                template.language,
                template.version,
                "yes" if template.is_used else "",
                template.subject or template.whatsapp_template_id,
            )
            for template in templates
        ],
    )


@app.command()
def show(
    name_or_id: Annotated[str, typer.Argument(metavar="NAME|ID")], *, as_json: AsJson = False
) -> None:
    """Show a version of a template by its id, or the newest versions of a name."""
    templates = with_storage(lambda storage: _find_templates(storage, name_or_id))
    if as_json:
        print_json(templates)
        return
    for template in templates:
        _print_template(template)


@app.command("set")
def set_template(file: File, *, as_json: AsJson = False) -> None:
    """Add a template, or a new version of it; new drafts use it."""
    template_input = read_template(file)
    template = with_storage(lambda storage: _add(storage, template_input))
    if as_json:
        print_json(template)
        return
    print_data(
        f"{template.name} for {template.channel} is at version {template.version} ({template.id})"
    )


@app.command("preview")
def preview_template(
    file: File,
    lead: Annotated[
        UUID | None, typer.Option(help="Fill it in for this lead; default: a sample.")
    ] = None,
    offer: Annotated[str, typer.Option(help="The offer; default: a sample.")] = "",
    *,
    as_json: AsJson = False,
) -> None:
    """Fill in a template for a lead or a sample, and check it as drafts are checked."""
    template = read_template(file)
    preview = with_storage(
        lambda storage: storage.messaging().templates.preview(template, lead_id=lead, offer=offer)
    )
    if as_json:
        print_json(preview)
        return
    _print_preview(preview)


def read_template(file: Path) -> TemplateInput:
    """Read a template from a TOML file. Raises: Invalid, NotFound."""
    try:
        return msgspec.toml.decode(file.read_bytes(), type=TemplateInput)
    except FileNotFoundError as error:
        raise NotFound(f"there is no file {file}", code=USAGE_ERROR) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        problem = FieldProblem(str(file), str(error))
        raise Invalid(f"{file}: {error}", (problem,), code=USAGE_ERROR) from error


async def _find_templates(storage: Storage, name_or_id: str) -> list[TemplateView]:
    service = storage.messaging().templates
    template_id = _parse_id(name_or_id)
    if template_id is not None:
        return [(await service.get(template_id)).template]
    templates = [template for template in await service.list() if template.name == name_or_id]
    if not templates:
        raise NotFound(f"there is no template {name_or_id!r}", code="template.not_found")
    return templates


async def _add(storage: Storage, template: TemplateInput) -> TemplateView:
    async with storage.db.transaction() as tx:
        view = await storage.messaging().templates.add(tx, template, terminal_user())
        await command_audit.record(
            storage,
            tx,
            "template.changed",
            str(view.id),
            name=view.name,
            channel=view.channel,
            language=view.language,
            version=view.version,
        )
    return view


def _parse_id(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _print_template(template: TemplateView) -> None:
    head = f"{template.name} · {template.channel} · {template.language}"
    print_data(f"{head} · version {template.version} · {template.id or 'built in'}")
    if template.whatsapp_template_id:
        print_data(f"provider template: {template.whatsapp_template_id}")
    for placeholder, parameter in zip(template.placeholders, template.parameters, strict=True):
        print_data(f"{placeholder}: {parameter}")
    if template.body:
        print_data(f"subject: {template.subject}\n\n{template.body}")


def _print_preview(preview: TemplatePreview) -> None:
    if preview.body:
        print_data(f"subject: {preview.subject}\n\n{preview.body}\n")
    for number, parameter in enumerate(preview.parameters, 1):
        print_data(f"parameter {number}: {parameter}")
    for problem in preview.problems:
        print_data(f"problem: {problem.code}: {problem.detail}")
    if preview.reason:
        print_data(f"would not be sent: {preview.reason}")
