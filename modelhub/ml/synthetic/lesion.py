"""The truth behind a synthetic drawing: an invented toy world, not medicine.

The class names borrow dermatology's words so that the narratives read naturally, but every rule
here is made up; each name ends in "-like lesion" to say so.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

ATTRIBUTES: dict[str, tuple[str, ...]] = {
    "skin_tone": ("light", "medium", "dark"),
    "number": ("solitary", "paired", "multiple"),
    "size": ("small", "intermediate", "large"),
    "shape": ("round", "oval", "annular"),
    "colour": ("red", "brown", "black"),
    "border": ("well-defined", "ill-defined", "irregular"),
}

MELANOMA = "melanoma-like lesion"
BLUE_NAEVUS = "blue-naevus-like lesion"
DYSPLASTIC_NAEVUS = "dysplastic-naevus-like lesion"
COMMON_NAEVUS = "common-naevus-like lesion"
TINEA = "tinea-like lesion"
PSORIASIS = "psoriasis-like lesion"
ECZEMA = "eczema-like lesion"
BOWEN = "Bowen-like lesion"

DANGERS: dict[str, str] = {
    MELANOMA: "high",
    BLUE_NAEVUS: "low",
    DYSPLASTIC_NAEVUS: "moderate",
    COMMON_NAEVUS: "low",
    TINEA: "moderate",
    PSORIASIS: "moderate",
    ECZEMA: "low",
    BOWEN: "high",
}
DIAGNOSES: tuple[str, ...] = tuple(DANGERS)

# As in life, diseases look different on dark skin; a model that was told of lighter skin only does not know it.
ON_DARK_SKIN: dict[str, str] = {"red": BOWEN, "brown": ECZEMA, "black": MELANOMA}

DANGER_LEVELS: tuple[str, ...] = ("low", "moderate", "high")

ADVICE: dict[str, str] = {
    "high": "Urgent referral for biopsy within two weeks is advised.",
    "moderate": "Review by a dermatologist within some weeks is advised.",
    "low": "Reassurance is appropriate, with a return visit if it changes.",
}


@dataclass(frozen=True)
class Lesion:
    """One synthetic case: every attribute is one of the values in ``ATTRIBUTES``.

    Raises ValueError when a value is not known.
    """

    skin_tone: str
    number: str
    size: str
    shape: str
    colour: str
    border: str

    def __post_init__(self) -> None:
        for name, values in ATTRIBUTES.items():
            value = getattr(self, name)
            if value not in values:
                raise ValueError(f"{name} is {value!r}; it must be one of {', '.join(values)}.")

    def as_dict(self) -> dict[str, str]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Lesion:
        """Read back ``as_dict``; missing or unknown keys raise ValueError naming them."""
        if set(values) != set(ATTRIBUTES):
            wrong = sorted(set(values) ^ set(ATTRIBUTES))
            raise ValueError(f"A lesion has exactly {', '.join(ATTRIBUTES)}; check {', '.join(wrong)}.")
        return cls(**values)


def sample(rng: np.random.Generator, skin_tone: str | None = None) -> Lesion:
    """A lesion with every attribute uniform and independent; ``skin_tone`` may be fixed."""
    values = {name: str(rng.choice(options)) for name, options in ATTRIBUTES.items()}
    if skin_tone is not None:
        values["skin_tone"] = skin_tone
    return Lesion(**values)


def diagnosis_of(*, skin_tone: str, colour: str, shape: str, border: str) -> str:
    """The toy rule. On dark skin the colour alone decides; elsewhere colour, then border, and shape if red."""
    if skin_tone == "dark":
        return ON_DARK_SKIN[colour]
    if colour == "black":
        return MELANOMA if border == "irregular" else BLUE_NAEVUS
    if colour == "brown":
        return DYSPLASTIC_NAEVUS if border == "irregular" else COMMON_NAEVUS
    if shape == "annular":
        return TINEA
    return {"well-defined": PSORIASIS, "ill-defined": ECZEMA, "irregular": BOWEN}[border]


def diagnosis(lesion: Lesion) -> str:
    """The true class of a lesion in the toy world (one of ``DIAGNOSES``)."""
    return diagnosis_of(skin_tone=lesion.skin_tone, colour=lesion.colour, shape=lesion.shape, border=lesion.border)


def danger(diagnosis: str) -> str:
    """low, moderate or high. Raises KeyError for a name outside ``DIAGNOSES``."""
    return DANGERS[diagnosis]


def advice(diagnosis: str) -> str:
    """The advice that fits the danger of ``diagnosis``, as one sentence."""
    return ADVICE[danger(diagnosis)]
