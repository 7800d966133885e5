"""Drawings depend on their arguments alone, carry the watermark and show their attributes in pixels."""

import numpy as np
import pytest

from modelhub.ml.synthetic.drawing import draw
from modelhub.ml.synthetic.lesion import ATTRIBUTES, Lesion
from modelhub.ml.tiny_data import draw_set

LESION = Lesion(
    skin_tone="light", number="solitary", size="large", shape="round", colour="black", border="well-defined"
)


def pixels(lesion: Lesion, seed: int = 5, **options) -> np.ndarray:
    return np.asarray(draw(lesion, seed, **options)).astype(int)


def test_same_arguments_same_pixels():
    assert (pixels(LESION) == pixels(LESION)).all()
    assert (pixels(LESION) != pixels(LESION, seed=6)).any()
    assert draw(LESION, 5).size == (448, 448) and draw(LESION, 5, size=112).mode == "RGB"
    with pytest.raises(ValueError, match="at least 56"):
        draw(LESION, 5, size=20)


def test_watermark_touches_the_border_only():
    changed = np.argwhere((pixels(LESION) != pixels(LESION, watermark=False)).any(axis=2))
    assert 50 < len(changed) < 2000
    assert changed[:, 0].min() > 448 * 0.93


@pytest.mark.parametrize("attribute", ATTRIBUTES)
def test_each_attribute_changes_the_picture(attribute):
    for value in ATTRIBUTES[attribute]:
        if value != getattr(LESION, attribute):
            other = Lesion.from_dict(LESION.as_dict() | {attribute: value})
            assert np.abs(pixels(LESION, size=112) - pixels(other, size=112)).mean() > 1


def test_size_and_number_show_as_area():
    def area(**values: str) -> int:
        return int((pixels(Lesion.from_dict(LESION.as_dict() | values)).mean(axis=2) < 100).sum())

    assert area(size="small") * 1.5 < area(size="intermediate") < area(size="large") / 1.5
    assert area(number="solitary") * 1.5 < area(number="paired") < area(number="multiple") / 1.5


def test_dark_skin_hides_contrast():
    def contrast(tone: str) -> float:
        middle, corner = np.s_[180:268, 180:268], np.s_[5:40, 5:40]
        values = [
            pixels(Lesion.from_dict(LESION.as_dict() | {"skin_tone": tone, "colour": "brown"}), seed=seed)
            for seed in range(4)
        ]
        return float(np.mean([np.abs(p[middle].mean((0, 1)) - p[corner].mean((0, 1))).mean() for p in values]))

    assert contrast("dark") < contrast("light") / 2


def test_sets_are_drawn_once_and_read_back(tmp_path):
    tones = {"light": 0.5, "dark": 0.5}
    first = draw_set(count=3, seed=9, tones=tones, cache=tmp_path)
    stored = draw_set(count=3, seed=9, tones=tones, cache=tmp_path)
    assert len(list(tmp_path.iterdir())) == 1
    assert (first.pixels == stored.pixels).all() and first.lesions == stored.lesions
    assert {item.skin_tone for item in first.lesions} <= set(tones)
