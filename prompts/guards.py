"""The triggers that keep versions and activations as they were written (`ragsite.guards` says how)."""

from ragsite.guards import Guarded, Guards

TABLES = (
    Guarded(
        "prompts_promptversion",
        "a prompt version never changes and never goes away: bump the prompt instead",
        keys=(("id",), ("prompt_id", "number")),
    ),
    Guarded(
        "prompts_activation",
        "an activation never changes and never goes away: activate again instead",
        keys=(("id",),),
    ),
    Guarded(
        "prompts_prompt",
        "a prompt keeps its name and never goes away: the pipelines ask for it by name",
        keys=(("id",), ("name",)),
        fixed=("id", "name"),
    ),
)
GUARDS = Guards(refuse="prompts_refuse", tables=TABLES)
put_up, take_down, missing = GUARDS.put_up, GUARDS.take_down, GUARDS.missing
