"""The pretend language model: an OpenAI-compatible chat endpoint that writes from facts only.

Source: `outbound/openai.md` and its samples (chat.completions, strict JSON schema). The user
message is JSON with `facts` (number, field, text), `offer`, `sender_name`, `channel` and
`placeholders`; whatever else a schema asks for is filled with empty values.
"""

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

import msgspec

from leadflood.sandbox.prices import Prices
from leadflood.sandbox.provider_protocol import (
    Operation,
    ProviderRequest,
    ProviderResponse,
    RequestRefusal,
    json_response,
    read_json_object,
    text_of,
)
from leadflood.sandbox.quota import WindowUsage, whole_seconds

_CHAT: Final = Operation("chat.completions", "openai.chat")
_MODELS: Final = Operation("models.list", "openai.chat")
_OPERATIONS: Final = {("POST", "chat/completions"): _CHAT, ("GET", "models"): _MODELS}
_LETTERS_PER_TOKEN: Final = 4
_MILLION: Final = 1_000_000
_EMPTY: Final = {"string": "", "integer": 0, "number": 0, "boolean": False, "array": []}
_SENTENCES: Final = {
    "title": "I see that you work as {text}.",
    "company_industry": "Your company works in {text}.",
    "company_size": "About {text} people work there.",
    "company_technologies": "Your team uses {text}.",
    "company_country": "You are based in {text}.",
    "city": "You are based in {text}.",
    "company_founded": "It has been around since {text}.",
}
_MOST_SENTENCES: Final = 3


class _Fact(msgspec.Struct):
    number: int
    field: str
    text: str


class _Task(msgspec.Struct):
    """The user message; what is absent asks for nothing."""

    facts: list[_Fact] = []
    offer: str = ""
    sender_name: str = ""
    channel: str = "email"
    placeholders: list[str] = []
    max_subject: int = 120
    max_body: int = 1200


