"""What is imported before gunicorn forks must survive the fork, and leave the settings to the workers."""

import json
import os
import subprocess
import sys

from django.conf import settings

STARTED = """
import json, runpy, sys, threading
from django.conf import settings
runpy.run_path("ragsite/gunicorn_conf.py")["on_starting"](None)
print(json.dumps([sorted(sys.modules), settings.configured, threading.active_count()]))
"""


def test_the_arbiter_has_the_sdks_but_no_settings_no_counters_and_no_threads() -> None:
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "ragsite.settings"}
    command = [sys.executable, "-c", STARTED]

    done = subprocess.run(command, env=environment, cwd=settings.BASE_DIR, capture_output=True, check=True)

    modules, configured, threads = json.loads(done.stdout)
    assert {"anthropic", "chromadb", "cohere.client", "openai", "voyageai.client"} <= set(modules)
    assert not {"ragsite.settings", "rag", "prometheus_client"} & set(modules)
    assert not configured
    assert threads == 1
