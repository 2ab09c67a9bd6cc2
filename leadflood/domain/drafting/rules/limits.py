"""Limits of a text, whoever writes it: lengths, signs, links, braces, markup.

Source of the WhatsApp limits: Meta's template parameter rules (no line breaks, no tabs, at most
four spaces in a row, 1,024 characters), read 2026-11.
"""

import re
import unicodedata
from collections.abc import Iterator

from leadflood.contracts.ports.text import Draft, DraftRequest
from leadflood.contracts.values import Channel
from leadflood.domain.drafting.rules.vocabulary import FORBIDDEN_PHRASES
from leadflood.domain.drafting.schemas import DraftProblem
from leadflood.engine.text import has_line_break, hidden_signs, is_one_line

MAX_PARAMETER = 1024
MAX_CLAIMS = 30
_ENDLESS_TIMES = 4
_PUNCTUATION = frozenset(
    " \n.,:;!?'\"\u2019\u2018\u201c\u201d\u201e«»()-\u2010\u2013\u2014/&%+#…€$£"
)
_BRACES = re.compile(r"\{\{|\}\}|\{%|%\}|\{#|\[\[|\]\]|\[[^\]\n]{1,40}\]|<%|\$\{|%\w+%")
_MARKUP = re.compile(r"<\s*[/!?a-zA-Z]|&#?\w{1,10};|\]\(|```|\*\*")
_LINK = re.compile(
    r"[a-z][a-z0-9+.-]{1,15}://\S+|\bwww\.\S+|\b(?:mailto|tel|javascript|data):\S+", re.IGNORECASE
)
_HOST = re.compile(r"(?<![\w@.-])(?:[^\W_][\w-]*\.)+[^\W\d_]{2,24}(?:[/?#:]\S*)?(?![\w-])")
_EMAIL = re.compile(r"[^\s@]+\s?@\s?[^\s@]+|\S+\s*[\[(]\s*at\s*[\])]\s*\S+", re.IGNORECASE)
_PHONE = re.compile(r"\+?\d(?:[\s().\-\u2013/]*\d){6,}")
_ABBREVIATIONS = frozenset({"e.g", "i.e", "a.m", "p.m", "u.s", "u.k"})
_SPACES = re.compile(r" {5,}")
_WIDE_SPACE = re.compile(r"\s+")
_FAKE_THREAD = re.compile(r"\s*(?:re|fwd?|aw|sv)\s*:")
_PHRASES = re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, FORBIDDEN_PHRASES))})")


def check_limits(
    request: DraftRequest, draft: Draft, allowed_links: tuple[str, ...] = ()
) -> tuple[DraftProblem, ...]:
    """List what breaks a limit; empty means nothing."""
    problems = list(_check_lengths(request, draft))
    if is_endless(request, draft):
        return tuple(problems) or (DraftProblem("text.endless", "far longer than asked for"),)
    allowed = _allowed_text(request, allowed_links)
    for part in visible_parts(request, draft):
        problems.extend(_check_hidden(part))
        problems.extend(_check_signs(part, allowed))
        problems.extend(_check_links(part, allowed))
        problems.extend(_check_phrases(part))
    return tuple(problems)


def is_endless(request: DraftRequest, draft: Draft) -> bool:
    """Whether a draft is so long that reading it closely is not worth the time."""
    limit = _ENDLESS_TIMES * max(request.max_body, MAX_PARAMETER)
    texts = (draft.subject, draft.body, *draft.parameters)
    return sum(map(len, texts)) > limit or any(
        len(claim.text) > limit for claim in draft.claims[: MAX_CLAIMS + 1]
    )


def visible_parts(request: DraftRequest, draft: Draft) -> tuple[str, ...]:
    """Return what the reader will see, part by part."""
    if request.channel is Channel.WHATSAPP:
        return draft.parameters
    return (draft.subject, draft.body)


def _allowed_text(request: DraftRequest, allowed_links: tuple[str, ...]) -> str:
    """Return what may be repeated letter by letter: facts, offer, sender, our own links."""
    facts = (fact.text for fact in request.facts)
    return "\n".join((*facts, request.offer, request.sender_name, *allowed_links))


