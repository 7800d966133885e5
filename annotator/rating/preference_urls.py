from django.urls import path

from annotator.rating import preferences

app_name = "preferences"
urlpatterns = [
    path("", preferences.next_pair, name="next"),
    path("mine/", preferences.mine, name="mine"),
    path("<uuid:public_id>/", preferences.compare, name="compare"),
    path("<uuid:public_id>/draft/", preferences.keep_draft, name="draft"),
    path("<uuid:public_id>/skip/", preferences.skip, name="skip"),
]
