"""The WSGI entry point: `gunicorn ragsite.wsgi`. The pages are imported with it, not when the first one is asked for."""

import os
from importlib import import_module

from django.conf import settings
from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ragsite.settings")

application = get_wsgi_application()
import_module(settings.ROOT_URLCONF)
