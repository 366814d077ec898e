"""The site with breakers that never open: what a failing call costs every single time, not only until its breaker opens."""

import os
from functools import partial

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ragsite.settings")
django.setup()

from rag import provider_stack  # noqa: E402
from rag.providers.breaker import BreakerPolicy  # noqa: E402

provider_stack.BreakerPolicy = partial(BreakerPolicy, failures=10**9)  # type: ignore[attr-defined, assignment]

from ragsite.wsgi import application  # noqa: E402, F401
