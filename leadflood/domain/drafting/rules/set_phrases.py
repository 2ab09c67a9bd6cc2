"""Set phrases: whole clauses of greeting, thanks, parting and politeness, which claim nothing."""

import re

_GREETING = re.compile(
    r" (?:hi|hello|hey|dear|greetings|good (?:morning|afternoon|evening|day))(?: there| NAME|"
    r" COMPANY| team"
    r"| everyone| all)* $"
)
_PARTING = re.compile(
    r" (?:(?:with |my )?(?:best|kind|kindest|warm|many)? ?(?:regards|wishes|greetings)|best|cheers"
    r"|(?:yours )?(?:sincerely|truly|faithfully)|warmly|all (?:the best|my best)|yours|(?:talk"
    r"|speak) soon"
    r"|take care|respectfully|regards"
    r"|have a (?:good|nice|great|lovely) (?:day|week|evening|afternoon|time))"
    r"(?: (?:and|from|to|you|your team|NAME|ME|COMPANY|RUN|OFFER))* $"
)
_THANKS = re.compile(
    r" (?:very much|a lot) $| (?:many |with )?(?:thank you|thanks) in advance for (?:your|any|a"
    r"|an)(?: short| quick| brief)? (?:reply|answer|feedback|thoughts|help) $"
    r"| (?:many |with )?(?:thank you|thanks)(?: so much| very much| a lot| in advance)?"
    r"(?: and (?:best |kind |warm )?(?:regards|wishes))?"
    r"(?: for (?:your )?(?:time|attention|consideration|reading|reading this(?: far)?"
    r"|reading(?: this)?(?: far)?|taking (?:the"
    r"|a) (?:time"
    r"|moment|minute)(?: to read(?: this)?)?|any (?:help|answer|reply|thoughts|feedback|view)"
    r"|considering(?: it| this)?|letting me know|pointing me [a-z ]+))?"
    r"(?: and have a (?:good|nice|great|lovely) (?:day|week|evening|afternoon))?"
    r"(?: in advance| NAME| ME| either way| anyway| and (?:best|kind|warm|many) (?:regards"
    r"|wishes))* $"
)
_WRITING = (
    r"(?:writing|asking|reaching out|contacting|getting in touch|write|ask)(?: to)?(?: you)?"
    r"(?: directly| today| personally)?"
)
_THIS = r"(?:this|it|that|this topic|this area|such topics|such things)"
_THERE = r"(?:at COMPANY|on your side|(?:in|on) your team|at your company|there)"
_AT_PRESENT = r"(?: (?:today|now|so far|at present|internally))?"
_DAYS = "monday|tuesday|wednesday|thursday|friday|tomorrow|morning|afternoon"
_NOT_FITTING = r"(?:(?:this|it|now) (?:is not|isn't)|you are not|you're not|not)(?: \w+){0,4}"
_ASIDES = (
    (
        r"(?:do|does) (?:you|your team|your company|COMPANY) (?:have|use|keep|need|sell|offer)"
        r"(?: (?:OFFER|RUN|a|an|any|the|in|of|for|with|and|or|its|to))* (?:OFFER|RUN)"
    ),
    r"(?:if (?:not|so|yes|no)|no|not|either way|otherwise|simply|of course)(?: \w+)?(?: at all)?",
    (
        r"no (?:problem|worries|pressure|obligation|rush|hurry|trouble|hard feelings)"
        r"(?: (?:at all|either way|if not))?"
    ),
    (
        rf"(?:no (?:problem|worries)(?: at all)?|that's fine(?: too)?|fine|no need to (?:reply"
        rf"|answer))"
        rf"(?: if {_NOT_FITTING})?"
    ),
    r"(?:with )?our (?:offer|idea)(?: is simple)?|what we offer|what we do|with us|we do one thing",
    (
        r"(?:what we (?:do|offer)|my (?:question|point|request)|the idea)(?: to you)? is (?:very"
        r" |quite )?"
        r"(?:simple|easy|this|short|quick|brief)"
    ),
    r"(?:(?:that|this|here) is|that's|here's) what (?:we|ME|OFFER) (?:do|does|offer|offers|is for)",
    rf"which is why (?:i am|i'm|i) {_WRITING}",
    r"(?:which is why )?i (?:thought|was thinking) of (?:you|COMPANY)(?: and your team)?",
    rf"(?:i am|i'm|i) {_WRITING}|though|get in touch(?: with me)?(?: directly| anytime)?",
    (
        r"(?:i am|i'm) (?:free|available)(?: for a(?: short| quick| brief)? (?:call|chat"
        r"|conversation))?"
        rf"(?: (?:on|this|next|or|and|week|{_DAYS}))*"
    ),
    r"i (?:won't|will not) (?:bother|disturb|contact|write to) you(?: again)?",
    r"(?:please )?excuse the (?:interruption|short message|message)",
    (
        r"(?:i )?(?:hope )?(?:that )?this (?:message |email |note )?(?:reaches|finds) the right"
        r" (?:person|inbox)"
    ),
    (
        rf"(?:i )?(?:believe|think|hope|feel|guess)(?: that)? {_THIS} (?:is|would be|will be)(?:"
        rf" very)?"
        r" (?:relevant|useful|interesting|helpful|of interest|of use|worth \w+|a good fit)"
        r"(?: (?:to|for) (?:you|your team|your company|COMPANY))*"
    ),
    r"(?:what|as|which)(?:ever)? (?:you|suits you)(?: would)? (?:prefer|like|better|best)",
    r"(?:and )?i work (?:on|in|for|at|with) (?:OFFER |RUN |ME )*(?:OFFER|RUN|ME)",
    r"(?:i'm|i am)(?: very| quite)? flexible|too|that way|in (?:short|brief)|in one line",
    (
        rf"(?:and |but )?(?:i'm|i am) not (?:sure|certain) (?:if|whether) {_THIS}"
        r" (?:is|would be|could be|fits)(?: \w+){0,5}"
    ),
    r"(?:i )?(?:don't|do not) want to take (?:up )?(?:too much|much|any)(?: of your)? time",
    rf"i hope you (?:don't|do not|won't) mind (?:me |my )?(?:{_WRITING}|(?:the|this) message)",
    (
        r"(?:that )?(?:you|you'd)(?: would| may| might| could| will)?(?: well)? be the(?: right|"
        r" best)?"
        r" (?:person|contact|one)(?: (?:to|for) \w+(?: (?:to|with|about|this|it|you|me))*)?"
    ),
    (
        r"(?:you|you'd)(?: would| may| might| will)? know (?:best|better)"
        rf"(?: (?:whether|if) {_THIS} (?:is|would be|could be|fits|might help|makes sense)"
        r"(?: \w+){0,3})?"
    ),
    (
        rf"how (?:do|does) (?:you|your team|your company|COMPANY) (?:handle|approach|organise"
        rf"|do) {_THIS}"
        rf"{_AT_PRESENT}"
    ),
    (
        rf"who (?:{_THERE} )?(?:handles|decides (?:on|about)|owns) (?:{_THIS}|(?:\w+ )?(?:OFFER"
        rf"|RUN)(?: OFFER)*)"
        rf"(?: {_THERE})?{_AT_PRESENT}"
    ),
    (
        r"(?:a |one )?(?:one |single )?(?:line|word|short|yes|no|quick)(?: (?:line|reply|answer"
        r"|or|two"
        r"|no|yes))* (?:is|would be|will be) (?:enough|plenty|fine|sufficient)"
    ),
    r"(?:and )?i thought (?:of|about) (?:you|COMPANY)(?: and your team)?",
    r"here is what we (?:do|offer)",
    r"(?:as far as i can|as i|i) (?:understand|read|see|believe|think|tell|saw|learned|noticed)",
    r"thoughts|any thoughts|interested|curious|sound good",
    r"just (?:a|one) (?:short |quick |brief )?(?:question|idea|thought|note|line)",
    r"allow me (?:a|one) (?:short |quick |brief )?(?:question|idea|thought|note|introduction)",
    r"(?:a |one )?(?:short|quick|brief) (?:and (?:simple|sweet)|in advance|from me)",
    (
        r"(?:my )?(?:sorry|apologies) (?:for (?:the interruption|writing|reaching out)|if .*bad"
        r" time)"
        r"(?: to you)?"
    ),
)
"""What may be said in passing."""
_FREE = re.compile(rf" (?:(?:and|but|so|or|then|also) )*(?:{'|'.join(_ASIDES)}) $")
_HOPE = re.compile(
    r" (?:i |we )?hope (?:that )?(?:you are|you're|you are all|all is|you and your team are"
    r"|this finds you"
    r"|this note finds you|this message finds you|this email finds you|your (?:week|day) is)"
    r"(?: (?:well|good|fine|doing|off|to|a|an|great|nice|lovely|start|starting|going|having|so"
    r"|far|week"
    r"|day|month|morning|afternoon|today|there))* $"
)
_FORMS = (_GREETING, _PARTING, _THANKS, _FREE, _HOPE)


def is_set_phrase(text: str) -> bool:
    """Whether a clause is a set phrase."""
    return any(form.fullmatch(text) for form in _FORMS)
