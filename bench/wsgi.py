"""The site as `ragsite.wsgi` serves it, with the address of `bench.constant` beside its own."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ragsite.settings")

from django.conf import settings  # noqa: E402

settings.ROOT_URLCONF = "bench.constant"

from ragsite.wsgi import application  # noqa: E402, F401 - the settings come first