def _check_lengths(request: DraftRequest, draft: Draft) -> Iterator[DraftProblem]:
    if len(draft.claims) > MAX_CLAIMS:
        yield DraftProblem("claims.too_many", str(len(draft.claims)))
    if request.channel is Channel.WHATSAPP:
        yield from _check_parameters(request, draft)
    else:
        yield from _check_letter(request, draft)


def _check_letter(request: DraftRequest, draft: Draft) -> Iterator[DraftProblem]:
    if not draft.subject.strip():
        yield DraftProblem("subject.empty", "write a subject")
    if not draft.body.strip():
        yield DraftProblem("body.empty", "write a body")
    if len(draft.subject) > request.max_subject:
        yield DraftProblem("subject.too_long", f"{len(draft.subject)} of {request.max_subject}")
    if len(draft.body) > request.max_body:
        yield DraftProblem("body.too_long", f"{len(draft.body)} of {request.max_body}")
    if has_line_break(draft.subject):
        yield DraftProblem("subject.line_break", "write the subject on one line")
    elif not is_one_line(draft.subject):
        yield DraftProblem("subject.hidden", f"leave out {_name_hidden(draft.subject)}")
    if draft.parameters:
        yield DraftProblem("parameters.unwanted", "parameters belong to WhatsApp templates")


def _check_parameters(request: DraftRequest, draft: Draft) -> Iterator[DraftProblem]:
    if len(draft.parameters) != len(request.placeholders):
        expected = len(request.placeholders)
        yield DraftProblem("parameters.count", f"{len(draft.parameters)} of {expected}")
    for name, parameter in zip(request.placeholders, draft.parameters, strict=False):
        if not parameter.strip():
            yield DraftProblem("parameter.empty", name)
        if len(parameter) > MAX_PARAMETER:
            yield DraftProblem("parameter.too_long", name)
        if has_line_break(parameter):
            yield DraftProblem("parameter.line_break", name)
        elif not is_one_line(parameter):
            yield DraftProblem("parameter.hidden", f"{name}: {_name_hidden(parameter)}")
        if _SPACES.search(parameter):
            yield DraftProblem("parameter.spaces", name)


def _name_hidden(part: str) -> str:
    signs = hidden_signs(part)[:8]
    if signs:
        return f"the hidden sign {' '.join(signs)}"
    return "what readers of mail decode to another text: =?charset?q?…?="


def _check_hidden(part: str) -> Iterator[DraftProblem]:
    """Yield what a reader would not see: it may turn the text around, or hide a link in it."""
    if signs := hidden_signs(part):
        yield DraftProblem("text.hidden", " ".join(signs[:8]))


def _check_signs(part: str, allowed: str) -> Iterator[DraftProblem]:
    odd = {
        sign
        for sign in set(part) - _PUNCTUATION
        if not (unicodedata.category(sign)[0] in "LMN" or (sign.isprintable() and sign in allowed))
    }
    if odd:
        yield DraftProblem("text.sign", " ".join(f"U+{ord(sign):04X}" for sign in sorted(odd)[:8]))
    if match := _BRACES.search(part):
        yield DraftProblem("text.placeholder", match.group()[:40])
    if match := _MARKUP.search(part):
        yield DraftProblem("text.markup", match.group()[:40])


def _check_links(part: str, allowed: str) -> Iterator[DraftProblem]:
    folded = allowed.casefold()
    for code, pattern in (
        ("text.link", _LINK),
        ("text.email", _EMAIL),
        ("text.phone", _PHONE),
        ("text.link", _HOST),
    ):
        for match in pattern.finditer(part):
            link = match.group().rstrip(".,;:!?)").casefold()
            if link not in _ABBREVIATIONS and not _is_allowed(link, folded):
                yield DraftProblem(code, link[:80])


def _is_allowed(link: str, allowed: str) -> bool:
    """Whether the very link, not a longer one, stands in what may be repeated."""
    pattern = rf"(?<![\w@./-]){re.escape(link)}(?![\w@/-]|\.\w)"
    return re.search(pattern, allowed) is not None


def _check_phrases(part: str) -> Iterator[DraftProblem]:
    plain = _WIDE_SPACE.sub(" ", part.casefold())
    for match in _PHRASES.finditer(plain):
        yield DraftProblem("text.phrase", match.group())
    if _FAKE_THREAD.match(plain):
        yield DraftProblem("subject.fake_thread", "a first message answers nothing")
