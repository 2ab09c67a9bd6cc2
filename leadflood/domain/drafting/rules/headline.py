"""Headlines: subjects and parameters, which name facts and the offer and claim nothing."""

import re
from collections.abc import Sequence

from leadflood.domain.drafting.rules.courtesy import find_fault
from leadflood.domain.drafting.rules.presumptions import presumes
from leadflood.domain.drafting.rules.tokens import (
    COMPANY,
    FACT,
    ME,
    NAME,
    OFFER,
    RUN,
    PlainOfferWord,
    is_fact,
)
from leadflood.domain.drafting.rules.vocabulary import FUNCTION_WORDS, YOUR_OWN, word_set

_WORDS = (
    word_set(
        """
    a an and or for from to on about at in of with the your our you more over it is this ways
    way how question questions idea ideas thought thoughts note hello hi dear introduction
    intro message quick short brief call chat talk conversation exchange minute minutes time
    help less better regarding topic new first would could worth open interested interest
    useful relevant week next before after without than instead quickly why what which who when do
        does can may might be get make welcome re one two by into fewer every day are introducing
    via against per
    through
    """
    )
    | YOUR_OWN
)
_FOR_YOURS = re.compile(
    rf"^( (?:\w+ )*?(?:idea|ideas|thought)) for your (?:OFFER )+(?:(?:{'|'.join(YOUR_OWN)}) )?"
)
_ASKED_OF_YOURS = re.compile(
    r"(?:(?<= OFFER)|(?<= RUN)) (?:on|in|for|at|of) (?:COMPANY|your (?:OFFER )*OFFER) $|^ your"
    r" (?=thoughts on )"
)
_ASKS = word_set("could would can may might shall should is are do does")
_WRONG = tuple(
    re.compile(pattern)
    for pattern in (
        r" (?:COMPANY|NAME|F_\w+|you|your \w+) (?:RUN|OFFER) ",
        (
            r" (?:RUN|OFFER)(?: \w+){0,3} (?:by|about|from|with|of|at|in) (?:the )?(?:COMPANY|NAME"
            r"|F_\w+|you|your \w+) "
        ),
        r" (?:COMPANY|NAME|F_\w+|you|your \w+|it|this) is ",
        r" (?:RUN|OFFER) (?:COMPANY|NAME|F_\w+|is|are|was) ",
        r" is (?:COMPANY|NAME|F_\w+) ",
        r" (?:you|team|COMPANY) (?:with|and|from) (?:us|our) ",
        (
            r" (?:your|our|the|that|from|first|new|next|more) (?:\w+ )?(?:question|call|chat"
            r"|talk|conversation|exchange|message|note"
            r"|introduction|intro|idea|interest|help|questions) "
        ),
        (
            r" (?:thought|thoughts|message|note|question|call|hello|help|time|interest"
            r"|introduction) (?:from|of) (?:your|COMPANY|NAME|the) "
        ),
        r" our (?!RUN)| thanks? ",
        (
            r" your (?:\w+ )?(?:OFFER|RUN|time|day|calendar|attention|consideration|thoughts|views?"
            r"|feedback|reply|answer|opinion|role|work|position) "
        ),
        (
            r" (?!questions?|ideas?|thoughts?|note|it|this|words?)\w+ about (?:COMPANY|NAME|F_\w+"
            r"|you|your) "
        ),
        r" (?!team|question|idea|note|thought|NAME|people|colleagues|work|F_)\w+ at COMPANY ",
        r" F_\w+ (?:of|for|to|with|in) (?!COMPANY|F_city|F_country|F_company|F_department)",
        r" COMPANY (?:of|for|to|from|with|in) (?!F_c)",
        r" (?:of|over) (?!RUN|OFFER|your|F_|interest|help|time|COMPANY|use)",
    )
)


def find_headline_fault(tokens: Sequence[str], *, is_question: bool) -> str | None:
    """Return what is wrong with a headline; None: nothing."""
    markers = {NAME, COMPANY, ME, RUN, OFFER}
    tokens = [
        OFFER
        if isinstance(token, PlainOfferWord) and token not in _WORDS | FUNCTION_WORDS
        else token
        for token in tokens
    ]
    plain = [token for token in tokens if token not in markers and not token.startswith(FACT)]
    foreign = [token for token in plain if token not in _WORDS]
    text = _FOR_YOURS.sub(r"\1 for you ", f" {' '.join(tokens)} ")
    text = _ASKED_OF_YOURS.sub(" ", text) if is_question else text
    if is_question and tokens[0] in _ASKS and not any(token.startswith(FACT) for token in tokens):
        return find_fault(tokens, is_question=True)
    if any(pattern.search(text) for pattern in _WRONG) or presumes(text):
        return f"unsupported:{foreign[0]}" if foreign else "assertion"
    if not foreign:
        return None
    if any(is_fact(token) and token != COMPANY for token in tokens):
        return f"unsupported:{foreign[0]}"
    return find_fault(tokens, is_question=is_question)
