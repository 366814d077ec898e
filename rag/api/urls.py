"""Addresses below /api/."""

from django.urls import path

from rag.api import views

urlpatterns = [
    path("ask", views.AskView.as_view(), name="api-ask"),
    path("corpora", views.CorporaView.as_view(), name="api-corpora"),
    path("stats", views.StatsView.as_view(), name="api-stats"),
    path("traces/<str:trace_id>", views.TraceView.as_view(), name="api-trace"),
]
