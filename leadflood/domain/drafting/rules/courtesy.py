"""Courtesy: what a draft may say without a fact: greet, ask, offer, part.

Words alone do not tell a request from an invention ("thanks for the call" needs no unusual one).
So a clause must have one of the forms below, and must presuppose nothing: no meeting that was, no
interest that was shown, no statement about the reader or their company.
"""

import re
from collections.abc import Callable, Sequence

from leadflood.domain.drafting.rules.presumptions import presumes
from leadflood.domain.drafting.rules.set_phrases import is_set_phrase
from leadflood.domain.drafting.rules.tokens import (
    COMPANY,
    FACT,
    ME,
    NAME,
    OFFER,
    RUN,
    PlainOfferWord,
    is_content,
    is_fact,
    is_in_order,
    stem,
)
from leadflood.domain.drafting.rules.vocabulary import (
    CONNECTIVE_WORDS,
    FUNCTION_WORDS,
    YOUR_OWN,
    word_set,
)

_SINGLE = FUNCTION_WORDS | CONNECTIVE_WORDS | YOUR_OWN
_YOURS = "|".join(sorted(YOUR_OWN))
_MODAL = re.compile(
    r" (?:would|could|can|may|might|shall|should|\w+'d|let's|to see (?:if|whether)) "
)
_INDICATIVE = re.compile(
    r" (?:is|are|am|was|were|has|have|had|do|does|did|\w+'s|\w+'re|\w+'ve|i'm|knows?|needs?|wants?"
    r"|makes?|works?|fits?|suits?|sees?|belongs?|trusts?|prefers?|follows?|feels?|thinks?|finds?"
    r"|decides?|understands?|asks?|starts?|keeps?) "
)
_PROPOSALS = re.compile(
    r" (?:a|an|any|one|some) (?:\w+ ){0,3}?"
    r"(?:call|chat|talk|conversation|meeting|question|questions|note|message|email|mail|line|idea"
    r"|ideas|thought|exchange|demo|overview|example|summary|page|video|coffee|slot|reply|answer"
    r"|introduction|fit|feedback|problem|week|day|time) "
)
_THIS_IS = re.compile(
    r" (?:this is|here is|here's|it's|it is)(?: just| only)? (?:a|one|my|the|why|how|where|what) "
)
_INTENT = re.compile(
    r" (?:i am|i'm|we are|we're)(?: \w+)? (?:writing|reaching|wondering|curious|(?:happy"
    r"|glad) to|asking"
    r"|contacting|looking forward to|hoping|getting in touch|sharing|(?:very )?(?:interested in"
    r"|curious about) your (?:view|views|opinion|thoughts|feedback)) "
    r"| (?:i|we)(?: just| only| simply)? (?:wonder|wondered|hope|believe|think|thought|wanted"
    r"|appreciate|look forward to (?:hearing|your|it|any))(?: |$)"
    r"| i(?: just| only| simply)? (?:ask|write) (?:to (?:you|ask|see|share|find|say|introduce)"
    r"|because|with|as|whether|if) "
    r"| i was(?: just| only)? (?:wondering|hoping|thinking|curious|asking) "
    r"| i have (?:a|an|one|two|some|only one)(?: \w+){0,2} (?:question|questions|idea|ideas"
    r"|thought|offer) "
    r"| (?:i am|i'm|my name is|this is|it's) ME "
    r"| hope to hear from you | happy to | glad to | pleased to | looking forward to (?:hearing"
    r"|connecting|your (?:reply|answer"
    r"|thoughts"
    r"|view|views|feedback|opinion)|learning|(?:a|any) )"
)
_START = re.compile(
    r" (?:(?:and|but|or|so|also|then|that|maybe|perhaps|please|because|since|as"
    r"|while) )*"
)
_ABOUT_THEM = re.compile(
    r" (?:you|you're|you've|your|they|they're|he|she|NAME|COMPANY|those|people|someone|everyone"
    r"|F_\w+|it|it's|this|that|that's|there|there's|who|which|we|we're|we've|our|us|what|all"
    r"|no one) "
)
_IMPERATIVE = re.compile(
    r" (?:please|simply|don't|do not|have (?:few|a few|time|a minute|a moment)|let|feel|reply"
    r"|write|call|tell|drop|send|give|pick|say"
    r"|just|ask|point|pass|forward"
    r"|take|have a look|see (?:if|whether|RUN|OFFER|how)|should|would|could|can|may|might|if"
    r"|whether"
    r"|unless|in case|worth|open to|any|what|when|which|who|how|where|is|are|do|does|shall|will"
    r"|let's) "
)
_FRAGMENT = re.compile(
    r" (?:before|after|without|less|more|for|about|on|with|to|in|at|from|by|during|next|this"
    r"|any|some|a|an|one|or|and|short"
    r"|quick|brief"
    r"|briefly|today|tomorrow|monday|tuesday|wednesday|thursday|friday|early|late|maybe|perhaps"
    r"|ideally"
    r"|please|RUN|OFFER|NAME|ME|COMPANY|no|not|without|whenever|either|also|then|so|simply|gladly) "
)
_THEIRS = re.compile(rf" (?:COMPANY|NAME|F_\w+|your (?:{_YOURS})) ")
_OURS = FUNCTION_WORDS | word_set(
    "RUN OFFER COMPANY ME offer offers handle handles deliver provide supply deliver delivers"
    " provides help helps show shows make makes teams companies like time simply also"
    " just only way ways easily work works start starts day week month hours minutes online page"
    " yours such see find finds better call calls email mail phone video summary week's"
)
"""What may be said of us beside the words of the offer."""
_BENEFIT = re.compile(
    r" (?:you|your (?:OFFER|staff|team|people|colleagues|company))"
    r"(?: (?:would|could|can|may|might)(?: (?:get|have|see))?| (?:get|gets)) "
)
"""What whoever takes the offer gets; the rest must be the offer's."""
_JOINING = word_set(
    "a an the and or of for to in on at by with from we our it its is are be can could may this"
    " these that so also"
    " then them they their each one help helps companies teams customers offer provide deliver"
    " delivers"
    " provides supply supplies arrive arrives"
)
_QUANTIFIERS = word_set("all any most both always everything everyone everybody")
_FOR_YOU = re.compile(r" (?:for|to|of|with|by|from) you ")
_LIKE_THEIRS = re.compile(r" (?:like|such as) (?:COMPANY|yours|your \w+) ")
_EXAMPLES = re.compile(rf"{_LIKE_THEIRS.pattern}\w")
_COMPLEMENT = re.compile(
    r"^ (?:(?:and|but|so|also) )*(?:i|we) (?:just |only )?(?:was (?:just )?(?:thinking|hoping)"
    r"|think|thought|believe|hope|wonder|wondered"
    r"|was wondering|feel|guess)(?: that)? (?=\w)"
)
_WONDERS = re.compile(r" (?:if|whether|how|what|who|when|which) ")
_YOUR_THING = re.compile(r" (?:your (?:\w+ )?OFFER|your RUN|(?<!like )yours|your own) ")
_DAYS = re.compile(
    r" (?:monday|tuesday|wednesday|thursday|friday|tomorrow|today|next week|this week|next month) "
)
_NOT = re.compile(r" (?:\w+n't|cannot|no|not|never|neither|nor|without|nothing|nobody) ")
_WILL = re.compile(
    r" (?:you|your \w+|COMPANY|NAME|they) (?:will|shall) (?!find (?:more"
    r"|details) )| (?:you'll|they'll) (?!find (?:more|details|it|RUN|OFFER) )"
)
_DEMAND = re.compile(r" (?:please|kindly) (?:OFFER|RUN) ")
_FUTURE = re.compile(
    r" (?:i'll|i will|we'll|we will)(?: \w+)? (?:send|share|call|write|reply|be|keep|get|show|tell"
    r"|explain|follow|give|answer|find|make|arrange|set|suggest|try|check|wait) "
)
_THEIR_WISH = re.compile(
    r" (?:you|your \w+|COMPANY|NAME)(?: would| should|'d)(?= )| (?:you'd|they'd) "
    r"| (?:you|your \w+|COMPANY|NAME) (?:may|might|could|can) (?:well |as well |also )*"
    r"(?:start|have time|want (?:more|us|it)|be (?:ours|open|ready|late|happy)|use (?:some|our"
    r"|more)"
    r"|meet|talk|need|wait|miss|lose|call) "
)
"""What the reader wishes or lacks, put as a possibility."""
_SPEAKER = re.compile(r" (?:we|i|you|they) ")
_BEGS = re.compile(r" (?:if|whether|please|let|just|feel|happy to|glad to|looking forward) ")
_MAY_DENY = re.compile(
    r" (?:if|whether|unless|in case|i am not sure|i'm not sure|don't hesitate|do not hesitate"
    r"|(?:please )?(?:let me know|tell me|just say|say) (?:if|whether)|should (?:this|it|that"
    r"|you)) "
)
_ASKED_OF_IT = re.compile(r" (?:this|it|that)(?: is|'s) ")
_HEDGE = re.compile(r" (?:perhaps|maybe) ")
_ASKED = re.compile(r" (?:what|which|who|how|where|when|all) ")
_NOTED = re.compile(rf"{_PROPOSALS.pattern}| (?:my name|why i|how|what) ")
_THEY_AS_EXAMPLE = re.compile(r" (?!we |our )(?:\w+ ){0,2}(?:like|such as) ")
_OF_THE_READER = re.compile(r" (?:you|your|they|NAME|COMPANY|F_\w+|he|she|people|someone) ")
_MINUTES = re.compile(
    r" (?:5|10|15|20|25|30|45|one|two|three|five|ten|fifteen|twenty|thirty)(?= (?:minute"
    r"|minutes|min) )"
)


