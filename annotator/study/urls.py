from django.urls import path

from annotator.study import conduct, urgent, views

app_name = "study"
urlpatterns = [
    path("", views.study_list, name="list"),
    path("new/", views.create, name="create"),
    path("urgent/", urgent.notices, name="urgent"),
    path("urgent/<uuid:public_id>/", urgent.notice_page, name="urgent_notice"),
    path("urgent/<uuid:public_id>/mail/", urgent.mail_again, name="urgent_mail"),
    path("<uuid:public_id>/", views.detail, name="detail"),
    path("<uuid:public_id>/edit/", views.edit, name="edit"),
    path("<uuid:public_id>/amend/", conduct.amend, name="amend"),
    path("<uuid:public_id>/start/", conduct.start, name="start"),
    path("<uuid:public_id>/state/<str:state>/", conduct.change_state, name="state"),
    path("<uuid:public_id>/invite/", conduct.invite, name="invite"),
    path("<uuid:public_id>/sheet/", conduct.new_sheet, name="sheet"),
]
