from django.urls import path

from annotator.review import views

app_name = "review"
urlpatterns = [
    path("", views.desk, name="list"),
    path("<uuid:public_id>/", views.detail, name="detail"),
    path("<uuid:public_id>/disputes/<uuid:dispute>/", views.settle, name="settle"),
    path("<uuid:public_id>/revise/", views.revise, name="revise"),
]
