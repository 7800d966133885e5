from importlib.util import find_spec

from django.urls import include, path

from annotator.home.views import healthz, home

PAGES = {
    "rate/": "annotator.rating",
    "review/": "annotator.review",
    "dashboard/": "annotator.dashboards",
    "cases/": "annotator.cases",
    "study/": "annotator.study",
    "narratives/": "annotator.narratives",
    "hub/": "modelhub",
}

urlpatterns = [
    path("", home, name="home"),
    path("healthz", healthz, name="healthz"),
    path("accounts/", include("annotator.accounts.urls")),
] + [
    path(prefix, include(f"{package}.urls"))
    for prefix, package in PAGES.items()
    if find_spec(package) and find_spec(f"{package}.urls")
]
