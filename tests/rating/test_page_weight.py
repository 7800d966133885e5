"""What a rater's first page weighs: the budget that keeps it usable on a slow line."""

import gzip
import re
from pathlib import Path

import pytest
from django.contrib.staticfiles import finders
from django.urls import reverse

from annotator.runtime.styles import joined
from tests.factories import make_queue

KB = 1000
STATIC = re.compile(r'(?:src|href)="/static/([^"?]+)"')


def packed(content: bytes) -> int:
    return len(gzip.compress(content, 6))


@pytest.fixture
def html(study, rater, client) -> str:
    make_queue(study, 1)
    client.force_login(rater)
    return client.get(reverse("rating:next"), follow=True).content.decode()


@pytest.fixture
def weights(html) -> dict[str, int]:
    """Bytes as transferred, by the ending of the file's name."""
    found: dict[str, int] = {}
    for name in dict.fromkeys(STATIC.findall(html)):
        path = finders.find(re.sub(r"\.[0-9a-f]{12}(?=\.\w+$)", "", name))
        assert path, f"{name} is no static file"
        ending = name.rpartition(".")[2]
        content = joined(Path(path)).encode() if ending == "css" else Path(path).read_bytes()
        found[ending] = found.get(ending, 0) + packed(content)
    return found


def test_scripts_and_styles_stay_within_their_budgets(weights) -> None:
    assert 5 * KB < weights["js"] <= 40 * KB
    assert 5 * KB < weights["css"] <= 20 * KB


def test_the_whole_page_is_at_most_100_kilobytes(html, weights) -> None:
    headers = 0.5 * KB * (1 + len(STATIC.findall(html)))
    assert packed(html.encode()) + sum(weights.values()) + headers <= 100 * KB


def test_pages_travel_compressed_and_pictures_as_they_are(html, client) -> None:
    answer = client.get(reverse("rating:mine"), headers={"accept-encoding": "gzip"})
    assert answer.headers["Content-Encoding"] == "gzip"
    image = re.search(r'src="(/cases/image/[^"]+)', html)
    assert image
    assert "Content-Encoding" not in client.get(image[1], headers={"accept-encoding": "gzip"}).headers
