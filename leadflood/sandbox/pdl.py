"""The pretend People Data Labs: person enrich, one and many.

Source: `providers/pdl.md` and its samples, checked November 2026. One credit per 200, none on 404;
values are lower case; limits are reported as a JSON object, never by Retry-After.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

import msgspec

from leadflood.contracts.values import Micros
from leadflood.sandbox.faults import Fault
from leadflood.sandbox.population import Company, Person, Population, misspell
from leadflood.sandbox.provider_protocol import (
    Operation,
    ProviderRequest,
    ProviderResponse,
    RequestRefusal,
    json_response,
    read_json_object,
    text_of,
)
from leadflood.sandbox.quota import WindowUsage

_ONE: Final = Decimal(1)
_DATASET: Final = "35.0"
_MOST_BULK: Final = 100
_SURE: Final = 9
_FAIRLY_SURE: Final = 7
_DOUBTFUL: Final = 4
_DEFAULT_LIKELIHOOD: Final = 2
_ENRICH: Final = Operation("person.enrich", "pdl.enrich")
_BULK: Final = Operation("person.bulk", "pdl.bulk")
_WRONG_METHOD: Final = Operation("wrong_method", "pdl.enrich")
_OPERATIONS: Final = {
    ("GET", "person/enrich"): _ENRICH,
    ("POST", "person/enrich"): _ENRICH,
    ("POST", "person/bulk"): _BULK,
}
_LEVELS: Final = {"c_suite": "cxo", "founder": "owner", "head": "director"}
_CONTEXT: Final = ("company", "location", "locality", "region", "country", "school")
_SIZES: Final = (10, 50, 200, 500, 1_000, 5_000, 10_000)


class PretendPdl:
    """One customer's People Data Labs."""

    name = "pdl"

    def __init__(self, population: Population, key: str, credit_micros: Micros) -> None:
        self._population = population
        self._key = key
        self._credit_micros = credit_micros

    def find_operation(self, method: str, path: str) -> Operation | None:
        """Return the operation of a path; None for a path that does not exist."""
        path = path.removeprefix("v5/")
        if path in {"person/enrich", "person/bulk"}:
            return _OPERATIONS.get((method, path), _WRONG_METHOD)
        return None

    def accepts_key(self, headers: Mapping[str, str], query: Mapping[str, Sequence[str]]) -> bool:
        """Whether the key is right, in the header or the query."""
        return self._key in {headers.get("x-api-key"), *query.get("api_key", ())}

    def refuse(
        self, refusal: RequestRefusal, operation: Operation | None, usage: WindowUsage | None
    ) -> ProviderResponse:
        """Return PDL's refusal."""
        del operation, usage
        match refusal:
            case RequestRefusal.UNAUTHORIZED:
                text = "Request contained a missing or invalid key"
                return _error(401, "authentication_error", text)
            case RequestRefusal.THROTTLED:
                return _error(429, "rate_limit_error", "Too many requests")
            case RequestRefusal.OUT_OF_CREDITS:
                text = "You have reached your account maximum"
                return _error(402, "payment_required", text)
            case RequestRefusal.SERVER_ERROR:
                return _error(500, "api_error", "Unexpected server condition")
            case RequestRefusal.NOT_FOUND:
                return _error(404, "not_found", "The requested resource does not exist")

    def rate_headers(self, usages: Sequence[WindowUsage], now: float) -> dict[str, str]:
        """Return the window of the minute; day and month have no limit."""
        if not usages:
            return {}
        usage = usages[0]
        reset = datetime.fromtimestamp(now + usage.resets_in_seconds, UTC)
        return {
            "x-ratelimit-limit": _windows(usage.limit.calls),
            "x-ratelimit-remaining": _windows(usage.left),
            "x-ratelimit-reset": reset.isoformat(),
        }

    def respond(self, request: ProviderRequest) -> ProviderResponse:
        """Return the response to one request."""
        match request.operation.name:
            case "person.enrich":
                return self._enrich(request)
            case "person.bulk":
                return self._bulk(request)
            case _:
                text = "Request method is not allowed on the requested resource"
                return _error(405, "invalid_request_error", text)

    def _enrich(self, request: ProviderRequest) -> ProviderResponse:
        body = read_json_object(request.body)
        if body is None:
            return _invalid()
        fields = {name: values[0] for name, values in request.query.items()} | body
        item = self._look_up(fields, request.fault)
        charged_ids = (item["data"]["id"],) if "data" in item else ()
        return self._charge(json_response(item, item["status"]), request, charged_ids)

    def _bulk(self, request: ProviderRequest) -> ProviderResponse:
        body = read_json_object(request.body) or {}
        requests = body.get("requests")
        if not isinstance(requests, list) or not 1 <= len(requests) <= _MOST_BULK:
            return _invalid()
        shared = {name: body[name] for name in ("required", "include_if_matched") if name in body}
        items: list[dict[str, Any]] = []
        for item_request in requests:
            subject_params = item_request.get("params") if isinstance(item_request, dict) else None
            item = (
                self._look_up(shared | subject_params, request.fault)
                if subject_params
                else _item_invalid()
            )
            metadata = item_request.get("metadata") if isinstance(item_request, dict) else None
            items.append(item | ({"metadata": metadata} if metadata is not None else {}))
        charged_ids = tuple(item["data"]["id"] for item in items if "data" in item)
        response = self._charge(json_response(items), request, charged_ids)
        return msgspec.structs.replace(response, subjects=charged_ids)

    def _charge(
        self, response: ProviderResponse, request: ProviderRequest, charged_ids: Sequence[str]
    ) -> ProviderResponse:
        spent = len(charged_ids) * _ONE
        left = (request.credits_limit or Decimal(0)) - request.credits_used - spent
        return msgspec.structs.replace(
            response,
            credits=spent,
            amount_micros=len(charged_ids) * self._credit_micros,
            headers={
                "x-call-credits-spent": str(spent),
                "x-call-credits-type": "enrich",
                "x-lifetime-used": str(request.credits_used + spent),
                "x-totallimit-remaining": str(max(left, Decimal(0))),
            },
        )

    def _look_up(self, fields: Mapping[str, Any], fault: Fault | None) -> dict[str, Any]:
        if not _is_enough(fields):
            return _item_invalid()
        person, likelihood, matched = self._find(fields)
        if person is None or not person.pdl_knows or likelihood < _least_likelihood(fields):
            return _item_missing()
        data = self._write_person(person, fault)
        if not _has_required(str(fields.get("required") or ""), data):
            return _item_missing()
        item = {"status": 200, "likelihood": likelihood, "data": data, "dataset_version": _DATASET}
        return item | ({"matched": matched} if _is_true(fields.get("include_if_matched")) else {})

    def _find(self, fields: Mapping[str, Any]) -> tuple[Person | None, int, list[str]]:
        population = self._population
        pdl_id, email = text_of(fields.get("pdl_id")), text_of(fields.get("email"))
        profile, phone = text_of(fields.get("profile")), text_of(fields.get("phone"))
        if pdl_id:
            return self._find_by_id(pdl_id), _SURE, ["pdl_id"]
        person = population.find_by_email(email) if email else None
        if person:
            return person, _SURE, ["email"]
        person = population.find_by_profile(profile) if profile else None
        if person is None and phone:
            person = population.find_by_mobile(phone)
        if person:
            return person, _SURE, ["profile" if profile else "phone"]
        employer = text_of(fields.get("company"))
        full_name = f"{text_of(fields.get('first_name'))} {text_of(fields.get('last_name'))}"
        company = population.find_company(domain=_domain_of(employer), name=employer)
        person = population.find_by_name(text_of(fields.get("name")) or full_name, company)
        is_doubtful = person is not None and (person.is_contradicted or person.is_misspelled)
        return person, _DOUBTFUL if is_doubtful else _FAIRLY_SURE, ["name", "company"]

    def _find_by_id(self, pdl_id: str) -> Person | None:
        tail = pdl_id.rpartition("_")[2]
        index = int(tail) if tail.isdecimal() else -1
        people = self._population.people
        return people[index] if 0 <= index < len(people) else None

    def _write_person(self, person: Person, fault: Fault | None) -> dict[str, Any]:
        is_old = person.is_contradicted or fault is Fault.CONTRADICTING
        company = (
            self._population.companies[person.old_company_index]
            if is_old
            else self._population.company_of(person)
        )
        title = person.old_title if is_old else person.title
        levels = [_LEVELS.get(title.seniority, title.seniority)]
        return (
            _who(person)
            | _contact(person)
            | {
                "industry": company.industry,
                "job_title": title.words.lower(),
                "job_title_role": title.department,
                "job_title_sub_role": None,
                "job_title_class": "general_and_administrative",
                "job_title_levels": levels,
                "job_last_updated": "2026-09-15",
                "job_start_date": "2021-03",
                "experience": [_job(company, title.words.lower(), title.department, levels)],
            }
            | _employer(company)
            | _whereabouts(person)
        )


