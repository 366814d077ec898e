"""The site is imported whole before it answers."""

import os
import subprocess
import sys

from django.conf import settings

READY = """
import sys
from ragsite.wsgi import application
from rag import wiring
wiring.warm_up()
print(*sys.modules)
"""


def test_pages_and_sdks_are_there_before_the_first_question() -> None:
    command = [sys.executable, "-c", READY]

    done = subprocess.run(
        command, env=dict(os.environ), cwd=settings.BASE_DIR, capture_output=True, check=True, text=True
    )

    expected = {"ragsite.urls", "rag.api.urls", "anthropic", "chromadb", "cohere.client", "openai", "voyageai"}
    assert expected <= set(done.stdout.split())
