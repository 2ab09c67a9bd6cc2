"""The pretend Apollo: people search, match and bulk match, usage.

Source: `providers/apollo.md` and its samples, checked November 2026. Search is free and gives no
address and no surname; a match costs one credit when somebody is found.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import lru_cache
from hashlib import blake2b
from typing import Any, Final

import msgspec

from leadflood.contracts.values import Micros
from leadflood.sandbox.apollo_filter import (
    BadFilterError,
    PeopleIndex,
    email_status_of,
    organization_id,
    read_filter,
)
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
from leadflood.sandbox.quota import WindowUsage, whole_seconds

_ONE: Final = Decimal(1)
_MOST_PER_PAGE: Final = 100
_MOST_PAGES: Final = 500
_MOST_BULK: Final = 10
_DEFAULT_PER_PAGE: Final = 10
_OPERATIONS: Final = {
    ("POST", "mixed_people/api_search"): Operation("people.search", "apollo.search"),
    ("POST", "people/match"): Operation("people.match", "apollo.enrichment"),
    ("POST", "people/bulk_match"): Operation("people.bulk_match", "apollo.enrichment"),
    ("GET", "auth/health"): Operation("auth.health", "apollo.default"),
    ("POST", "usage_stats/credit_usage_stats"): Operation("usage.credits", "apollo.default"),
    ("POST", "mixed_people/search"): Operation("people.old_search", "apollo.default"),
}
_PATHS: Final = {operation.name: path for (_, path), operation in _OPERATIONS.items()}
_WINDOWS: Final = ((60, "minute"), (3_600, "hourly"), (86_400, "24-hour"))
_INVALID: Final = {"error": "Invalid parameters"}
_PHONE_MAYBE: Final = "Maybe: please request direct dial via people/bulk_match"


class PretendApollo:
    """One customer's Apollo."""

    name = "apollo"

    def __init__(self, population: Population, key: str, credit_micros: Micros) -> None:
        self._population = population
        self._index = PeopleIndex(population)
        self._key = key
        self._credit_micros = credit_micros
        self._mask = int.from_bytes(blake2b(str(population.seed).encode(), digest_size=4).digest())
        self._find = lru_cache(maxsize=64)(self._index.find)
        self._organization = lru_cache(maxsize=8192)(self._write_organization)
        self._responders = {
            "people.search": self._search,
            "people.match": self._match,
            "people.bulk_match": self._bulk_match,
            "auth.health": lambda _: json_response({"healthy": True, "is_logged_in": True}),
            "usage.credits": self._usage,
            "people.old_search": self._old_search,
        }

    def find_operation(self, method: str, path: str) -> Operation | None:
        """Return the operation of a path; None for a path that does not exist."""
        return _OPERATIONS.get((method, path.removeprefix("api/v1/")))

    def accepts_key(self, headers: Mapping[str, str], query: Mapping[str, Sequence[str]]) -> bool:
        """Whether the key is right; it is read from the header only."""
        del query
        return headers.get("x-api-key") == self._key

    def refuse(
        self, refusal: RequestRefusal, operation: Operation | None, usage: WindowUsage | None
    ) -> ProviderResponse:
        """Return Apollo's refusal: five shapes of error body."""
        match refusal:
            case RequestRefusal.UNAUTHORIZED:
                text = b"Invalid API key. See the API documentation for how to make one."
                return ProviderResponse(body=text, status=401, content_type="text/plain")
            case RequestRefusal.THROTTLED:
                return self._throttle(operation, usage)
            case RequestRefusal.OUT_OF_CREDITS:
                code = {"code": "BILLING.LIMIT.CREDITS_EXHAUSTED"}
                return json_response(
                    {"error": "You have insufficient credits!", "error_details": code}, 422
                )
            case RequestRefusal.SERVER_ERROR:
                return json_response({"error": "Internal server error"}, 500)
            case RequestRefusal.NOT_FOUND:
                return json_response({"error": "Not found"}, 404)

    def rate_headers(self, usages: Sequence[WindowUsage], now: float) -> dict[str, str]:
        """Return all three windows; a window without a limit has an empty limit."""
        del now
        by_length = {int(usage.limit.seconds): usage for usage in usages}
        headers: dict[str, str] = {}
        for seconds, word in _WINDOWS:
            usage = by_length.get(seconds)
            headers[f"x-rate-limit-{word}"] = str(usage.limit.calls) if usage else ""
            if usage:
                headers[f"x-{word}-usage"] = str(usage.used)
                headers[f"x-{word}-requests-left"] = str(usage.left)
        return headers

    def respond(self, request: ProviderRequest) -> ProviderResponse:
        """Return the response to one request."""
        return self._responders[request.operation.name](request)

    def _throttle(self, operation: Operation | None, usage: WindowUsage | None) -> ProviderResponse:
        path = f"api/v1/{_PATHS[operation.name]}" if operation else "this endpoint"
        word = {60: "minute", 3_600: "hour"}.get(int(usage.limit.seconds) if usage else 60, "day")
        times = usage.limit.calls if usage else 200
        text = f"Maximum number of api calls for {path} is {times} times per {word}"
        headers = {"retry-after": str(whole_seconds(usage))} if usage else {}
        return msgspec.structs.replace(json_response({"message": text}, 429), headers=headers)

    def _old_search(self, request: ProviderRequest) -> ProviderResponse:
        del request
        text = "The key is not authorized to access api/v1/mixed_people/search"
        return json_response({"error": text, "error_code": "API_INACCESSIBLE"}, 403)

    def _usage(self, request: ProviderRequest) -> ProviderResponse:
        limit, used = int(request.credits_limit or 0), request.credits_used
        lead = {"limit": limit, "consumed": float(used), "left_over": float(limit - used)}
        none = {"limit": 0, "consumed": 0, "left_over": 0}
        return json_response(
            {
                "credit_usage_stats": {
                    name: lead if name == "lead_credit" else none for name in _CREDIT_KINDS
                },
                "current_credit_cycle": {
                    "start_date": "2026-11-01T00:00:00.000Z",
                    "end_date": "2026-12-01T00:00:00.000Z",
                },
            }
        )

    def _search(self, request: ProviderRequest) -> ProviderResponse:
        fields = _read_parameters(request)
        try:
            page, per_page = _read_page(fields)
            rows = self._find(read_filter(fields))
        except (BadFilterError, ValueError, TypeError):
            return json_response(_INVALID, 422)
        start = (page - 1) * per_page
        people = [self._write_row(*row) for row in rows[start : start + per_page]]
        if request.fault is Fault.DUPLICATE and people:
            people.insert(0, people[0])
        return json_response({"total_entries": len(rows), "people": people})

    def _match(self, request: ProviderRequest) -> ProviderResponse:
        fields = _read_parameters(request)
        if fields.get("reveal_phone_number") in {True, "true"} and not fields.get("webhook_url"):
            return json_response({"error": "webhook_url is required to reveal phone numbers"}, 422)
        person, is_twin = self._look_up(fields)
        if person is None:
            return json_response({"person": None})
        written = self._write_person(person, is_twin, request.fault)
        body = json_response({"person": written, "request_id": self._request_id(request)})
        return msgspec.structs.replace(body, credits=_ONE, amount_micros=self._credit_micros)

    def _bulk_match(self, request: ProviderRequest) -> ProviderResponse:
        details = _read_parameters(request).get("details")
        if not isinstance(details, list) or not details:
            return _bulk_error("INVALID_REQUEST", "invalid request, missing details")
        if len(details) > _MOST_BULK:
            text = f"cannot enrich more than {_MOST_BULK} in a single request"
            return _bulk_error("RECORD_LIMIT_EXCEEDED", text)
        matches = [self._look_up(detail if isinstance(detail, dict) else {}) for detail in details]
        people = [
            self._write_person(person, is_twin, request.fault) if person else None
            for person, is_twin in matches
        ]
        charged = tuple(dict.fromkeys(match["id"] for match in people if match))
        return msgspec.structs.replace(
            json_response(self._write_matches(request, people, len(charged))),
            credits=Decimal(len(charged)),
            amount_micros=len(charged) * self._credit_micros,
            subjects=charged,
        )

    def _write_matches(
        self, request: ProviderRequest, people: Sequence[dict[str, Any] | None], charged_count: int
    ) -> dict[str, Any]:
        return {
            "status": "success",
            "error_code": None,
            "error_message": None,
            "total_requested_enrichments": len(people),
            "unique_enriched_records": charged_count,
            "missing_records": list(people).count(None),
            "credits_consumed": charged_count,
            "matches": people,
            "request_id": self._request_id(request),
        }

    def _look_up(self, fields: Mapping[str, Any]) -> tuple[Person | None, bool]:
        apollo_id = text_of(fields.get("id"))
        if apollo_id:
            index, is_twin = self._read_id(apollo_id)
            people = self._population.people
            person = people[index] if 0 <= index < len(people) else None
        else:
            person, is_twin = self._search_person(fields), False
        return (person if person and person.apollo_knows else None), is_twin

    def _search_person(self, fields: Mapping[str, Any]) -> Person | None:
        population = self._population
        email, url = text_of(fields.get("email")), text_of(fields.get("linkedin_url"))
        person = population.find_by_email(email) if email else None
        if person is None and url:
            person = population.find_by_profile(url)
        if person is None:
            both = f"{text_of(fields.get('first_name'))} {text_of(fields.get('last_name'))}"
            domain = text_of(fields.get("domain"))
            company = population.find_company(
                domain=domain, name=text_of(fields.get("organization_name"))
            )
            person = population.find_by_name(text_of(fields.get("name")) or both, company)
        return person

    def _write_id(self, index: int, *, is_twin: bool) -> str:
        return f"67bdafd0c3a4c5{int(is_twin):02x}{index ^ self._mask:08x}"

    def _read_id(self, apollo_id: str) -> tuple[int, bool]:
        try:
            index = int(apollo_id[16:], 16) ^ self._mask
            is_twin = bool(int(apollo_id[14:16], 16))
        except ValueError:
            return -1, False
        return (index, is_twin) if apollo_id.startswith("67bdafd0c3a4c5") else (-1, False)

    def _write_row(self, index: int, is_twin: bool) -> dict[str, Any]:  # noqa: FBT001 - a row's own second half
        person = self._population.people[index]
        first = misspell(person.first_name) if is_twin else person.first_name
        last = person.last_name
        return {
            "id": self._write_id(index, is_twin=is_twin),
            "first_name": first,
            "last_name_obfuscated": f"{last[:2]}***{last[-1]}",
            "title": person.title.words,
            "last_refreshed_at": f"2026-10-{1 + index % 28:02d}T23:20:32.690+00:00",
            "has_email": person.apollo_has_email,
            "has_city": True,
            "has_state": True,
            "has_country": True,
            "has_direct_phone": "Yes" if person.mobile else _PHONE_MAYBE,
            "organization": {
                "name": self._population.company_of(person).name,
                "has_industry": True,
                "has_phone": True,
                "has_city": True,
                "has_state": True,
                "has_country": True,
                "has_zip_code": True,
                "has_revenue": True,
                "has_employee_count": True,
            },
        }

    def _write_person(
        self,
        person: Person,
        is_twin: bool,  # noqa: FBT001 - travels with the person
        fault: Fault | None,
    ) -> dict[str, Any]:
        is_wrong = fault is Fault.CONTRADICTING
        company = (
            self._population.companies[person.old_company_index]
            if is_wrong
            else self._population.company_of(person)
        )
        title = person.old_title if is_wrong else person.title
        return {
            "id": self._write_id(person.index, is_twin=is_twin),
            "first_name": misspell(person.first_name) if is_twin else person.first_name,
            "last_name": person.last_name,
            "name": person.name,
            "linkedin_url": _profile_url("in", person.linkedin_slug),
            "title": title.words,
            "photo_url": None,
            "twitter_url": None,
            "github_url": None,
            "facebook_url": None,
            "headline": f"{title.words} at {company.name}",
            **_write_address(person),
            "organization_id": organization_id(company),
            "employment_history": self._write_history(person, company, title.words),
            "state": person.state,
            "city": person.city,
            "country": person.country.name,
            "revealed_for_current_team": True,
            "organization": self._organization(company.index),
            "is_likely_to_engage": person.email_status == "likely to engage",
            "show_intent": False,
            "departments": [f"master_{title.department}"],
            "subdepartments": [title.department],
            "functions": [title.department],
            "seniority": title.seniority,
        }

    def _write_history(self, person: Person, company: Company, title: str) -> list[dict[str, Any]]:
        old = self._population.companies[person.old_company_index]
        now_id, old_id = (
            f"66d7af8c200cad00{person.index:08x}",
            f"66d7af8c200cad01{person.index:08x}",
        )
        return [
            _write_job(now_id, organization_id(company), company.name, title, "2021-03-01", None),
            _write_job(old_id, None, old.name, person.old_title.words, "2016-06-01", "2021-02-01"),
        ]

    def _write_organization(self, index: int) -> msgspec.Raw:
        return msgspec.Raw(msgspec.json.encode(_organization(self._population.companies[index])))

    def _request_id(self, request: ProviderRequest) -> int:
        digest = blake2b(f"{self._mask}:{request.number}".encode(), digest_size=8).digest()
        return int.from_bytes(digest, signed=True)


