from django.urls import path

from annotator.comparisons import views

app_name = "comparisons"
urlpatterns = [
    path("", views.comparison_list, name="list"),
    path("new/", views.create, name="create"),
    path("<uuid:public_id>/", views.detail, name="detail"),
    path("<uuid:public_id>/reveal/", views.reveal, name="reveal"),
    path("<uuid:public_id>/words/", views.words, name="words"),
    path("<uuid:public_id>/pairs/<uuid:pair>/", views.settle, name="settle"),
]
