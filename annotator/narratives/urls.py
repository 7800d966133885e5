from django.urls import path

from annotator.narratives import views

app_name = "narratives"
urlpatterns = [
    path("", views.narrative_list, name="list"),
    path("queue/", views.queue, name="queue"),
    path("write/<uuid:case>/", views.write, name="write"),
    path("<uuid:public_id>/", views.detail, name="detail"),
    path("<uuid:public_id>/correct/", views.correct, name="correct"),
]
