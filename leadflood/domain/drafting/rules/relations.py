"""Relations: what a clause may say with the facts it cites.

The words of a fact prove the fact, not each sentence they can be put into: a size is said of the
company's people, a title of the reader. So each field has the words that may stand around it.
"""

import re
from collections.abc import Sequence, Set as AbstractSet

from leadflood.domain.drafting.rules.tokens import COMPANY, NAME, is_fact, own_word
from leadflood.domain.drafting.rules.vocabulary import word_set

_BASE = word_set(
    """
    a an and are as at by for from has have i in is it its of on that the their they this to
    with you your you're it's that's at i've also both here i'm we which am be being there
    """
)
_KNOWING = (
    "see|saw|notice|noticed|learned|read|understand|know|came|across|gather|found|believe|think"
)
_WORDS = {
    "F_title": (
        "work works working role position title job your name listed being hold serve serving act"
        " acting department"
    ),
    "F_seniority": "work working level role position seniority",
    "F_department": "work works working department team side role",
    "F_city": "based located work works working live city office sit area",
    "F_country": "based located work works working live country",
    "F_company_country": (
        "based located company business headquarters headquartered country team work"
    ),
    COMPANY: (
        "work works working company business organisation organization team called role people"
        " colleagues staff job firm over part"
    ),
    "F_company_industry": (
        "work works working industry sector market space company business field operates active"
        " team operate firm organisation firms companies"
    ),
    "F_company_size": (
        "work works working people employees staff members workforce colleagues person employ"
        " employs company"
        " business team size about around roughly approximately some strong headcount"
        " organisation firm near nearly"
    ),
    "F_company_technologies": (
        "use uses using run runs running stack tools tool technology technologies includes"
        " include part"
        " including team company work works working rely relies relying people system systems"
    ),
    "F_company_founded": (
        "founded since year around company business established started began been going was"
        " dates back firm"
    ),
}
_ALLOWED = {field: frozenset(words.split()) for field, words in _WORDS.items()}
_EPISTEMIC = re.compile(
    r"^ (?:and |but |so |because |since |as )?(?:i|i've)(?: just| also| have)?"
    rf" (?:{_KNOWING})"
    r"(?: across)?(?: your (?:profile|website|page))?(?: and (?:saw|noticed|read|learned|see))?"
    r"(?: that| how)? (?:(?:on|from) (?:your )?(?:profile|website|page) (?:that )?)?"
)
_WRITING = re.compile(
    r"^ my question (?:to you |for you )?|^ (?:and |so |but )?(?:i am|i'm)(?: \w+)? (?:writing"
    r"|reaching out|contacting|asking"
    r"|getting in touch)(?: \w+)?"
    r" (?:to |you )*(?:because |as |since )?"
    r"|^ (?:it (?:looks like|seems)(?: that)?|from what i (?:see|read|can see)"
    r"|according to your (?:profile"
    r"|website)|in) (?=you|your|COMPANY)"
)
_LEADING = re.compile(r"^ (?:(?:because|since|so|and|but|where|which|while|given) )+")
_BEING = re.compile(r"^ (?:with )?(COMPANY|you) being (?=(?:a |an |the )?F_)")
_REASON = re.compile(
    r" (?:the reason|the reason why|the reason that|why) (?:i am|i'm|i) (?:writing|reaching out"
    r"|contacting|getting in"
    r" touch|asking|write|ask)(?: to)?(?: you)? $"
)
_FIRST_PERSON = re.compile(r" (?:i|we|our|us|my|me|i'm|we're|i've|we've) ")
_PERSONAL = frozenset({"F_title", "F_seniority", "F_department", "F_city"})
_YOU = re.compile(r" (?:you|your|you're|as|role|being) | NAME ")
_APPOSITION = re.compile(r" F_title (?:at|of|for) (?:the )?COMPANY ")
_WRONG = tuple(
    re.compile(pattern)
    for pattern in (
        (
            r" (?:you|i|we|NAME|team|people|who|you've) (?:have |has )?(?:founded|established"
            r"|started|began) "
        ),
        r" (?:founded|established|started|run|used|employed|headquartered) by ",
        r" (?:with|for|to|by|from|your|than) (?:a |an |the )?F_title ",
        r"(?<! role)(?<! title)(?<! position)(?<! job) of (?:a |an |the )?F_title ",
        r" F_title (?:of|for|to|with|at|in|and) (?:your|the team|people|a team) ",
        r" (?:with|to|by|on|own|over|than) (?:the )?COMPANY ",
        r" COMPANY (?:for|to|with|by) (?:you|your) ",
        r" (?:is|are|be) (?:a |an |the |part of )?COMPANY ",
        (
            r"(?<! title at)(?<! role at)(?<! position at) COMPANY (?:is|are|has|have|works?)"
            r" (?:a |an |the |as )?F_(?:title|seniority"
            r"|department|city|country) "
        ),
        (
            r" (?:COMPANY|it|they|company|business|team|people|its|their|headquarters)"
            r" (?:is |are |work |works |based |located )(?:based |located |in )*F_(?:city|country) "
        ),
        r"^ (?!you |your role |as |NAME )(?:\w+ )*?COMPANY in F_(?:city|country) ",
        r"^ (?:you|COMPANY) (?:in|at|from|of|with) (?!(?:the )?F_company_country $)",
        r" (?:for|over) F_company_size | F_title (?:of|for|with) F_company_size ",
        r" F_title .*F_company_founded | F_company_founded .*F_title ",
        (
            r" (?:use|uses|using|run|runs|on) (?:the |a |an )?(?:team|people|company|COMPANY|work"
            r"|F_title) "
        ),
        (
            r" (?:your|the|our|my) team (?:of|has|is|are) (?:about |around |roughly "
            r"|some )?F_company_size "
        ),
        r" your team .*F_company_(?:size|industry|founded) ",
        r" you (?:have|employ|are|run) (?:a |about |around |some |roughly )*F_company_size ",
        (
            r" (?:you|your team|people|team|staff|colleagues) (?:is|are) (?:a |the )?(?:team"
            r"|company|people|business) "
        ),
        r" NAME .*NAME (?:is|are|and) | you are NAME | NAME (?:is|are) (?!F_title)(?!the F_title)",
        r" (?:has|have) (?:COMPANY|a company|a business|an office|offices|F_city) ",
        (
            r" F_company_technologies (?:team|company|people|tool|tools|business|for|in|by|to"
            r"|from) (?!at|in |of|are)"
        ),
        r" (?:in|at|of) F_company_technologies | for F_company_technologies ",
        r" (?:with|for|to|by) F_company_industry | to (?:be|work|use|have) ",
    )
)
_BESIDE = {
    "F_company_size": re.compile(
        r" F_company_size (?:people|employees|staff|colleagues|strong|person) "
        r"| (?:size|headcount|team)(?: of| is| at| about| around| roughly)* F_company_size "
        r"| employ(?:s)?(?: about| around| roughly| some| nearly)* F_company_size "
    ),
    "F_company_founded": re.compile(
        r" (?:founded|established|started|began|since|year|going|back|around|business|company)"
        r"(?: in| to| is| since| from| the| year| around| was| back)* F_company_founded "
    ),
    "F_title": re.compile(
        r" (?:as|are|you're|is|role|title|position|job|being|NAME|listed|hold|see|you|^"
        r"|at COMPANY|of)"
        r"(?: as| is| of| a| an| the| title| role| position| (?:at|in) COMPANY)* F_title "
        r"|^ (?:a |an |the )?F_title "
    ),
    "F_city": re.compile(
        r" (?:in|from|near|around|of|the|your|city)(?: is| the)? F_city | F_city (?:office|area) "
    ),
    "F_country": re.compile(r" (?:in|from|country)(?: is| the)? (?:the )?F_country "),
    "F_company_country": re.compile(
        r" (?:in|from|country)(?: is| the)? (?:the )?F_company_country "
    ),
    "F_company_technologies": re.compile(
        r" (?:use|uses|using|run|runs|running|on|with|stack|includes?|including|tools?"
        r"|technolog\w+|see|and|rely|relies"
        r"|relying|works?|F_company_technologies|has|is|are|includes?|of)"
        r"(?: is| are| on| of| and| the| with| your| such as| both)* F_company_technologies "
        r"| F_company_technologies (?:is|are) part of your "
    ),
    "F_company_industry": re.compile(
        r" (?:in|within|of|the|a|an|as|industry|sector|is|COMPANY|space)(?: is| the| a"
        r"| an)* F_company_industry "
        r"|^ F_company_industry "
    ),
    "F_department": re.compile(r" (?:in|of|the|on|department|is)(?: the| is)* F_department "),
    "F_seniority": re.compile(r" (?:at|the|is|of|level)(?: the| a| is)* F_seniority "),
    COMPANY: re.compile(
        r"(?:^| (?:at|for|of|in|from|that|across|called|and|see|notice|noticed|saw|read|know|is"
        r"|like"
        r"|about|as|firm|how|both|understand|gather|learned)) (?:the )?(?:company "
        r"|business )?COMPANY "
        r"| COMPANY (?:is|has|uses|runs|works|employs) "
    ),
}