_CREDIT_KINDS: Final = (
    "lead_credit",
    "direct_dial_credit",
    "export_credit",
    "conversation_credit",
    "ai_credit",
    "power_up_credit",
    "inbound_website_visitor_credit",
    "dialer",
    "web_search_record_credit",
    "contact_website_visitor_credit",
)


def _read_parameters(request: ProviderRequest) -> dict[str, Any]:
    """Join the query string (names with brackets) and the JSON body (names without)."""
    fields: dict[str, Any] = {}
    for name, values in request.query.items():
        fields[name.removesuffix("[]")] = list(values) if name.endswith("[]") else values[0]
    fields.update(read_json_object(request.body) or {})
    return fields


def _read_page(fields: Mapping[str, Any]) -> tuple[int, int]:
    page = int(fields.get("page", 1))
    per_page = int(fields.get("per_page", _DEFAULT_PER_PAGE))
    if not (1 <= page <= _MOST_PAGES and 1 <= per_page <= _MOST_PER_PAGE):
        raise BadFilterError
    return page, per_page


def _bulk_error(code: str, text: str) -> ProviderResponse:
    return json_response({"status": "failed", "error_code": code, "error_message": text}, 400)


def _profile_url(kind: str, slug: str) -> str | None:
    return f"http://www.linkedin.com/{kind}/{slug}" if slug else None


