"""Multiplications of training at 7 B, counted, not measured: matrix products only, which are all but all of it.

Sizes are those of the released checkpoint; per case 1,280 visual, 100 prompt and 500 answer tokens.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Sizes:
    hidden: int = 3584
    layers: int = 28
    intermediate: int = 18_944
    key_value: int = 512  # 4 heads of 128
    vocabulary: int = 152_064
    vision_hidden: int = 1280
    vision_layers: int = 32
    vision_intermediate: int = 3420
    vision_whole: int = 4  # layers that see the whole picture; the others a window of 64 patches
    window: int = 64
    merge: int = 4  # patches per visual token
    patch: int = 1176
    embed: int = 1024
    branch_layers: int = 4
    experts: int = 8
    chosen: int = 2
    expert_width: int = 64
    rank: int = 64


@dataclass(frozen=True)
class Case:
    visual: int = 1280
    prompt: int = 100
    answer: int = 500

    @property
    def tokens(self) -> int:
        return self.visual + self.prompt + self.answer


def backbone(s: Sizes, case: Case) -> float:
    """One forward pass up to the final hidden states."""
    tokens, patches = case.tokens, case.visual * s.merge
    layer = 2 * s.hidden**2 + 2 * s.hidden * s.key_value + 3 * s.hidden * s.intermediate
    text = s.layers * (tokens * layer + tokens**2 * s.hidden)  # half of scores and values: the mask is causal
    block = 4 * s.vision_hidden**2 + 3 * s.vision_hidden * s.vision_intermediate
    seen = s.vision_whole * patches + (s.vision_layers - s.vision_whole) * s.window
    vision = patches * (s.vision_layers * block + s.patch * s.vision_hidden) + 2 * patches * seen * s.vision_hidden
    wide = s.merge * s.vision_hidden
    return text + vision + case.visual * (wide**2 + wide * s.hidden)


def branch(s: Sizes, case: Case) -> float:
    """Forward and backward: two products of the same size for each, but none back into the patches."""
    patches = case.visual * s.merge
    experts = s.branch_layers * (s.chosen * 2 * s.embed * s.expert_width + s.experts * s.embed)
    return patches * (2 * s.patch * s.embed + 3 * experts) + 3 * s.rank * (s.embed + s.hidden)


def straightforward_epoch(s: Sizes, case: Case) -> float:
    """Backbone, logits at every position, the bias over the vocabulary and back."""
    return backbone(s, case) + (case.tokens + 2) * s.hidden * s.vocabulary + branch(s, case)


def later_epoch(s: Sizes, case: Case) -> float:
    """From kept hidden states: logits of answer tokens, one product back for the case's one bias."""
    return (case.answer + 1) * s.hidden * s.vocabulary + branch(s, case)


def ratio(epochs: int = 10) -> float:
    """How many times fewer multiplications all epochs take, the one pass of the backbone included."""
    s, case = Sizes(), Case()
    return epochs * straightforward_epoch(s, case) / (backbone(s, case) + epochs * later_epoch(s, case))
