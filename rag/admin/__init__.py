"""Django looks for a module `admin` in every app. This one is a package, so its pages are named here to be found."""

from rag.admin import corpora, ingests, keys, outages, prompt_versions, prompts, traces

__all__ = ["corpora", "ingests", "keys", "outages", "prompt_versions", "prompts", "traces"]