def _write_address(person: Person) -> dict[str, Any]:
    status, email = email_status_of(person), person.email
    if not person.apollo_has_email:
        email = "email_not_unlocked@domain.com" if person.index % 2 else ""
    return {
        "email_status": status if email else None,
        "extrapolated_email_confidence": 0.71 if email and status == "extrapolated" else None,
        "email": email or None,
    }


def _write_job(
    job_id: str, company_id: str | None, company: str, title: str, start: str, end: str | None
) -> dict[str, Any]:
    return {
        "_id": job_id,
        "created_at": None,
        "current": end is None,
        "degree": None,
        "description": None,
        "emails": None,
        "end_date": end,
        "grade_level": None,
        "kind": None,
        "major": None,
        "organization_id": company_id,
        "organization_name": company,
        "raw_address": None,
        "start_date": start,
        "title": title,
        "updated_at": None,
        "id": job_id,
        "key": job_id,
    }


def _organization(company: Company) -> dict[str, Any]:
    return _contact_part(company) | _trade_part(company)


def _contact_part(company: Company) -> dict[str, Any]:
    phone = {"number": company.phone, "source": "Scraped", "sanitized_number": company.phone}
    return {
        "id": organization_id(company),
        "name": company.name,
        "website_url": f"http://www.{company.domain}",
        "blog_url": None,
        "angellist_url": None,
        "linkedin_url": _profile_url("company", company.slug),
        "twitter_url": None,
        "facebook_url": None,
        "primary_phone": phone,
        "languages": ["English"],
        "num_languages": 1,
        "alexa_ranking": None,
        "phone": company.phone,
        "linkedin_uid": str(90_000_000 + company.index),
        "founded_year": company.founded_year,
        "publicly_traded_symbol": None,
        "publicly_traded_exchange": None,
        "logo_url": f"https://media.example.com/logos/{company.slug}.png",
        "crunchbase_url": None,
        "primary_domain": company.domain,
        "sanitized_phone": company.phone,
    }