def _error(status: int, error_type: str, message: str) -> ProviderResponse:
    return json_response(
        {"status": status, "error": {"type": error_type, "message": message}}, status
    )


def _invalid() -> ProviderResponse:
    return json_response(_item_invalid(), 400)


def _item_invalid() -> dict[str, Any]:
    error = {"type": "invalid_request_error", "message": "Missing or invalid parameters"}
    return {"status": 400, "error": error}


def _item_missing() -> dict[str, Any]:
    text = "No records were found matching your request"
    return {"status": 404, "error": {"type": "not_found", "message": text}}


def _windows(calls: int) -> str:
    return f'{{"minute": {calls}, "day": null, "month": null}}'


def _is_true(value: Any) -> bool:
    return str(value).lower() == "true"


def _is_enough(fields: Mapping[str, Any]) -> bool:
    if any(fields.get(name) for name in ("profile", "email", "phone", "email_hash", "pdl_id")):
        return True
    has_name = fields.get("name") or (fields.get("first_name") and fields.get("last_name"))
    return bool(has_name and any(fields.get(name) for name in _CONTEXT))


def _least_likelihood(fields: Mapping[str, Any]) -> int:
    try:
        return int(fields.get("min_likelihood") or _DEFAULT_LIKELIHOOD)
    except (TypeError, ValueError):
        return _DEFAULT_LIKELIHOOD


