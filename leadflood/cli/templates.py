"""`leadflood templates`: the templates that drafts are written from."""

from pathlib import Path
from typing import Annotated
from uuid import UUID

import msgspec
import typer

from leadflood.cli.console import USAGE_ERROR, print_data, print_json, print_table
from leadflood.cli.database_command import AsJson, terminal_user, with_storage
from leadflood.cli.sending import messaging_of
from leadflood.domain.messaging.schemas import TemplateInput, TemplatePreview, TemplateView
from leadflood.engine.errors import FieldProblem, Invalid, NotFound

app = typer.Typer(no_args_is_help=True, help="Templates of drafts: list, show, set, preview.")
File = Annotated[Path, typer.Argument(metavar="FILE", help="A template as TOML.", dir_okay=False)]


@app.command("list")
def list_templates(*, as_json: AsJson = False) -> None:
    """List the newest version of each template, and the built-in ones in use."""
    templates = with_storage(lambda storage: messaging_of(storage).list_templates())
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
    """Show a version of a template by its id, or the newest ones of a name."""
    template_id = _id_of(text)
    if template_id is None:
        all_templates = with_storage(lambda storage: messaging_of(storage).list_templates())
        templates = list(filter(lambda template: template.name == text, all_templates))
        if not templates:
            raise NotFound(f"there is no template {text!r}", code="template.not_found")
    else:
        detail = with_storage(lambda storage: messaging_of(storage).get_template(template_id))
        templates = [detail.template]
    if as_json:
        print_json(templates)
        return
    for template in templates:
        _print_template(template)


@app.command("set")
def set_template(file: File, *, as_json: AsJson = False) -> None:
    """Record a template, or a new version of it: new drafts are written from it."""
    template_input = read_template(file)
    template = with_storage(
        lambda storage: messaging_of(storage).add_template(template_input, terminal_user())
    )
    if as_json:
        print_json(template)
        return
    print_data(
        f"{template.name} for {template.channel} is at version {template.version} ({template.id})"
    )


@app.command()
def preview(
    file: File,
    lead: Annotated[
        UUID | None, typer.Option(help="For this lead; default: an invented one.")
    ] = None,
    offer: Annotated[str, typer.Option(help="The offer; default: an invented one.")] = "",
    *,
    as_json: AsJson = False,
) -> None:
    """Fill a template for a lead or an invented person, and check it as drafts are checked."""
    template_input = read_template(file)
    template_preview = with_storage(
        lambda storage: messaging_of(storage).preview_template(
            template_input, lead_id=lead, offer=offer
        )
    )
    if as_json:
        print_json(template_preview)
        return
    _print_preview(template_preview)


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


def _print_preview(template_preview: TemplatePreview) -> None:
    if template_preview.body:
        print_data(f"subject: {template_preview.subject}\n\n{template_preview.body}\n")
    for number, parameter in enumerate(template_preview.parameters, 1):
        print_data(f"parameter {number}: {parameter}")
    for problem in template_preview.problems:
        print_data(f"problem: {problem.code}: {problem.detail}")
    if template_preview.reason:
        print_data(f"would not be sent: {template_preview.reason}")
