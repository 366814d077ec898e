"""Below /verify/."""

from django.urls import path, re_path

from completion import views

HASH = "(?P<sha256>[0-9a-f]{64})"
NUMBER = "(?P<number>[0-9A-Za-z]{4}(?:-[0-9A-Za-z]{4}){3})"

urlpatterns = [
    path("", views.start, name="verify"),
    path("check", views.check, name="verify-check"),
    path("certificate.pem", views.certificate, name="verify-certificate"),
    re_path(rf"^{HASH}$", views.artifact, name="verify-artifact"),
    re_path(rf"^{HASH}\.json$", views.artifact_json, name="verify-artifact-json"),
    re_path(rf"^{HASH}\.md$", views.artifact_markdown, name="verify-artifact-markdown"),
    re_path(rf"^{NUMBER}$", views.by_number, name="verify-number"),
]