def find_fault(tokens: Sequence[str], *, is_question: bool) -> str | None:
    """Return what is wrong with a clause that claims nothing; None: nothing."""
    text = _MINUTES.sub(" few", f" {' '.join(tokens)} ")
    if (word := _foreign_word(text.split())) is not None:
        return f"unsupported:{word}"
    if is_in_order(tokens) and _repeats_offer(tokens):
        return None
    if not is_in_order(tokens) or not _is_harmless(text, is_question=is_question):
        return "assertion"
    return None


def _repeats_offer(tokens: Sequence[str]) -> bool:
    """Whether a clause has no words but the offer's, and those that join them."""
    match = _BENEFIT.match(f" {' '.join(tokens)} ")
    start = len(match.group().split()) if match else 0
    foreign = [
        token
        for token in tokens[start:]
        if not (is_content(token) or isinstance(token, PlainOfferWord) or token in _JOINING)
    ]
    return not foreign and RUN in tokens and {"you", "your"}.isdisjoint(tokens[start:])


def _foreign_word(tokens: Sequence[str]) -> str | None:
    for token in tokens:
        is_marker = token in {NAME, COMPANY, ME, RUN, OFFER} or token.startswith(FACT)
        if not (is_marker or token in _SINGLE or stem(token) in _SINGLE):
            return token
    return None