def _trade_part(company: Company) -> dict[str, Any]:
    tag = f"5567cd4773696439{sum(company.industry.encode()):08x}"
    technologies = [
        {"uid": tech.uid, "name": tech.name, "category": tech.category}
        for tech in company.technologies
    ]
    return {
        "industry": company.industry,
        "keywords": [company.industry, *company.name.lower().split()[1:]],
        "estimated_num_employees": company.employee_count,
        "industries": [company.industry],
        "secondary_industries": [],
        "snippets_loaded": True,
        "industry_tag_id": tag,
        "industry_tag_hash": {company.industry: tag},
        "retail_location_count": 0,
        "num_retail_locations": 0,
        "raw_address": f"12 Sample Wharf, {company.city}, {company.state}, {company.country.name}",
        "street_address": "12 Sample Wharf",
        "city": company.city,
        "state": company.state,
        "postal_code": f"{10_000 + company.index % 89_999}",
        "country": company.country.name,
        "owned_by_organization_id": None,
        "seo_description": f"{company.name}: {company.industry}.",
        "short_description": f"{company.name} is an invented {company.industry} company.",
        "suborganizations": [],
        "num_suborganizations": 0,
        "annual_revenue_printed": f"{company.revenue // 1_000_000}M",
        "annual_revenue": float(company.revenue),
        "total_funding": None,
        "total_funding_printed": None,
        "latest_funding_round_date": None,
        "latest_funding_stage": None,
        "funding_events": [],
        "technology_names": [tech.name for tech in company.technologies],
        "current_technologies": technologies,
        "departmental_head_count": {
            "engineering": company.employee_count * 2 // 5,
            "operations": company.employee_count // 6,
            "sales": company.employee_count // 11,
            "marketing": company.employee_count // 27,
        },
        "organization_headcount_six_month_growth": 0.04,
        "organization_headcount_twelve_month_growth": 0.11,
        "organization_headcount_twenty_four_month_growth": 0.27,
    }
