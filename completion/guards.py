"""The triggers that keep artifacts, revocations and certificates as they were written (`ragsite.guards` says how)."""

from ragsite.guards import Guarded, Guards

TABLES = (
    Guarded(
        "completion_artifact",
        "an artifact never changes and never goes away: issue a new one, or revoke it",
        keys=(("id",), ("number",), ("sha256",)),
    ),
    Guarded(
        "completion_revocation",
        "a revocation never changes and never goes away: issue a new artifact instead",
        keys=(("id",), ("artifact_id",)),
    ),
    Guarded(
        "completion_signingcertificate",
        "a certificate that signed never changes and never goes away: artifacts are verified with it",
        keys=(("id",), ("sha256",), ("key_sha256",)),
    ),
)
GUARDS = Guards(refuse="completion_refuse", tables=TABLES)
put_up, take_down, missing = GUARDS.put_up, GUARDS.take_down, GUARDS.missing
