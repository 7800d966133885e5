"""What gives a label away: a caption that names a diagnosis, a text that betrays that its author was told.

Names are found whatever their case, hyphens, spelling (British or American), plural or Chinese white space, and inside
a negation too: a caption that says what it is not has interpreted. Words that only look alike ("psoriasiform",
"warty", "acneiform") are none. What no list knows is not found: the flags are a net, not a proof.
"""

import json
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

from scoring.diagnosis import names_reference, word_form
from scoring.narrative_format import sentences

NAMES_REFERENCE, NAMES_DIAGNOSIS = "names_reference", "names_diagnosis"
TOLD, SPEAKS_OF_CAPTION, AGAINST_LABEL = "told", "speaks_of_caption", "against_label"
HOLDING = frozenset({NAMES_REFERENCE, NAMES_DIAGNOSIS, TOLD})
TERMS = Path(__file__).parent / "diagnosis_terms.json"
# labels that are words of morphology, or say nothing: a caption may use them, unless one is the case's own reference
PLAIN_WORDS = frozenset(
    {
        *("cyst", "scar", "ulcer", "erosion", "macule", "papule", "patch", "plaque", "nodule", "vesicle", "bulla"),
        *("pustule", "rash", "lesion", "tumor", "erythema", "scale", "crust", "callus", "bruise", "burn", "blister"),
        *("wound", "fissure", "normal", "healthy", "benign", "malignant", "other", "unknown", "none", "skin"),
    }
)
_WORD = re.compile(r"[a-z0-9]+(?:['\u2019]s(?![a-z0-9]))?", re.IGNORECASE)  # Bowen's disease
_HAN = re.compile(r"[\u3400-\u9fff\uf900-\ufaff]")
_IRREGULAR = {"nevi": "nevus", "lentigines": "lentigo", "carcinomata": "carcinoma", "verrucae": "verruca",
              "verruce": "verruca", "melanomata": "melanoma"}  # fmt: skip
_SHORTEST_JOINED = 9  # letters of a name that is found written as one word
_LONGEST_SHORT = 5  # letters of an abbreviation, which counts in capitals only

