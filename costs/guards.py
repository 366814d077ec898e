"""The triggers that keep the ledger as it was written (`ragsite.guards` says how)."""

from ragsite.guards import Guarded, Guards

TABLES = (
    Guarded(
        "costs_ledgerentry",
        "the ledger is append-only and never goes away: write an adjustment instead",
        keys=(("id",), ("trace_id", "attempt", "correction")),
    ),
)
GUARDS = Guards(refuse="costs_refuse", tables=TABLES)
put_up, take_down, missing = GUARDS.put_up, GUARDS.take_down, GUARDS.missing
