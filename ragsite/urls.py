"""Every address of the site."""

from django.contrib import admin
from django.urls import include, path, re_path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerView

from rag import views
from rag.admin import drill
from rag.api.errors import nothing_here
from ragsite import health

urlpatterns = [
    path("", views.ask_page, name="ask-page"),
    path("admin/drill/", admin.site.admin_view(drill.page), name="drill"),
    path("admin/", admin.site.urls),
    path("api/schema", SpectacularAPIView.as_view(), name="api-schema"),
    path("api/docs", SpectacularSwaggerView.as_view(url_name="api-schema"), name="api-docs"),
    path("api/", include("rag.api.urls")),
    re_path(r"^api/", nothing_here),
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
]