def _is_harmless(text: str, *, is_question: bool) -> bool:
    if is_set_phrase(text):
        return True
    if presumes(text):
        return False
    if match := _COMPLEMENT.match(text):
        rest = f" {text[match.end() :]}"
        is_open = (
            _WONDERS.match(rest) is not None or "hop" in match.group() or "wonder" in match.group()
        )
        return is_open or _is_harmless(rest, is_question=is_question)
    start = _START.match(text)
    rest = f" {text[start.end() :]}" if start else text
    if rest.strip() == "" or all(token in {NAME, ME, "and", "the"} for token in rest.split()):
        return True
    return _has_form(rest, text, is_question=is_question)


def _has_form(text: str, whole: str, *, is_question: bool) -> bool:
    clause = _Clause(text, whole, is_question=is_question)
    if _is_barred(clause):
        return False
    for start, form in _FORMS:
        if start.match(text):
            return form(clause)
    return clause.is_question and clause.verb is None


class _Clause:
    """A clause that presumes nothing, and what its form depends on.

    `whole` is it with the words that lead it in.
    `is_modal`: it says what could be. `is_open`: that, or it asks or begs.
    """

    def __init__(self, text: str, whole: str, *, is_question: bool) -> None:
        modal, self.verb = _MODAL.search(text), _INDICATIVE.search(text)
        self.text = text
        self.whole = whole
        self.tokens = text.split()
        self.is_question = is_question
        self.is_modal = modal is not None and (
            self.verb is None or modal.start() < self.verb.start()
        )
        self.is_open = is_question or modal is not None or _BEGS.match(text) is not None


