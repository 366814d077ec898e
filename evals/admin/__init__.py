"""Django looks for a module `admin` in every app. This one is a package, so its pages are named here to be found."""

from evals.admin import prompt_help, prompt_scores, runs

__all__ = ["prompt_help", "prompt_scores", "runs"]
