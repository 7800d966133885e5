"""Pages of a study's numbers; included under the study's own address and namespace."""

from django.urls import path

from annotator.numbers import agreement, policy, report

urlpatterns = [
    path("agreement/", agreement.agreement, name="agreement"),
    path("agreement/<slug:part>.csv", agreement.agreement_file, name="agreement_file"),
    path("policy/", policy.policy, name="policy"),
    path("report/", report.report, name="report"),
    path("report.zip", report.report_file, name="report_file"),
]
