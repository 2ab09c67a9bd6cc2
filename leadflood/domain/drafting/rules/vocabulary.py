"""The words a message may use without proof, and those it may never use.

English; in another language a written draft is refused and the template speaks.
"""


def word_set(text: str) -> frozenset[str]:
    """Return the words of a text."""
    return frozenset(text.split())


FUNCTION_WORDS = word_set(
    """
    a an and are as at be been but by can could do does for from had has have he her his how i if
    in into is it its me my of on or our she so than that the their them then there these they this
    those to too us was we were what when where which while who why will with would you your yours
    i'm i'd i'll i've we're we'd we'll we've you're you'd you've they're it's it'd that's here's
    let's am both either no not nor neither never without between because although though since
    isn't aren't don't doesn't won't wouldn't can't cannot myself yourself itself someone somebody
    anyone anybody something anything nothing off up down out over before after during each all any
    some other others one ones about now whenever
    """
)
"""Words that say nothing by themselves; which of them may stand where, the forms below say."""

CONNECTIVE_WORDS = word_set(
    """
    hi hello hey dear good morning afternoon evening day thanks thank many best kind regards cheers
    sincerely faithfully truly greetings warm warmly wishes please ask asking reach reaching write
    writing thought thoughts think thinking wondering wonder wondered hoping curious question
    questions quick quickly short shortly brief briefly call calls chat talk talking conversation
    contact contacting speak speaking discuss exchange minutes minute min hour week weeks time times
    open interested interest interesting useful helpful help relevant worth worthwhile make makes
    sense sound sounds know hear hearing happy glad pleased love like would share sharing more
    details detail information learn look looking forward reply answer let get touch introduce
    introducing introduction name note message mail email line idea ideas may might shall should
    here just also only problem problems worries pressure obligation rush trouble hurry feel free
    whether soon next this fit topic hope well find finds connect connecting suit suits right person
    better reason attention consideration convenience calendar schedule slot monday tuesday
    wednesday thursday friday tomorrow today later early late send show explain tell see explore
    compare walk through try happen bring point direct pass along back hold meet meeting coffee
    video phone online demo overview example summary page follow want wanted need much little bit
    few couple advance take taking reading read moment possible perhaps maybe say yes nice lovely
    great week's month quarter priority focus matter matters way ways work works start discussing
    explaining showing answering feedback view views opinion chance decide appreciate appreciated
    grateful understand wrong otherwise instead unless case simply gladly doing fine lot lots
    consider imagine seeing hours curiosity option possibility opportunity welcome respond response
    convenient appropriate suitable informal small keen okay ok sure certain sometime directly
    kindly alternatively coming days months day's jump hop catch drop propose check specifics info
    insight insights perspective context background else whoever far wait minute's interests
    discussion appointment diary agenda date subject purpose theme alternative input advice sort
    type sorry apologies apologise apologize excuse bother disturb interrupt listen describe mention
    mentioning pick choose choosing test begin quite very personally happily easy clear valuable
    handle handles handling done further first enough assist support value anytime intrude
    interruption belong belongs plan plans topics subjects receive allow keep flexible
    ourselves planning benefit benefits reaches service services passing deliver delivers delivered
    provide provides provided supply supplies supplied arrive arrives such apply applies unsure
    aware familiar message's inbox straight enjoy rest weekend afterwards beforehand together
    comfortable learning giving suggestion suggestions respectfully care fair exactly
    really going sent suggest mind ignore simple offer believe guess notes entirely fully certainly
    either set arrange book agree prefer preferred ready yours ahead give willing having currently
    choice again hesitate same confident pleasure takes considering wishing thing mean sample
    include getting available use exploring looks adapt colleague
    """
)
"""Words of greeting, asking and parting; they stand without a claim, in the forms of a request."""

YOUR_OWN = word_set(
    """
    team teams company business organisation organization side time day week calendar end
    convenience schedule attention consideration colleagues people staff thoughts view views
        feedback reply answer agenda employees office customers website opinion role work way
    position department
    """
)
"""What a reader has anyway: to name it says nothing about them."""

FORBIDDEN_PHRASES = (
    "act now",
    "as discussed",
    "as an ai",
    "as promised",
    "assistant:",
    "click here",
    "congratulations",
    "developer message",
    "disregard",
    "following up on",
    "free money",
    "guarantee",
    "i am an ai",
    "ignore all",
    "ignore any",
    "ignore previous",
    "ignore the",
    "language model",
    "last chance",
    "limited time",
    "lorem ipsum",
    "new instructions",
    "opt out",
    "our last call",
    "our last meeting",
    "password",
    "per my last",
    "previous instructions",
    "prompt",
    "risk-free",
    "system:",
    "unsubscribe",
    "urgent",
    "wire transfer",
    "you have won",
    "you must",
    "100% free",
)
"""Pressure, false acquaintance, talk of machines, and what belongs to our own footer."""

INSTRUCTION_WORDS = word_set(
    "ignore disregard instruction instructions chatgpt jailbreak pretend http https www"
)
"""Words that no name, title, town or tool contains: a value with one is kept out of messages."""

SENTENCE_WORDS = word_set(
    "i we you your are were must please say tell write reply answer that should will"
)
"""Words of which a name or title holds one by chance; two make it a sentence, kept out too."""
