from django.urls import path

from annotator.cases import flags, importing, pictures, views

app_name = "cases"
urlpatterns = [
    path("", views.case_list, name="list"),
    path("import/", importing.import_page, name="import"),
    path("image/<uuid:public_id>", pictures.image, name="image"),
    path("thumbnail/<uuid:public_id>", pictures.thumbnail, name="thumbnail"),
    path("<uuid:public_id>/", views.case_detail, name="detail"),
    path("<uuid:public_id>/flags/<int:number>/resolve/", flags.resolve, name="flag_resolve"),
]