class OpenAI:
    """One account at the pretend model."""

    name = "openai"

    def __init__(self, key: str, prices: Prices) -> None:
        self._key = key
        self._prices = prices

    def find_operation(self, method: str, path: str) -> Operation | None:
        """Return the operation of a path; None for a path that does not exist."""
        return _OPERATIONS.get((method, path.removeprefix("v1/")))

    def accepts_key(self, headers: Mapping[str, str], query: Mapping[str, Sequence[str]]) -> bool:
        """Whether the bearer key is right."""
        del query
        return headers.get("authorization") == f"Bearer {self._key}"

    def refuse(
        self, refusal: RequestRefusal, operation: Operation | None, usage: WindowUsage | None
    ) -> ProviderResponse:
        """Return OpenAI's refusal."""
        del operation
        match refusal:
            case RequestRefusal.UNAUTHORIZED:
                text = "Incorrect API key provided."
                return _error(401, text, "invalid_request_error", "invalid_api_key")
            case RequestRefusal.THROTTLED:
                text = "Rate limit reached for requests."
                response = _error(429, text, "requests", "rate_limit_exceeded")
                headers = {"retry-after": str(whole_seconds(usage))} if usage else {}
                return msgspec.structs.replace(response, headers=headers)
            case RequestRefusal.OUT_OF_CREDITS:
                text = "You exceeded your current quota, please check your plan and billing."
                return _error(429, text, "insufficient_quota", "insufficient_quota")
            case RequestRefusal.SERVER_ERROR:
                text = "The server had an error while processing your request."
                return _error(500, text, "server_error", None)
            case RequestRefusal.NOT_FOUND:
                return _error(404, "Invalid URL", "invalid_request_error", None)

    def rate_headers(self, usages: Sequence[WindowUsage], now: float) -> dict[str, str]:
        """Return the requests left."""
        del now
        if not usages:
            return {}
        usage = usages[0]
        return {
            "x-ratelimit-limit-requests": str(usage.limit.calls),
            "x-ratelimit-remaining-requests": str(usage.left),
            "x-ratelimit-reset-requests": f"{int(usage.resets_in_seconds * 1000)}ms",
        }

    def respond(self, request: ProviderRequest) -> ProviderResponse:
        """Return the response to one request."""
        if request.operation is _MODELS:
            return json_response(
                {"object": "list", "data": [{"id": "gpt-4o-mini", "object": "model"}]}
            )
        chat_request = read_json_object(request.body) or {}
        messages = chat_request.get("messages")
        if not isinstance(messages, list) or not messages or not chat_request.get("model"):
            text = "Missing required parameter: 'messages' and 'model'."
            return _error(400, text, "invalid_request_error", None)
        schema = _read_schema(chat_request)
        text = msgspec.json.encode(_compose(_read_task(messages), schema)).decode()
        return self._charge(request, chat_request, text)

    def _charge(
        self, request: ProviderRequest, chat_request: Mapping[str, Any], text: str
    ) -> ProviderResponse:
        prompt, completion = _tokens(request.body.decode(errors="replace")), _tokens(text)
        most = (
            chat_request.get("max_completion_tokens")
            or chat_request.get("max_tokens")
            or completion
        )
        is_cut = int(most) < completion
        if is_cut:
            completion = int(most)
            text = text[: completion * _LETTERS_PER_TOKEN]
        prices = self._prices
        price = prompt * prices.openai_prompt + completion * prices.openai_completion
        body = _completion(request, str(chat_request["model"]), text, is_cut=is_cut)
        body["usage"] = _usage(prompt, completion)
        return msgspec.structs.replace(
            json_response(body),
            headers={"x-request-id": f"req_{request.number:012d}"},
            credits=Decimal(prompt + completion),
            amount_micros=-(-price // _MILLION),
        )


def _error(status: int, message: str, error_type: str, code: str | None) -> ProviderResponse:
    error = {"message": message, "type": error_type, "param": None, "code": code}
    return json_response({"error": error}, status)


def _tokens(text: str) -> int:
    return -(-len(text) // _LETTERS_PER_TOKEN)


def _completion(request: ProviderRequest, model: str, text: str, *, is_cut: bool) -> dict[str, Any]:
    message: dict[str, Any] = {
        "role": "assistant",
        "content": text,
        "refusal": None,
        "annotations": [],
    }
    return {
        "id": f"chatcmpl-{request.number:024d}",
        "object": "chat.completion",
        "created": int(request.now),
        "model": model,
        "choices": [
            {
                "index": 0,
                "message": message,
                "logprobs": None,
                "finish_reason": "length" if is_cut else "stop",
            }
        ],
        "service_tier": "default",
        "system_fingerprint": "fp_sandbox",
    }


def _usage(prompt: int, completion: int) -> dict[str, Any]:
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": 0,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def _read_schema(chat_request: Mapping[str, Any]) -> dict[str, Any]:
    """Return the properties of the requested schema; without a schema those of a draft."""
    form = chat_request.get("response_format") or {}
    schema = (form.get("json_schema") or {}).get("schema") or {}
    properties = schema.get("properties")
    return properties if isinstance(properties, dict) else {}


def _read_task(messages: Sequence[Any]) -> _Task:
    for message in reversed(messages):
        if not isinstance(message, dict) or message.get("role") != "user":
            continue
        content = message.get("content")
        if isinstance(content, list):
            content = " ".join(text_of(part.get("text")) for part in content)
        try:
            return msgspec.json.decode(text_of(content), type=_Task)
        except msgspec.DecodeError:
            return _Task()
    return _Task()


def _compose(task: _Task, schema: Mapping[str, Any]) -> dict[str, Any]:
    draft = _compose_parameters(task) if task.placeholders else _compose_mail(task)
    if not schema:
        return draft
    return {name: draft.get(name, _empty(shape)) for name, shape in schema.items()}


def _empty(shape: Mapping[str, Any]) -> Any:
    kind = shape.get("type")
    if isinstance(kind, list):
        return None
    choices = shape.get("enum")
    return choices[0] if choices else _EMPTY.get(str(kind), {})


def _compose_mail(task: _Task) -> dict[str, Any]:
    facts = {fact.field: fact for fact in task.facts}
    first, company = facts.get("first_name"), facts.get("company_name")
    claims: list[dict[str, Any]] = []
    if first:
        claims.append(_claim(f"Hello {first.text},", first))
    for fact in _most_telling(task.facts):
        text = _SENTENCES[fact.field].format(text=fact.text)
        claims.append(_claim(text, fact))
    anchor = company or first or (task.facts[0] if task.facts else None)
    if anchor:
        claims.append(_claim(_closing(task, company), anchor))
    body = "\n\n".join(claim["text"] for claim in claims)
    subject = f"A question for {company.text}" if company else "A short question"
    return {
        "subject": subject[: task.max_subject],
        "body": body[: task.max_body],
        "parameters": [],
        "claims": [claim for claim in claims if claim["text"] in body[: task.max_body]],
    }


def _closing(task: _Task, company: _Fact | None) -> str:
    who = company.text if company else "you"
    offer = task.offer.strip().rstrip(".") or "we may be able to help"
    sender = f"\n\nBest regards,\n{task.sender_name}" if task.sender_name else ""
    pitch = f"I thought this might be interesting for {who}: {offer}."
    return f"{pitch} Would a short call suit you?{sender}"


def _most_telling(facts: Sequence[_Fact]) -> list[_Fact]:
    usable = [fact for fact in facts if fact.field in _SENTENCES and fact.text.strip()]
    usable.sort(key=lambda fact: list(_SENTENCES).index(fact.field))
    return usable[:_MOST_SENTENCES]


def _compose_parameters(task: _Task) -> dict[str, Any]:
    unused = [fact for fact in task.facts if fact.text.strip()]
    by_field = {fact.field: fact for fact in unused}
    parameters: list[str] = []
    claims: list[dict[str, Any]] = []
    for name in task.placeholders:
        fact = by_field.get(name)
        text = fact.text if fact else _own_text(name, task)
        if not text and unused:
            fact = by_field.get("company_name", unused[0])
            text = fact.text
        parameters.append(re.sub(r"\s+", " ", text).strip())
        if fact:
            claims.append(_claim(parameters[-1], fact))
    return {"subject": "", "body": "", "parameters": parameters, "claims": claims}


def _own_text(placeholder: str, task: _Task) -> str:
    if "sender" in placeholder:
        return task.sender_name
    return task.offer if "offer" in placeholder or "topic" in placeholder else ""


def _claim(text: str, fact: _Fact) -> dict[str, Any]:
    return {"text": text, "facts": [fact.number]}