_GIVEN = r"(?:given|provided|supplied|stated|known|reference|gold|assigned|target|labell?ed|annotated)"
_BETRAYALS = (
    rf"\b{_GIVEN}\s+(?:reference\s+|final\s+|clinical\s+|correct\s+)?(?:label|diagnosis|answer)\b",
    r"\bgiven\s+(?:that\s+)?(?:the|this|its)\s+(?:label|diagnosis|answer|ground[\s-]*truth)\b",
    r"\bground[\s-]*truth\b",
    r"\bgold[\s-]*standard\s+(?:label|diagnosis|answer)\b",
    r"\b(?:according\s+to|as\s+per|per|based\s+on|consistent\s+with|in\s+line\s+with|matche?s?)\s+the\s+"
    r"(?:label|annotation|provided|given|reference\s+(?:label|diagnosis))\b",
    r"\bdiagnosis\s+(?:is|was|has\s+been)\s+(?:already\s+)?(?:given|provided|known|supplied)\b",
    r"\b(?:i|we)\s+(?:was|were|am|are|have\s+been|had\s+been)\s+(?:told|given|informed)\b",
    r"\bas\s+(?:labell?ed|annotated)\b",
    r"\bthe\s+label\s+(?:states?|says?|is|indicates?|confirms?|reads?)\b",
    r"(?:给定|已知|所给|提供|给出)的?(?:参考|最终)?(?:诊断|标签|答案)",
    r"参考诊断|标注的?诊断|诊断标签|真实标签|金标准(?:诊断|标签)",
    r"(?:根据|按照|依据).{0,4}(?:标签|标注|真值)",
)
_TOLD = re.compile("|".join(_BETRAYALS), re.IGNORECASE)
_CAPTION = re.compile(
    r"\b(?:the|this)\s+(?:provided\s+|given\s+)?(?:caption|description)\b|\bas\s+described\s+in\s+the\s+text\b"
    r"|(?:根据|依据|按照).{0,4}描述|描述(?:中|提到)",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Flag:
    """``words``: what was found, as it stands in the text."""

    kind: str
    words: str

    def as_dict(self) -> dict[str, str]:
        return asdict(self)


@dataclass(frozen=True)
class _Token:
    form: str
    start: int
    end: int


class Vocabulary:
    """Names of diagnoses: those that come with the program, with their synonyms, and ``labels`` of the cases."""

    def __init__(self, labels: Iterable[str] = ()) -> None:
        self._labels = tuple(label for label in labels if not _is_plain(label))
        names = {name for group in shipped_groups() for name in group} | set(self._labels)
        self._han = sorted((_joined(name) for name in names if _HAN.search(name)), key=len, reverse=True)
        self._short = {name for name in names if _is_short(name)}
        self._forms = _by_first(name for name in names if not _HAN.search(name) and not _is_short(name))
        self._own: dict[str, tuple[set[tuple[str, ...]], set[str]]] = {}

    def named(self, text: str, reference: str) -> list[Flag]:
        """Every diagnosis that ``text`` names, each once; ``reference``: the label of the case and its synonyms."""
        plain = _plain(text)
        own, own_short = self._names_of(reference)
        found = [
            Flag(NAMES_REFERENCE if forms in own else NAMES_DIAGNOSIS, plain[start:end])
            for forms, start, end in self._spans(plain, own)
        ]
        for short in sorted(self._short | own_short):
            found += [
                Flag(NAMES_REFERENCE if short in own_short else NAMES_DIAGNOSIS, word[0])
                for word in re.finditer(rf"(?<![^\W_]){re.escape(short)}(?![^\W_])", plain)
            ]
        found += self._chinese(plain, reference)
        if not any(flag.kind == NAMES_REFERENCE for flag in found):
            found += [
                Flag(NAMES_REFERENCE, plain[start:end])
                for start, end in sentences(plain, 0, len(plain))
                if names_reference(plain[start:end], reference)
            ]
        return list(dict.fromkeys(found))

    def _spans(self, plain: str, own: set[tuple[str, ...]]) -> list[tuple[tuple[str, ...], int, int]]:
        """The longest name at each place, left to right."""
        tokens = [_Token(_form(word[0]), word.start(), word.end()) for word in _WORD.finditer(plain)]
        extra = _by_first(" ".join(forms) for forms in own)  # the reference, where it is a word of morphology too
        found, place = [], 0
        while place < len(tokens):
            first = tokens[place].form
            candidates = self._forms.get(first, ()) + extra.get(first, ())
            forms = max((one for one in candidates if _stands(tokens, place, one[0])), key=_length, default=None)
            if forms is None:
                place += 1
                continue
            name, length = forms
            found.append((name, tokens[place].start, tokens[place + length - 1].end))
            place += length
        return found

    def _names_of(self, reference: str) -> tuple[set[tuple[str, ...]], set[str]]:
        """The reference and its synonyms: names as word forms, and abbreviations."""
        if reference not in self._own:
            names = {reference} | {name for group in _groups_of(reference) for name in group}
            plain = [name for name in names if not _HAN.search(name)]
            self._own[reference] = (
                {_forms(name) for name in plain if not _is_short(name) and _forms(name)},
                {name for name in plain if _is_short(name)},
            )
        return self._own[reference]

    def _chinese(self, plain: str, reference: str) -> list[Flag]:
        text = _joined(plain)
        names = {reference} | {name for group in _groups_of(reference) for name in group}
        own = {_joined(name) for name in names if _HAN.search(name)}
        found = []
        for name in sorted(own | set(self._han), key=lambda one: (-len(one), one)):
            if name in text:
                found.append(Flag(NAMES_REFERENCE if name in own else NAMES_DIAGNOSIS, name))
                text = text.replace(name, " ")  # a longer name is not also the shorter one inside it
        return found


def betrayals(text: str) -> list[Flag]:
    """Words by which a text says that its author had been told the diagnosis."""
    return list(dict.fromkeys(Flag(TOLD, found[0]) for found in _TOLD.finditer(_plain(text))))


def speaks_of_caption(text: str) -> list[Flag]:
    """Words by which a text reasons about a description and not about the picture."""
    return list(dict.fromkeys(Flag(SPEAKS_OF_CAPTION, found[0]) for found in _CAPTION.finditer(_plain(text))))


@cache
def shipped_groups() -> tuple[tuple[str, ...], ...]:
    """Each group is one diagnosis: its names, synonyms and abbreviations, English and Chinese."""
    return tuple(tuple(group) for group in json.loads(TERMS.read_text(encoding="utf-8")))


@cache
def _groups_of(reference: str) -> tuple[tuple[str, ...], ...]:
    forms, joined = _forms(reference), _joined(reference)
    return tuple(
        group
        for group in shipped_groups()
        if any(
            (_joined(name) == joined) if _HAN.search(name) else (bool(forms) and _forms(name) == forms)
            for name in group
        )
    )


def _by_first(names: Iterable[str]) -> dict[str, tuple[tuple[tuple[str, ...], int], ...]]:
    """By its first word form each name with the number of words it stands in; long names as one word, too."""
    found: dict[str, set[tuple[tuple[str, ...], int]]] = {}
    for name in names:
        if not (forms := _forms(name)):
            continue
        found.setdefault(forms[0], set()).add((forms, len(forms)))
        joined = "".join(forms)
        if len(forms) > 1 and len(joined) >= _SHORTEST_JOINED:
            found.setdefault(joined, set()).add((forms, 1))
    return {first: tuple(sorted(names)) for first, names in found.items()}


def _stands(tokens: list[_Token], place: int, name: tuple[str, ...]) -> bool:
    if tokens[place].form == "".join(name):
        return True
    return tuple(token.form for token in tokens[place : place + len(name)]) == name


def _length(candidate: tuple[tuple[str, ...], int]) -> int:
    return len(candidate[0])


def _forms(name: str) -> tuple[str, ...]:
    return tuple(_form(word) for word in _WORD.findall(_plain(name)))


def _form(word: str) -> str:
    lower = re.split("['\u2019]", word.casefold())[0]
    form = lower[:-4] + "osis" if lower.endswith("oses") else word_form(lower)  # keratoses
    return _IRREGULAR.get(form, form)


def _plain(text: str) -> str:
    """The text without accents, full-width letters and invisible characters."""
    kept = (c for c in unicodedata.normalize("NFKD", text) if unicodedata.category(c) not in {"Cf", "Mn"})
    return "".join(kept).replace("æ", "ae").replace("œ", "oe")


def _joined(text: str) -> str:
    return "".join(_plain(text).split())


def _is_short(name: str) -> bool:
    letters = name.strip()
    return letters.isalpha() and len(letters) <= _LONGEST_SHORT and sum(map(str.isupper, letters)) >= 2


def _is_plain(label: str) -> bool:
    forms = _forms(label)
    return not _HAN.search(label) and all(form in PLAIN_WORDS for form in forms)
