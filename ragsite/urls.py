"""Every address of the site."""

from django.contrib import admin
from django.urls import include, path, re_path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from evals import views as evals_views
from rag import views
from rag.admin import costs, drill
from rag.api.costs import CostsView
from rag.api.errors import nothing_here
from rag.api.metrics import MetricsView
from ragsite import health, sign_in

admin.autodiscover()

urlpatterns = [
    path("", views.ask_page, name="ask-page"),
    path("admin/drill/", admin.site.admin_view(drill.page), name="drill"),
    path("admin/costs", admin.site.admin_view(costs.page), name="costs"),
    path("admin/costs.json", CostsView.as_view(), name="costs-json"),
    path("admin/login/", sign_in.page, name="sign-in"),
    path("admin/", admin.site.urls),
    path("progress/costs", costs.progress, name="progress-costs"),
    path("progress/scoreboard", evals_views.progress, name="progress-scoreboard"),
    path("api/schema", SpectacularAPIView.as_view(), name="api-schema"),
    path("api/docs", SpectacularSwaggerSplitView.as_view(url_name="api-schema"), name="api-docs"),
    path("api/", include("rag.api.urls")),
    re_path(r"^api/", nothing_here),
    path("verify/", include("completion.urls")),
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
    path("metrics", MetricsView.as_view(), name="metrics"),
]
