"""Why an evaluation does not begin, or not go on."""


class EvaluationRefused(Exception):
    """Nothing was asked and nothing was spent; the message says why."""


class CorpusMoved(Exception):
    """Another version of the corpus was activated while a run was being asked: its questions cannot be compared."""
