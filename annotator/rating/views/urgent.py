"""Urgent: a rater sees a possible missed malignancy, and is told that it was received."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from annotator.accounts.models import User
from annotator.accounts.roles import ADMINISTRATOR
from annotator.rating.door import own_assignment
from scoring.models import Assignment, Study, UrgentNotice
from scoring.services.urgent import mail_notice, report_urgent

LONGEST_NOTE = 2000


@own_assignment
@require_http_methods(["GET", "HEAD", "POST"])
def urgent(request: HttpRequest, assignment: Assignment) -> HttpResponse:
    """Asks for a few words, then tells the named clinician. What she has reported of this case stands below."""
    case, study = assignment.version.narrative.case, assignment.study
    hers = UrgentNotice.objects.filter(case=case, raised_by=request.user.pk)
    if request.method == "POST":
        is_known = hers.filter(answered_at=None).exists()
        note = request.POST.get("note", "")[:LONGEST_NOTE]
        notice = report_urgent(study=study, case=case, rater=request.user, note=note)
        if not is_known:
            link = request.build_absolute_uri(reverse("study:urgent_notice", args=[notice.public_id]))
            mail_notice(notice=notice, addresses=addresses_for(study), link=link)
        messages.success(request, _("Received. It stays in front of the administrators until it is answered."))
        return redirect("rating:urgent", public_id=assignment.public_id)
    context = {"assignment": assignment, "case": case, "notices": hers, "named": study.clinician_id is not None}
    return render(request, "rating/urgent.html", context)


def addresses_for(study: Study) -> list[str]:
    """The named clinician's, and the administrators' where she has none or nobody is named."""
    if study.clinician is not None and study.clinician.email:
        return [study.clinician.email]
    administrators = User.objects.filter(is_active=True, groups__name=ADMINISTRATOR)
    return list(administrators.exclude(email="").values_list("email", flat=True))