_AT = r"(?: (?:at|of|for|with) (?:the )?COMPANY)?(?: (?:in|from) (?:the )?F_\w*(?:city|country))?"
_ROLES = (
    re.compile(
        r" (?:(?:given|with|considering|because of|in|based on|from) (?:your|the) (?:role"
        r"|position|job|work|capacity|title"
        rf")(?: there)? (?:as|of)|as|being) (?:a |an |the )?F_title{_AT}(?: in mind)?(?= )"
    ),
    re.compile(rf" (?:in|at|given) (?:your|the) (?:role|position|job|work){_AT}(?= )"),
)
_LIKE_THEM = re.compile(
    r" (?:an? |other |some )?F_company_industry (?:company|business|firm|team|companies"
    r"|businesses|firms|teams)"
    r"(?: (?:in|from) (?:the )?F_company_country)?"
    r"(?: (?:with|of) (?:about |around |some )?F_company_size (?:people|employees|staff))?"
    r"(?: (?:like|such as) (?:COMPANY|yours))(?= )"
)
_THE_ROLE = re.compile(r"(?:(?<= for)|(?<=interest)|(?<= to)) the F_title (?:at|of) COMPANY(?= )")


def leave_out_roles(tokens: Sequence[str]) -> list[str]:
    """Return a clause without what it says of the reader in passing (`as F_title at COMPANY`).

    That much is proven; what remains must stand without it.
    """
    text = f" {' '.join(tokens)} "
    spans = [match.span() for form in _ROLES for match in form.finditer(text)]
    dropped = {
        text.count(" ", 0, index)
        for start, end in spans
        for index in range(start, end)
        if text[index] == " "
    }
    kept = [token for index, token in enumerate(tokens) if index not in dropped]
    plain = f" {' '.join(kept)} "
    named = _THE_ROLE.sub(" you", _LIKE_THEM.sub(" you", plain))
    return kept if named == plain else named.split()


