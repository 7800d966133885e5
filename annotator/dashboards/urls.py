from django.urls import path

from annotator.dashboards.views import dashboard

urlpatterns = [path("", dashboard, name="dashboard")]
