from django.urls import path

from annotator.rating.views import (
    after,
    ahead,
    assignment,
    calibration,
    diagnosis,
    draft,
    enrolment,
    mine,
    queue,
    revise,
    skip,
    urgent,
    write,
)

app_name = "rating"
urlpatterns = [
    path("", queue.next_case, name="next"),
    path("mine/", mine.mine, name="mine"),
    path("studies/<uuid:study>/", queue.next_in_study, name="study"),
    path("studies/<uuid:study>/consent/", enrolment.consent, name="consent"),
    path("studies/<uuid:study>/withdraw/", enrolment.leave, name="withdraw"),
    path("studies/<uuid:study>/calibration/", calibration.overview, name="calibration"),
    path("studies/<uuid:study>/calibration/<int:position>/", calibration.example, name="calibration_example"),
    path("studies/<uuid:study>/calibration/<int:position>/draft/", calibration.keep_draft, name="calibration_draft"),
    path("studies/<uuid:study>/calibration/worked/<int:number>/", calibration.worked, name="calibration_worked"),
    path("<uuid:public_id>/", assignment.rate, name="assignment"),
    path("<uuid:public_id>/ahead/", ahead.ahead, name="ahead"),
    path("<uuid:public_id>/draft/", draft.keep_draft, name="draft"),
    path("<uuid:public_id>/lease/", draft.keep_lease, name="lease"),
    path("<uuid:public_id>/revise/", revise.revise, name="revise"),
    path("<uuid:public_id>/diagnosis/", diagnosis.diagnosis, name="diagnosis"),
    path("<uuid:public_id>/write/", write.write, name="write"),
    path("<uuid:public_id>/skip/", skip.skip, name="skip"),
    path("<uuid:public_id>/urgent/", urgent.urgent, name="urgent"),
    path("<uuid:public_id>/reveal/", after.reveal, name="reveal"),
    path("<uuid:public_id>/dispute/", after.dispute, name="dispute"),
]