def find_claim_fault(tokens: Sequence[str]) -> str | None:
    """Return what is wrong with a clause that cites facts; None: nothing."""
    words = [own_word(token) for token in tokens]
    fields = {token for token in words if is_fact(token)}
    if all(is_fact(token) or token in {"and", "the", NAME} for token in words):
        return None
    text = f" {' '.join(words)} "
    text = _REASON.sub(" here ", text)
    text = _BEING.sub(lambda match: f" {match[1]} is ", text)
    body = f" {_LEADING.sub('', _WRITING.sub('', _EPISTEMIC.sub('', text))).strip()} "
    allowed = _BASE.union(fields, [NAME], *(_ALLOWED.get(field, ()) for field in fields))
    for token in body.split():
        if token not in allowed:
            return f"unsupported:{token}"
    if _FIRST_PERSON.search(body):
        return "about_us"
    return None if _is_related(body, fields, text) else "relation"


def _is_related(body: str, fields: AbstractSet[str], text: str) -> bool:
    """Whether the words around the facts say of whom and what they are."""
    if any(pattern.search(body) for pattern in _WRONG):
        return False
    if any(field in _BESIDE and not _BESIDE[field].search(body) for field in fields):
        return False
    return fields.isdisjoint(_PERSONAL) or bool(_YOU.search(text) or _APPOSITION.search(body))
