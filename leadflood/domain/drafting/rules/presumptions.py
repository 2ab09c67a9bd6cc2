"""Presumptions: what a clause takes for granted that nobody has proven.

No meeting that was, no interest that was shown, no thing of the reader's that they may not have.
"""

import re

from leadflood.domain.drafting.rules.vocabulary import YOUR_OWN

_YOURS = "|".join(sorted(YOUR_OWN))
_PRESUMES = tuple(
    re.compile(pattern)
    for pattern in (
        r" (?:was|were|had|been|did) ",
        (
            r" (?:would|could|may|might|should|will|must|\w+'d|\w+'ll) have (?!a |an |any "
            r"|some |\d|time |"
            r"the time|(?:ten|fifteen|twenty|thirty) |few |questions |interest |room |$)"
        ),
        r" (?:wrote|found|said|met) ",
        (
            r" (?:have|has|i've|we've|you've) (?:\w+ )?(?:found|decided|agreed|booked|arranged"
            r"|asked"
            r"|thought|wanted|wondered|set|met|read|let|happened|interested|pleased|preferred) "
        ),
        r" our (?!RUN |OFFER |offer |idea |\w+ OFFER )",
        rf" your (?!(?:{_YOURS}) |own (?:{_YOURS}) |OFFER |RUN |\w+ OFFER )",
        (
            r" my (?!name |email |mail |calendar |side |question (?:is|here|$)|(?:message|email"
            r"|note"
            r"|mail) (?:to|on|along) )"
        ),
        (
            r" the (?:\w+ )?(?:call|calls|chat|talk|conversation|meeting|reply|answer|question"
            r"|questions"
            r"|interest|introduction|exchange|email|contact|coffee|demo|video|matter|problem"
            r"|problems"
            r"|feedback|feeling|message|note|mail|slot|decision|opinion) "
        ),
        (
            r" (?:this|that|these|those|another|other|more|next week's|last|later|earlier)"
            r" (?:call|chat|talk|conversation|meeting|calls|meetings) "
        ),
        r" (?:i|we|they) (?:all |both |just )?(?:know|knows|trust|see|like|love|need|want) ",
        (
            r"(?<! would)(?<! could)(?<! do)(?<! if)(?<! whether)(?<! when)(?<! whenever)(?<! may)"
            r"(?<! can)(?<! might)(?<! should)(?<! unless)(?<! case) you (?:all |both |just )?"
            r"(?:know|trust|see|like|love|call|talk|write|ask) "
        ),
        r" (?:back|along|forward) (?:to|with|on) (?:me|us|my|our) ",
        (
            r" (?:as|like|where|since|because|while|after|before|than) (?:you|i|they|he|she) "
            r"(?!think|believe|hope|would|could)"
        ),
        r" (?:as|like|where|when|since|because|while|after|before|than) we (?!RUN|OFFER)",
        r" when (?:i|they|he|she|you) (?!have (?:a|time|some) |would|could|might)",
        (
            r" do we (?:meet|start|talk|call|speak) | are we on | are you ready | start (?:on|with"
            r"|now) "
        ),
        r" let(?: us|'s) (?:start|meet on|continue) | to thank | likes ",
        (
            r" do you (?:like|find|work|use) (?!any|(?:this|it|that) (?:useful|helpful|relevant"
            r"|interesting))"
        ),
        r" what (?:you|your \w+|COMPANY) (?:needs?|wants?|likes?|has|have) ",
        r" (?:is|are) (?:the )?(?:RUN|OFFER) (?:\w+ )*(?:fine|ready|ok|okay|good|right|now) ",
        r" you (?:time|days|hours|much) ",
        (
            r" more of | of our | (?:which|who|what) of | than before | before $| (?:get|come"
            r"|getting|coming|am|is|are) back "
        ),
        r" (?:know|meet|have|had) (?:you|your team|your company) (?!in mind)",
        r" see you ",
        (
            r" (?:hear|see|know|find|learn|read|understand|glad|happy|pleased|nice|good|great"
            r"|lovely)"
            r" (?:that|how) (?:you|your|we|they|our(?! OFFER| RUN| offer)|i|COMPANY) "
        ),
        r" (?:between|both of) (?:us|you|our) ",
        r" (?:could|may|might|would) do with ",
        r" about your (?:reply|answer|attention|consideration|time) ",
        (
            r" (?:one|some|someone|any|many|most|all|each|others) of (?:us|you|your|our"
            r"|them) (?!would"
            r"|could|might|may|should)"
        ),
        r"(?<=\w) (?:\w+ )?with (?:us|we) ",
        r" (?:him|her|his|he|she|they|their|they're) ",
        r" (?:i'm|am|is|are|be|as) (?:a |an |the |your )?(?:contact|person|team|reply) ",
        (
            r" (?:contact|person|colleague|someone|somebody|people) (?:of|in|at|from) (?:mine|ours"
            r"|your) "
        ),
        r" (?:good|nice|great|lovely|best|better|right|first) (?:company|team|business|work) ",
        r" (?:about|on|from|regarding|for) your (?:\w+ )?OFFER ",
        r" so (?:good|great|nice|well|helpful|useful|interesting|much|many) | keep ",
        r" for (?:you|your \w+) to (?!be able|hear|see|read|have a|decide)",
        (
            r"(?<! would)(?<! could)(?<! do)(?<! if)(?<! whether)(?<! when)(?<! whenever)(?<! may)"
            r"(?<! can)(?<! might)(?<! should)(?<! unless)(?<! case)(?<! think)(?<! hope)"
            r"(?<! something) you"
            r" (?:have|need|want|are|do) "
        ),
        r"(?<! write)(?<! contact you)(?<! reach out) again ",
        r" (?:a lot|lots) $| lots of | by us ",
        r"(?<!hear)(?<!hearing)(?<!write) back ",
        (
            r" (?:more|less|better|other) than | (?:happy|glad|pleased) with | like (?:our|the|us"
            r"|your) "
        ),
        r" (?:we are|we're|you are|you're) (?:\w+ ){0,2}OFFER ",
        (
            r" (?:which|who|why|when|how many|how much|what(?! if your (?:OFFER )+(?:could|would"
            r"|might))|where) (?:(?!would|could|can|may"
            r"|might)\w+ )*"
            r"(?:your (?:\w+ )?OFFER|COMPANY) "
        ),
        r" never | nothing | nobody ",
    )
)
_WAS_WONDERING = re.compile(r" i (?:was|thought|wondered|wanted)(?: just| only)?(?= )")
_WOULD_YOU = re.compile(r" (?:would|could) you (?:like|love|want|need|prefer|rather)(?= )")
_FOR_THEIRS = re.compile(
    r" (?:could|would|might|may|can|is) (?:this|it|that|something like this|ME|(?:OFFER |RUN"
    r" )*(?:OFFER|RUN))(?: be| work| help)?"
    r"(?: something| relevant| useful| helpful| of interest| of use| an option| interesting|"
    r" worthwhile| a fit)?"
    rf" (?:for|to) your (?:OFFER )+(?=(?:{_YOURS})? ?(?:$|or |at |in ))"
)
_RIGHT_PERSON = re.compile(
    r" (?:the|a) (?:right|best|better) (?:person|contact|team|one|time|moment|way|day|fit|place) "
)


def presumes(text: str) -> bool:
    """Whether a clause takes something for granted that nobody has proven."""
    plain = _RIGHT_PERSON.sub(" it ", _WAS_WONDERING.sub(" i wonder", text))
    plain = _FOR_THEIRS.sub(" could it help you", _WOULD_YOU.sub(" would you", plain))
    return any(pattern.search(plain) for pattern in _PRESUMES)
