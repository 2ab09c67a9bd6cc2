"""The pretend Hunter: finder, verifier, domain search, account.

Source: `providers/hunter.md` and its samples, checked November 2026. 403 is the rate limit and 429
the plan's end, as documented; it sends no rate headers. Left out: repeat look-ups are billed each
time, though the real one gives them free within a month.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from hashlib import blake2b
from typing import Any, Final

import msgspec

from leadflood.contracts.values import Micros
from leadflood.sandbox.faults import Fault
from leadflood.sandbox.population import Company, Person, Population
from leadflood.sandbox.provider_protocol import (
    Operation,
    ProviderRequest,
    ProviderResponse,
    RequestRefusal,
    json_response,
    text_of,
)
from leadflood.sandbox.quota import WindowUsage
from leadflood.sandbox.word_lists import FREE_MAIL_DOMAIN

_ONE, _HALF = Decimal(1), Decimal("0.5")
_OPERATIONS: Final = {
    ("GET", "email-finder"): Operation("email-finder", "hunter.search"),
    ("GET", "email-verifier"): Operation("email-verifier", "hunter.verifier"),
    ("GET", "domain-search"): Operation("domain-search", "hunter.search"),
    ("GET", "account"): Operation("account", "hunter.free"),
}
_MOST_LISTED: Final = 100
_EMAILS_PER_CREDIT: Final = 10
_VERIFIED_ON: Final = "2026-10-12"
_SENIORITIES: Final = {
    "c_suite": "executive",
    "founder": "executive",
    "vp": "executive",
    "head": "senior",
    "director": "senior",
    "manager": "senior",
    "senior": "senior",
    "entry": "junior",
}
_RESULTS: Final = {
    "valid": ("deliverable", 97),
    "accept_all": ("risky", 68),
    "webmail": ("risky", 50),
    "disposable": ("risky", 50),
    "invalid": ("undeliverable", 0),
}


class PretendHunter:
    """One customer's Hunter. Remembers the addresses whose check it has deferred once."""

    name = "hunter"

    def __init__(self, population: Population, key: str, credit_micros: Micros) -> None:
        self._population = population
        self._key = key
        self._credit_micros = credit_micros
        self._deferred: set[str] = set()
        self._responders = {
            "email-finder": self._find,
            "email-verifier": self._verify,
            "domain-search": self._list,
            "account": self._account,
        }

    def find_operation(self, method: str, path: str) -> Operation | None:
        """Return the operation of a path; None for a path that does not exist."""
        return _OPERATIONS.get((method, path.removeprefix("v2/")))

    def accepts_key(self, headers: Mapping[str, str], query: Mapping[str, Sequence[str]]) -> bool:
        """Whether the key is right; it may come in three ways."""
        return self._key in {
            headers.get("x-api-key"),
            headers.get("authorization", "").removeprefix("Bearer "),
            *query.get("api_key", ()),
        }

    def refuse(
        self, refusal: RequestRefusal, operation: Operation | None, usage: WindowUsage | None
    ) -> ProviderResponse:
        """Return Hunter's refusal, without any header."""
        del operation, usage
        match refusal:
            case RequestRefusal.UNAUTHORIZED:
                text = "No user found for the API key supplied"
                return _error("authentication_failed", 401, text)
            case RequestRefusal.THROTTLED:
                return _error("too_many_requests", 403, "You reached the rate limit of the API")
            case RequestRefusal.OUT_OF_CREDITS:
                text = "You have reached the limit of searches per billing period of your plan"
                return _error("too_many_requests", 429, text)
            case RequestRefusal.SERVER_ERROR:
                return _error("server_error", 500, "An unexpected error happened")
            case RequestRefusal.NOT_FOUND:
                return _error("not_found", 404, "No data found for the supplied parameters")

    def rate_headers(self, usages: Sequence[WindowUsage], now: float) -> dict[str, str]:
        """Return nothing: Hunter documents no rate headers."""
        del usages, now
        return {}

    def respond(self, request: ProviderRequest) -> ProviderResponse:
        """Return the response to one request."""
        return self._responders[request.operation.name](request)

    def _charge(self, response: ProviderResponse, credits_spent: Decimal) -> ProviderResponse:
        micros = int(credits_spent * self._credit_micros)
        return msgspec.structs.replace(response, credits=credits_spent, amount_micros=micros)

    def _account(self, request: ProviderRequest) -> ProviderResponse:
        used, available = float(request.credits_used), float(request.credits_limit or 0)
        searches = {"used": int(used), "available": int(available)}
        return json_response(
            {
                "data": {
                    "first_name": "Sample",
                    "last_name": "Operator",
                    "email": "ops@example.org",
                    "plan_name": "Starter",
                    "plan_level": 1,
                    "reset_date": "2026-12-01",
                    "team_id": 1,
                    "calls": {"_deprecation_notice": "deprecated", **searches},
                    "requests": {
                        "credits": {"used": used, "available": available},
                        "searches": searches,
                        "verifications": {"used": 0, "available": int(available)},
                    },
                }
            }
        )

    def _find(self, request: ProviderRequest) -> ProviderResponse:
        fields = {name: text_of(list(values)) for name, values in request.query.items()}
        problem = _check_finder(fields)
        if problem:
            return problem
        company = self._population.find_company(
            domain=fields.get("domain", ""), name=fields.get("company", "")
        )
        name = fields.get("full_name") or f"{fields.get('first_name')} {fields.get('last_name')}"
        handle = fields.get("linkedin_handle", "")
        person = (
            self._population.find_by_profile(handle)
            if handle
            else self._population.find_by_name(name, company)
        )
        if person and person.is_claimed:
            return _claimed()
        meta = {"params": _echo(fields, _FINDER_PARAMETERS)}
        if person is None or not person.hunter_knows:
            return json_response({"data": _write_nothing(fields, company), "meta": meta})
        body = json_response({"data": self._write_found(person, request.fault), "meta": meta})
        return self._charge(body, _ONE)

    def _write_found(self, person: Person, fault: Fault | None) -> dict[str, Any]:
        company = self._population.company_of(person)
        is_wrong = person.is_contradicted or fault is Fault.CONTRADICTING
        url = f"https://www.linkedin.com/in/{person.linkedin_slug}"
        return {
            "first_name": person.first_name,
            "last_name": person.last_name,
            "email": person.email,
            "score": 68 if company.is_catch_all else 90 + person.index % 10,
            "domain": company.domain,
            "accept_all": company.is_catch_all,
            "position": (person.old_title if is_wrong else person.title).words,
            "twitter": None,
            "linkedin_url": url if person.linkedin_slug else None,
            "phone_number": None,
            "company": company.name,
            "sources": [_source(company)],
            "verification": _verification(company),
        }

    def _verify(self, request: ProviderRequest) -> ProviderResponse:
        email = text_of(list(request.query.get("email", ()))).strip().lower()
        local, at, domain = email.partition("@")
        if not (local and at and domain):
            return _error("invalid_email", 400, "The supplied email is invalid")
        person = self._population.find_by_email(email)
        if person and person.is_claimed:
            return _claimed()
        chance = blake2b(email.encode(), digest_size=2).digest()[0]
        if chance < 12 and email not in self._deferred:  # noqa: PLR2004 - about one in twenty
            self._deferred.add(email)
            return _deferred(chance)
        status = self._status_of(email, domain, person, chance)
        data = _write_verdict(email, status)
        response = json_response({"data": data, "meta": {"params": {"email": email}}})
        return self._charge(response, _HALF)

    def _status_of(self, email: str, domain: str, person: Person | None, chance: int) -> str:
        """Return the status; addresses outside this world go by the hash of their letters."""
        company = self._population.find_company(domain=domain)
        if domain == FREE_MAIL_DOMAIN:
            return "webmail"
        if domain == "throwaway.example":
            return "disposable"
        if company is None:
            return "valid" if chance < 220 else "invalid"  # noqa: PLR2004 - about 86 %
        if company.is_catch_all:
            return "accept_all"
        return "valid" if person and person.email == email else "invalid"

    def _list(self, request: ProviderRequest) -> ProviderResponse:
        fields = {name: text_of(list(values)) for name, values in request.query.items()}
        if not fields.get("domain") and not fields.get("company"):
            text = "You are missing the domain or the company parameter"
            return _error("wrong_params", 400, text)
        try:
            limit, offset = int(fields.get("limit") or 10), int(fields.get("offset") or 0)
        except ValueError:
            limit = offset = -1
        if not (1 <= limit <= _MOST_LISTED and offset >= 0):
            text = "The limit and offset are over the maximum of your plan"
            return _error("pagination_error", 400, text)
        company = self._population.find_company(
            domain=fields.get("domain", ""), name=fields.get("company", "")
        )
        emails = self._write_emails(company, fields) if company else []
        page = emails[offset : offset + limit]
        data = {**_write_domain(company, fields), "emails": page}
        params = _echo(fields, ("domain", "company", "type", "seniority", "department"))
        meta = {"results": len(emails), "limit": limit, "offset": offset, "params": params}
        spent = Decimal((len(page) + _EMAILS_PER_CREDIT - 1) // _EMAILS_PER_CREDIT)
        return self._charge(json_response({"data": data, "meta": meta}), spent)

    def _write_emails(self, company: Company, fields: Mapping[str, str]) -> list[dict[str, Any]]:
        rows = [
            _write_email(person, company)
            for person in self._population.staff_of(company)
            if person.hunter_knows and not person.is_claimed
        ]
        rows.append(_write_generic(company))
        for name in ("type", "seniority", "department"):
            choices = set(filter(None, fields.get(name, "").split(",")))
            if choices:
                rows = [row for row in rows if row[name] in choices]
        return rows


_FINDER_PARAMETERS: Final = (
    "first_name",
    "last_name",
    "full_name",
    "domain",
    "company",
    "max_duration",
)


def _error(error_id: str, code: int, details: str) -> ProviderResponse:
    return json_response({"errors": [{"id": error_id, "code": code, "details": details}]}, code)


def _claimed() -> ProviderResponse:
    text = "The person behind this email address asked us to stop processing it"
    return _error("claimed_email", 451, text)


def _deferred(chance: int) -> ProviderResponse:
    if chance:
        text = "The verification is still in progress. Please try again later."
        return json_response({"data": {"message": text}}, 202)
    return _error("unexpected_smtp", 222, "The SMTP server gave an unexpected response")


def _echo(fields: Mapping[str, str], names: Sequence[str]) -> dict[str, str | None]:
    return {name: fields.get(name) or None for name in names}


def _check_finder(fields: Mapping[str, str]) -> ProviderResponse | None:
    if fields.get("linkedin_handle"):
        return None
    if not fields.get("domain") and not fields.get("company"):
        text = "You are missing the domain or the company parameter"
        return _error("wrong_params", 400, text)
    if fields.get("full_name"):
        return None
    for name in ("first_name", "last_name"):
        if not fields.get(name, "").strip():
            return _error(f"invalid_{name}", 400, f"The supplied {name} is invalid")
    return None


def _write_nothing(fields: Mapping[str, str], company: Company | None) -> dict[str, Any]:
    return {
        "first_name": fields.get("first_name"),
        "last_name": fields.get("last_name"),
        "email": None,
        "score": None,
        "domain": company.domain if company else fields.get("domain"),
        "accept_all": bool(company and company.is_catch_all),
        "position": None,
        "twitter": None,
        "linkedin_url": None,
        "phone_number": None,
        "company": company.name if company else None,
        "sources": [],
        "verification": {"date": None, "status": None},
    }


def _write_email(person: Person, company: Company) -> dict[str, Any]:
    title = person.old_title if person.is_contradicted else person.title
    return {
        "value": person.email,
        "type": "personal",
        "confidence": 60 + person.index % 40,
        "first_name": person.first_name,
        "last_name": person.last_name,
        "position": title.words,
        "position_raw": title.words,
        "seniority": _SENIORITIES[title.seniority],
        "department": title.department,
        "linkedin": None,
        "twitter": None,
        "phone_number": person.mobile or None,
        "sources": [_source(company)],
        "verification": _verification(company),
    }


def _write_generic(company: Company) -> dict[str, Any]:
    nothing = ("first_name", "last_name", "position", "position_raw", "seniority", "department")
    return {
        "value": f"hello@{company.domain}",
        "type": "generic",
        "confidence": 91,
        **dict.fromkeys((*nothing, "linkedin", "twitter", "phone_number")),
        "sources": [],
        "verification": {"date": None, "status": None},
    }


def _write_verdict(email: str, status: str) -> dict[str, Any]:
    result, score = _RESULTS[status]
    return {
        "status": status,
        "result": result,
        "score": score,
        "email": email,
        "regexp": True,
        "gibberish": False,
        "disposable": status == "disposable",
        "webmail": status == "webmail",
        "mx_records": True,
        "smtp_server": True,
        "smtp_check": status != "invalid",
        "accept_all": status == "accept_all",
        "block": False,
        "sources": [],
    }


def _source(company: Company) -> dict[str, Any]:
    return {
        "domain": company.domain,
        "uri": f"https://{company.domain}/team",
        "extracted_on": "2025-08-04",
        "last_seen_on": "2026-10-18",
        "still_on_page": True,
    }


def _verification(company: Company) -> dict[str, str]:
    return {"date": _VERIFIED_ON, "status": "accept_all" if company.is_catch_all else "valid"}


def _write_domain(company: Company | None, fields: Mapping[str, str]) -> dict[str, Any]:
    return {
        "domain": company.domain if company else fields.get("domain"),
        "disposable": False,
        "webmail": False,
        "accept_all": bool(company and company.is_catch_all),
        "pattern": "{first}.{last}" if company else None,
        "organization": company.name if company else None,
        "linked_domains": [],
    }
