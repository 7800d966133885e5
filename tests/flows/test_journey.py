"""Three roles in Chromium on a whole studio: photographs come in clean, are written about, scored and compared."""

import csv
import io
import os
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import skimage
from PIL import Image

from tests.flows.studio import Studio, running_studio
from tests.flows.visitor import Visitor
from tests.surroundings import chromium_path

pytestmark = [pytest.mark.browser, pytest.mark.slow]
PHOTOGRAPHS = ("retina.jpg", "cell.png", "microaneurysms.png")
WIDTHS = (1440, 820, 390)
GPS, MAKE = 0x8825, 0x010F
PLANTED = b"CANARY-CAMERA"
PAGES = {
    "lin": ("/rate/mine/",),
    "haas": ("/review/",),
    "admin": (
        "/dashboard/", "/cases/", "/cases/import/", "/narratives/", "/study/", "/hub/models/", "/hub/runs/",
        "/hub/runs/generate/", "/hub/dermcot/", "/hub/dermbench/",
    ),
    "researcher": ("/dashboard/", "/hub/dermcot/", "/hub/dermbench/", "/hub/compare/"),
}  # fmt: skip
WATCH = """
window.violations = [];
document.addEventListener("securitypolicyviolation", (event) => window.violations.push(event.violatedDirective));
"""


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    with running_studio(tmp_path_factory.mktemp("journey"), training=40, evaluation=3) as running:
        yield running


@pytest.fixture(scope="module")
def photographs(studio: Studio) -> list[str]:
    """Imported as an administrator does it; the addresses of the case pages."""
    admin = Visitor(studio, "admin")
    admin.open("/cases/import/")
    admin.submit(
        form=admin.form("format", "basis"), files={"archive": ("photographs.zip", archive())}, archive=None,
        format="folder", name="scikit-image photographs", licence="CC0", basis="Published with the library.",
        redistribute="embed", evaluation_percent="0",
    )  # fmt: skip
    assert admin.wait_for_run() == "Done"
    admin.open("/cases/?diagnosis=photograph")
    pages = sorted(set(admin.links(r"^/cases/[0-9a-f-]{36}/$")))
    assert len(pages) == len(PHOTOGRAPHS), admin.text[:1500]
    return pages


def archive() -> bytes:
    """cases.csv and real photographs, a camera's name and a place planted in each."""
    table, buffer = io.StringIO(), io.BytesIO()
    rows = csv.writer(table)
    rows.writerow(["case_id", "images", "diagnosis", "basis"])
    with zipfile.ZipFile(buffer, "w") as packed:
        for name in PHOTOGRAPHS:
            image = Image.open(Path(skimage.__file__).parent / "data" / name)
            exif = image.getexif()
            exif[MAKE] = PLANTED.decode()
            exif.get_ifd(GPS).update({1: "N", 2: (52.0, 30.0, 0.0)})
            planted = io.BytesIO()
            image.save(planted, image.format, exif=exif)
            assert PLANTED in planted.getvalue()
            packed.writestr(name, planted.getvalue())
            rows.writerow([name, name, f"photograph {name}", "dataset_label"])
        packed.writestr("cases.csv", table.getvalue())
    return buffer.getvalue()


def test_photographs_come_out_clean(studio: Studio, photographs: list[str]) -> None:
    admin = Visitor(studio, "admin")
    for page in photographs:
        admin.open(page)
        (address,) = set(re.findall(r'src="(/cases/image/[^"]+)"', admin.page.text))
        content = admin.open(address).content
        assert PLANTED not in content and b"Exif" not in content
        image = Image.open(io.BytesIO(content))
        assert not image.getexif() and min(image.size) > 100


def test_photographs_get_narratives_and_are_shown_at_every_width(
    studio: Studio, photographs: list[str], browser: Any
) -> None:
    admin = Visitor(studio, "admin")
    admin.open("/hub/runs/generate/")
    form = admin.form("model", "source")
    chosen = re.search(r'<option value="([^"]+)"[^>]*>\s*scikit-image photographs', admin.page.text)
    assert chosen
    admin.submit(form=form, source=chosen[1], check="1")
    admin.submit(form=admin.form("promised"))
    assert admin.wait_for_run() == "Done"
    for width in WIDTHS:
        with visit(browser, studio, "admin", width) as page:
            for address in photographs:
                page.goto(studio.address + address)
                picture = page.locator("img[src*='/cases/image/']").first
                assert picture.evaluate("image => image.complete && image.naturalWidth > 0")
                assert 0 < picture.bounding_box()["width"] <= width
                assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_dermatologist_scores_a_case_by_keyboard(studio: Studio, browser: Any) -> None:
    with visit(browser, studio, "lin", 1440) as page:
        page.goto(studio.address + "/rate/")
        page.locator("button[name=accept]").click()
        page.wait_for_selector("form#scores")
        page.wait_for_load_state()  # the keys listen
        first = page.url
        for key in ("5", "4", "5", "4", "5", "5", "Enter"):
            page.keyboard.press(key)
        page.wait_for_url(lambda url: url != first)
        page.goto(studio.address + "/rate/mine/")
        assert page.get_by_text("Can still be corrected").count() == 1


@pytest.mark.parametrize("username", PAGES)
def test_every_page_is_clean_at_every_width(studio: Studio, browser: Any, username: str) -> None:
    for width in WIDTHS:
        with visit(browser, studio, username, width) as page:
            for address in PAGES[username]:
                response = page.goto(studio.address + address)
                assert response.status == 200, address
                assert page.evaluate("document.documentElement.scrollWidth") <= width, (address, width)
                keep(page, f"{username}-{address.strip('/').replace('/', '-')}-{width}")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=chromium_path(), args=["--no-sandbox"])
        yield chromium
        chromium.close()


class visit:
    """A logged-in page at a width; leaving it asserts a clean console and no policy violation."""

    sessions: dict[tuple[str, str], str] = {}

    def __init__(self, browser: Any, studio: Studio, username: str, width: int) -> None:
        self.noise: list[str] = []
        key = (studio.address, username)
        if key not in self.sessions:
            self.sessions[key] = Visitor(studio, username).http.cookies["sessionid"]
        scheme = "dark" if width == 820 else "light"
        self.context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        self.context.add_cookies([{"name": "sessionid", "value": self.sessions[key], "url": studio.address}])
        self.context.add_init_script(WATCH)

    def __enter__(self) -> Any:
        self.page = self.context.new_page()
        self.page.on("console", lambda m: self.noise.append(m.text) if m.type in {"error", "warning"} else None)
        self.page.on("pageerror", lambda error: self.noise.append(str(error)))
        return self.page

    def __exit__(self, kind: Any, *_: Any) -> None:
        if kind is None:
            assert self.noise == []
            assert self.page.evaluate("window.violations") == []
        self.context.close()


def keep(page: Any, name: str) -> None:
    """A screenshot for people to look at, where KEEP_SCREENSHOTS names a folder."""
    folder = os.environ.get("KEEP_SCREENSHOTS")
    if folder:
        page.screenshot(path=str(Path(folder) / f"{name}.png"), full_page=True)
