"""`leadflood templates`: the texts that drafts are written from."""

from pathlib import Path
from typing import Annotated
from uuid import UUID

import msgspec
import typer

from leadflood.app import Storage
from leadflood.cli.console import USAGE_ERROR, print_data, print_json, print_table
from leadflood.cli.database_command import AsJson, terminal_user, with_storage
from leadflood.cli.sending import messaging_of
from leadflood.domain.drafting.schemas import TemplateInput, TemplatePreview, TemplateView
from leadflood.engine.errors import FieldProblem, Invalid, NotFound

app = typer.Typer(no_args_is_help=True, help="The texts of drafts: list, show, set, preview.")
File = Annotated[Path, typer.Argument(metavar="FILE", help="A template as TOML.", dir_okay=False)]


@app.command("list")
def list_templates(*, as_json: AsJson = False) -> None:
    """List the newest version of each text, and the built-in ones in use."""
    templates = with_storage(lambda storage: messaging_of(storage).templates.list())
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
    text: Annotated[str, typer.Argument(metavar="NAME|ID")], *, as_json: AsJson = False
) -> None:
    """Show a version of a text by its id, or the newest ones of a name."""
    template_id = _id_of(text)
    if template_id is None:
        listed = with_storage(lambda storage: messaging_of(storage).templates.list())
        templates = [template for template in listed if template.name == text]
        if not templates:
            raise NotFound(f"there is no template {text!r}", code="template.not_found")
    else:
        detail = with_storage(lambda storage: messaging_of(storage).templates.get(template_id))
        templates = [detail.template]
    if as_json:
        print_json(templates)
        return
    for template in templates:
        _print_template(template)


@app.command("set")
def set_template(file: File, *, as_json: AsJson = False) -> None:
    """Write a text, or a new version of it: drafts are written from it from now on."""
    template_input = read_template(file)

    async def work(storage: Storage) -> TemplateView:
        async with storage.db.transaction() as tx:
            return await messaging_of(storage).templates.add(tx, template_input, terminal_user())

    template = with_storage(work)
    if as_json:
        print_json(template)
        return
    print_data(
        f"{template.name} for {template.channel} is at version {template.version} ({template.id})"
    )


@app.command()
def preview(
    file: File,
    lead: Annotated[UUID | None, typer.Option(help="For this lead; left out: made up.")] = None,
    offer: Annotated[str, typer.Option(help="The offer; left out: made up.")] = "",
    *,
    as_json: AsJson = False,
) -> None:
    """Fill a text for a lead or for somebody made up, and check it as drafts are checked."""
    template = read_template(file)
    filled = with_storage(
        lambda storage: messaging_of(storage).templates.preview(template, lead_id=lead, offer=offer)
    )
    if as_json:
        print_json(filled)
        return
    _print_preview(filled)


def read_template(file: Path) -> TemplateInput:
    """Read a template from a TOML file. Raises: Invalid, NotFound."""
    try:
        return msgspec.toml.decode(file.read_bytes(), type=TemplateInput)
    except FileNotFoundError as error:
        raise NotFound(f"there is no file {file}", code=USAGE_ERROR) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        problem = FieldProblem(str(file), str(error))
        raise Invalid(f"{file}: {error}", (problem,), code=USAGE_ERROR) from error


def _id_of(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _print_template(template: TemplateView) -> None:
    head = f"{template.name} · {template.channel} · {template.language}"
    print_data(f"{head} · version {template.version} · {template.id or 'built in'}")
    if template.whatsapp_template_id:
        print_data(f"template of the provider: {template.whatsapp_template_id}")
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
        print_data(f"would not go: {preview.reason}")
