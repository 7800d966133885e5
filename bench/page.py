"""`make bench-page`: what the rating page weighs and how soon it is usable, in Chromium, with eight others at work.

Cold loads without any cache give the sizes as transferred (headers included) and the time until keys are taken and
until the image is painted; then one rater goes from case to case by seven keys while eight others submit about every
ten seconds each (a person takes forty). The server is the Procfile's, the network loopback.
"""

import argparse
import random
import statistics
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from bench.raters import InPlace, Refused
from bench.ratings import names, percentile, seeded
from bench.reporting import conditions, finish, in_words, note, progress, table
from bench.servers import web_server

OTHERS = 8
PACE_S = (5.0, 15.0)  # between two submissions of one of the others
TASKS, COLD_LOADS, CASES = 200, 5, 60
KB = 1000
DIMENSION_KEYS, SUBMIT = "345445", "Enter"
# Counts what she does, and times from the key that submits to the next case: its text in a frame, its image decoded.
WATCH = """
window.actions = {keys: 0, clicks: 0};
addEventListener("pointerdown", () => (window.actions.clicks += 1), true);
addEventListener("keydown", (event) => {
  window.actions.keys += 1;
  const form = document.getElementById("scores");
  if (event.key !== "Enter" || !form) return;
  const began = performance.now(), before = form.dataset.assignment, counted = window.actions;
  const look = async () => {
    const now = document.getElementById("scores");
    if (!now || now.dataset.assignment === before) return requestAnimationFrame(look);
    const readable = performance.now() - began;
    const image = document.querySelector("[data-viewer] img");
    await image.decode();
    requestAnimationFrame(() => {
      window.actions = {keys: 0, clicks: 0};
      window.went = {readable, painted: performance.now() - began, ...counted};
    });
  };
  requestAnimationFrame(look);
}, true);
"""
USABLE = """async () => {
  const image = document.querySelector("[data-viewer] img");
  await image.decode();
  const [page] = performance.getEntriesByType("navigation");
  return {usable: page.domContentLoadedEventEnd, painted: performance.now()};
}"""


def main() -> None:
    options = arguments()
    from playwright.sync_api import sync_playwright

    note(f"seeding {TASKS} narratives with their images …")
    with seeded("sqlite", (1 + OTHERS,), TASKS) as place, web_server(place.env) as web, sync_playwright() as playwright:
        hers, *others = (InPlace(web.address, name, place.password) for name in names(1 + OTHERS))
        hers.log_in()
        browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        loads = [cold_load(browser, web.address, hers) for _ in progress(range(COLD_LOADS), "cold loads")]
        with at_work(others):
            went = cases(browser, web.address, hers, options.cases)
        browser.close()
    result = summary(loads, went)
    print(in_words(conditions("Django", "gunicorn", "playwright")))
    print(table(("figure", "value"), [[key, value] for key, value in result.items()]))
    finish(result)


def chromium() -> str | None:
    from tests.surroundings import chromium_path

    return chromium_path()


def context_of(browser: Any, address: str, rater: InPlace) -> Any:
    """A browser without any cache in which she is logged in."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    context.add_cookies([{"name": k, "value": v, "url": address} for k, v in rater.browser.cookies.items()])
    context.add_init_script(WATCH)
    return context


def cold_load(browser: Any, address: str, rater: InPlace) -> dict[str, float]:
    """Bytes by kind, requests and times of one load; what is fetched ahead for the next case is not of this one."""
    context = context_of(browser, address, rater)
    page = context.new_page()
    asked: list[Any] = []
    page.on("requestfinished", lambda request: asked.append(request))
    page.goto(f"{address}/rate/", wait_until="load")
    times = page.evaluate(USABLE)
    shown = page.locator("[data-viewer] img").first.get_attribute("src")
    page.wait_for_load_state("networkidle")
    sizes = {"page": 0.0, "image": 0.0, "script": 0.0, "stylesheet": 0.0}
    count = 0
    for request in asked:
        is_image = "/cases/image/" in request.url
        if request.url.endswith("/ahead/") or (is_image and not request.url.endswith(str(shown))):
            continue
        count += 1
        size = request.sizes()
        body = size["responseBodySize"] / KB
        sizes["image" if is_image else "page"] += body + size["responseHeadersSize"] / KB
        if request.resource_type in ("script", "stylesheet"):
            sizes[request.resource_type] += body
    context.close()
    return {**sizes, "requests": count, **times}


def cases(browser: Any, address: str, rater: InPlace, number: int) -> list[dict[str, float]]:
    """Case after case by keys alone, a breath between; what her page measured of each."""
    page = context_of(browser, address, rater).new_page()
    page.goto(f"{address}/rate/", wait_until="networkidle")
    went = []
    for _ in progress(range(number), "cases"):
        page.evaluate("window.went = null")
        for key in DIMENSION_KEYS:
            page.keyboard.press(key)
        page.keyboard.press(SUBMIT)
        page.wait_for_function("() => window.went", timeout=20_000)
        went.append(page.evaluate("window.went"))
        page.wait_for_timeout(1_000)
    return went


@contextmanager
def at_work(raters: list[InPlace]) -> Iterator[None]:
    """The others rate in threads at their pace, until the block ends. Raises RuntimeError where one of them failed."""
    over, troubles = threading.Event(), list[str]()
    threads = [threading.Thread(target=_rate, args=(rater, over, troubles)) for rater in raters]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()
    if troubles:
        raise RuntimeError(f"Another rater could not go on: {troubles[0]}")


def _rate(rater: InPlace, over: threading.Event, troubles: list[str]) -> None:
    dice = random.Random(rater.username)
    try:
        rater.log_in()
        case = rater.next_case()
        while case is not None and not over.is_set():
            rater.look(case)
            over.wait(dice.uniform(*PACE_S))
            case = rater.submit(case)
    except (Refused, OSError) as problem:
        troubles.append(str(problem))


def summary(loads: list[dict[str, float]], went: list[dict[str, float]]) -> dict[str, float]:
    def middle(key: str) -> float:
        return statistics.median(load[key] for load in loads)

    return {
        "transferred_kb": round(middle("page"), 1),
        "image_kb": round(middle("image"), 1),
        "js_kb_gz": round(middle("script"), 1),
        "css_kb_gz": round(middle("stylesheet"), 1),
        "requests": middle("requests"),
        "usable_ms": round(middle("usable"), 0),
        "image_painted_ms": round(middle("painted"), 0),
        "next_case_p50_ms": round(percentile([one["readable"] for one in went], 50), 0),
        "next_case_p95_ms": round(percentile([one["readable"] for one in went], 95), 0),
        "next_image_p95_ms": round(percentile([one["painted"] for one in went], 95), 0),
        "keys": max(one["keys"] for one in went),
        "clicks": max(one["clicks"] for one in went),
        "cases": len(went),
        "others": OTHERS,
    }


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=CASES, help="cases that the rater in the browser goes through")
    parser.add_argument("--full", action="store_true", help="200 cases")
    options = parser.parse_args()
    options.cases = 200 if options.full else options.cases
    return options


if __name__ == "__main__":
    main()
