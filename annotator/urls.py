from django.urls import include, path

from annotator.home.views import healthz, home

urlpatterns = [
    path("", home, name="home"),
    path("healthz", healthz, name="healthz"),
    path("accounts/", include("annotator.accounts.urls")),
    path("rate/", include("annotator.rating.urls")),
    path("preferences/", include("annotator.rating.preference_urls")),
    path("review/", include("annotator.review.urls")),
    path("dashboard/", include("annotator.dashboards.urls")),
    path("cases/", include("annotator.cases.urls")),
    path("study/", include("annotator.study.urls")),
    path("comparisons/", include("annotator.comparisons.urls")),
    path("narratives/", include("annotator.narratives.urls")),
    path("hub/", include("modelhub.urls")),
]
