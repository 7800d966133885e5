from django.urls import include, path

from annotator.study import calibration, conduct, queue, raters, urgent, views

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
    path("<uuid:public_id>/queue/", queue.queue, name="queue"),
    path("<uuid:public_id>/queue/refresh/", queue.refresh, name="refresh"),
    path("<uuid:public_id>/queue/reclaim/<uuid:rater>/", queue.reclaim, name="reclaim"),
    path("<uuid:public_id>/queue/skips/<int:number>/", queue.skip_seen, name="skip_seen"),
    path("<uuid:public_id>/calibration/", calibration.calibration, name="calibration"),
    path("<uuid:public_id>/calibration/gate/", calibration.gate, name="gate"),
    path("<uuid:public_id>/calibration/add/<uuid:version>/", calibration.new_example, name="new_example"),
    path("<uuid:public_id>/calibration/retire/<uuid:example>/", calibration.retire, name="retire_example"),
    path("<uuid:public_id>/", include("annotator.numbers.urls")),
    path("<uuid:public_id>/raters/", raters.raters, name="raters"),
    path("<uuid:public_id>/raters/<uuid:rater>/exclude/", raters.exclude, name="exclude"),
    path("<uuid:public_id>/raters/<uuid:rater>/expertise/", raters.expertise, name="expertise"),
]