def _has_required(required: str, data: Mapping[str, Any]) -> bool:
    """Evaluate `emails AND (job_title OR …)`; brackets are ignored."""
    if not required:
        return True
    return any(
        all(data.get(word.strip(" ()")) for word in re.split(r"\s+AND\s+", part))
        for part in re.split(r"\s+OR\s+", required)
    )


def _domain_of(address: str) -> str:
    host = address.partition("://")[2] or address
    return host.partition("/")[0].lower()


def _who(person: Person) -> dict[str, Any]:
    last = (misspell(person.last_name) if person.is_misspelled else person.last_name).lower()
    first, slug = person.first_name.lower(), person.linkedin_slug or None
    return {
        "id": f"qAbCdEfGhIjKlMnOpQrStU_{person.index:04d}",
        "full_name": f"{first} {last}",
        "first_name": first,
        "middle_initial": None,
        "middle_name": None,
        "last_name": last,
        "sex": None,
        "birth_year": None,
        "birth_date": None,
        "linkedin_url": f"linkedin.com/in/{slug}" if slug else None,
        "linkedin_username": slug,
        "linkedin_id": str(900_000_000 + person.index) if slug else None,
        "facebook_url": None,
        "facebook_username": None,
        "facebook_id": None,
        "twitter_url": None,
        "twitter_username": None,
        "github_url": None,
        "github_username": None,
        "interests": [],
        "skills": ["process improvement"],
        "education": [],
        "profiles": [
            {
                "network": "linkedin",
                "id": str(900_000_000 + person.index),
                "url": f"linkedin.com/in/{slug}",
                "username": slug,
            }
        ]
        if slug
        else [],
        "dataset_version": _DATASET,
    }


def _contact(person: Person) -> dict[str, Any]:
    work = person.email if person.pdl_has_email else ""
    private = person.personal_email
    emails = [{"address": work, "type": "current_professional"}] if work else []
    if private:
        emails.append({"address": private, "type": "personal"})
    return {
        "work_email": work or None,
        "personal_emails": [private] if private else [],
        "recommended_personal_email": private or None,
        "mobile_phone": person.mobile or None,
        "phone_numbers": [person.mobile] if person.mobile else [],
        "emails": emails,
    }


def _place(thing: Person | Company) -> str:
    return f"{thing.city}, {thing.state}, {thing.country.name}".lower()


def _size(company: Company) -> str:
    least = 1
    for most in _SIZES:
        if company.employee_count <= most:
            return f"{least}-{most}"
        least = most + 1
    return "10001+"


def _employer(company: Company) -> dict[str, Any]:
    return {
        "job_company_id": company.slug,
        "job_company_name": company.name.lower(),
        "job_company_website": company.domain,
        "job_company_size": _size(company),
        "job_company_founded": company.founded_year,
        "job_company_industry": company.industry,
        "job_company_linkedin_url": f"linkedin.com/company/{company.slug}",
        "job_company_linkedin_id": str(90_000_000 + company.index),
        "job_company_location_name": _place(company),
        "job_company_location_locality": company.city.lower(),
        "job_company_location_region": company.state.lower(),
        "job_company_location_country": company.country.name.lower(),
        "job_company_location_continent": company.country.continent,
    }


def _whereabouts(person: Person) -> dict[str, Any]:
    country = person.country.name.lower()
    return {
        "location_name": _place(person),
        "location_locality": person.city.lower(),
        "location_metro": None,
        "location_region": person.state.lower(),
        "location_country": country,
        "location_continent": person.country.continent,
        "location_street_address": None,
        "location_postal_code": None,
        "location_geo": None,
        "location_last_updated": "2026-09-15",
        "location_names": [_place(person)],
        "regions": [f"{person.state.lower()}, {country}"],
        "countries": [country],
        "street_addresses": [],
    }


def _job(company: Company, title: str, role: str, levels: list[str]) -> dict[str, Any]:
    return {
        "company": {
            "name": company.name.lower(),
            "size": _size(company),
            "id": company.slug,
            "founded": company.founded_year,
            "industry": company.industry,
            "location": {
                "name": _place(company),
                "locality": company.city.lower(),
                "region": company.state.lower(),
                "country": company.country.name.lower(),
                "continent": company.country.continent,
            },
            "linkedin_url": f"linkedin.com/company/{company.slug}",
            "linkedin_id": str(90_000_000 + company.index),
            "facebook_url": None,
            "twitter_url": None,
            "website": company.domain,
        },
        "start_date": "2021-03",
        "end_date": None,
        "title": {"name": title, "role": role, "sub_role": None, "levels": levels},
        "location_names": [_place(company)],
        "is_primary": True,
    }
