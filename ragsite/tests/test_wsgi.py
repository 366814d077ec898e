"""The site is imported whole before it answers."""

import os
import subprocess
import sys

from django.conf import settings

ASKED_ONCE = """
import sys
from ragsite.wsgi import application
from rag import provider_stack
provider_stack.warm_up()
print("ragsite.urls" in sys.modules, "rag.api.urls" in sys.modules, "anthropic" in sys.modules)
"""


def test_pages_and_sdks_are_there_before_the_first_question() -> None:
    done = subprocess.run(
        [sys.executable, "-c", ASKED_ONCE], env=dict(os.environ), cwd=settings.BASE_DIR, capture_output=True, check=True
    )

    assert done.stdout.split() == [b"True", b"True", b"True"]