def _is_barred(clause: _Clause) -> bool:
    """Whether a clause speaks of facts, the reader's things, days or denials as if they were so."""
    text = clause.text
    if _DEMAND.search(clause.whole):
        return True
    if _NOT.search(text) and not clause.is_question:
        return not _MAY_DENY.match(text)
    if _THEIR_WISH.match(text) and not clause.is_question:
        return True
    has_facts = any(token.startswith(FACT) for token in clause.tokens)
    if (has_facts and not clause.is_question) or _WILL.match(text):
        return True
    return not clause.is_open and bool(_YOUR_THING.search(text) or _DAYS.search(text))


def _is_allowed(_clause: _Clause) -> bool:
    return True


def _is_intent(clause: _Clause) -> bool:
    is_future = _FUTURE.match(clause.text) is not None
    return clause.is_modal or is_future or _INTENT.match(clause.text) is not None


def _says_nothing_of_them(clause: _Clause) -> bool:
    if clause.is_question and _ASKED.match(clause.text):
        return True
    if _ASKED_OF_IT.match(clause.text) and (clause.is_question or _HEDGE.match(clause.whole)):
        return True
    is_note = _THIS_IS.match(clause.text) and _NOTED.search(clause.text)
    return clause.is_modal or bool(is_note) or _says_our_offer(clause)


def _asks_politely(clause: _Clause) -> bool:
    """Whether an order or a question leaves the offer and the reader apart."""
    has_both = _THEIRS.search(clause.text) and _has_offer(clause.tokens)
    if has_both and not clause.is_modal and not clause.is_question:
        return _LIKE_THEIRS.search(clause.text) is not None
    return True


def _is_fragment(clause: _Clause) -> bool:
    is_wide = _EXAMPLES.search(clause.text) is not None or (
        _has_offer(clause.tokens) and not _QUANTIFIERS.isdisjoint(clause.tokens)
    )
    if is_wide and not clause.is_open and not _says_our_offer(clause):
        return False
    is_said = clause.verb is not None or _SPEAKER.search(clause.text) is not None
    return _asks_politely(clause) and (not is_said or clause.is_modal or _says_our_offer(clause))


def _says_our_offer(clause: _Clause) -> bool:
    """Whether we, or it, are said to be or do what the offer says, and nothing about the reader."""
    text, tokens = clause.text, clause.tokens
    if not _QUANTIFIERS.isdisjoint(tokens):
        return False
    if not _has_offer(tokens) or _OF_THE_READER.match(text) or _THEY_AS_EXAMPLE.match(text):
        return False
    if _THEIRS.search(text) and not _LIKE_THEIRS.search(text):
        return False
    if _FOR_YOU.search(text) or not _OURS.issuperset(tokens):
        return False
    return not any(is_fact(token) and token != COMPANY for token in tokens)


def _has_offer(tokens: Sequence[str]) -> bool:
    return any(map(is_content, tokens))


_FORMS: tuple[tuple[re.Pattern[str], Callable[[_Clause], bool]], ...] = (
    (re.compile(r" (?:if|whether|unless|in case|should you) "), _is_allowed),
    (_INTENT, _is_intent),
    (re.compile(r" (?:i|i'd|i'll|we'd|we'll|ME) "), _is_intent),
    (_ABOUT_THEM, _says_nothing_of_them),
    (_IMPERATIVE, _asks_politely),
    (_FRAGMENT, _is_fragment),
    (re.compile(r" (?:RUN|OFFER) "), _is_fragment),
)
"""How a clause may begin, and what must then be so; the first that fits decides."""
