"""The key of the answer cache: the same question, of the same corpus, under the same configuration.

Only spelling is normalised, never meaning: no stemming, no stop words, no similarity. A question and its negation are
neighbours in every vector space; here they are as far apart as any two.
"""

import json
import re
import unicodedata
from collections.abc import Mapping
from typing import Any

from rag.values import sha256

MEANINGFUL = ("<super>", "<sub>", "<fraction>", "<circle>", "<square>")
"""Compatibility forms that say something: 10² is not 102."""
OPENING = "\"'`“”„‘’‚«»‹›¿¡ "
CLOSING = re.compile(
    r"""(?:(?<=[^\W\d_])|(?<=\d)(?!!)|(?<=\d!)(?!!))(?:["'`“”‘’«»‹›?？!！.。…,;:]|[ ](?=[?？!！"'”’»›]))+\Z"""
)
"""Sentence marks and quotes behind a letter or digit. What stands alone (`..`) or after a sign (`a[?`) is part of the question,
and so is a factorial."""


def normalised(question: str) -> str:
    """Unicode NFKC, lower case, single spaces, without the punctuation around it. The same result when applied again."""
    text = question if question.isascii() else "".join(map(compatible, unicodedata.normalize("NFC", question)))
    text = " ".join(unicodedata.normalize("NFC", text).lower().split())
    return CLOSING.sub("", text.lstrip(OPENING))


def compatible(character: str) -> str:
    if unicodedata.decomposition(character).startswith(MEANINGFUL):
        return character
    return unicodedata.normalize("NFKC", character)


def answer_key(question: str, *, configuration: Mapping[str, Any]) -> str:
    """SHA-256 over the normalised question and everything else that an answer depends on, as plain values."""
    told = {"question": normalised(question), **configuration}
    return sha256(json.dumps(told, sort_keys=True, separators=(",", ":"), ensure_ascii=False))
