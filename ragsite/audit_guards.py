"""The triggers that keep the record of what was changed in the admin as it was written (`ragsite.guards` says how)."""

from ragsite.guards import Guarded, Guards

TABLES = (
    Guarded(
        "django_admin_log",
        "what was changed in the admin stays on record: make people inactive instead of deleting them",
        keys=(("id",),),
        fixed=("action_time", "user_id", "object_id", "object_repr", "action_flag", "change_message"),
    ),
)
GUARDS = Guards(refuse="audit_refuse", tables=TABLES)
put_up, take_down, missing = GUARDS.put_up, GUARDS.take_down, GUARDS.missing
