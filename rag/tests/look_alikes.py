"""Pairs of questions that look alike and ask something else, for the answer cache: it must never take one for the other."""

ONE_WORD = {
    "negation": (
        ("Are days of sickness credited back?", "Are days of sickness not credited back?"),
        ("Can I carry leave over?", "Can't I carry leave over?"),
        ("Which settings are safe to change?", "Which settings are unsafe to change?"),
        ("When may I book first class?", "When may I never book first class?"),
        ("Is the field nullable?", "Is the field non-nullable?"),
        ("Who does approve expenses?", "Who doesn't approve expenses?"),
        ("What happens with a receipt?", "What happens without a receipt?"),
        ("Does save() call full_clean()?", "Does save() not call full_clean()?"),
    ),
    "order": (
        ("How do I convert str to bytes?", "How do I convert bytes to str?"),
        ("Does the router override the field?", "Does the field override the router?"),
        ("How do I move from v1 to v2?", "How do I move from v2 to v1?"),
        ("Is list faster than tuple?", "Is tuple faster than list?"),
        ("Does Alice report to Bob?", "Does Bob report to Alice?"),
        ("Can staff see what clients see?", "Can clients see what staff see?"),
    ),
    "sign": (
        ("What is C#?", "What is C?"),
        ("What is C++?", "What is C?"),
        ("What is 10²?", "What is 102?"),
        ("What is H₂O?", "What is H20?"),
        ("What is ½ of it?", "What is 12 of it?"),
        ("What is 5!", "What is 5"),
        ("What is 5!?", "What is 5?"),
        ("What does cd .. do?", "What does cd . do?"),
        ("What is ..?", "What is .?"),
        ("What is -5 in binary?", "What is 5 in binary?"),
        ("What is .env", "What is env"),
        ("What is foo()?", "What is foo?"),
        ("What is *args?", "What is args?"),
        ("What is **kwargs?", "What is *kwargs?"),
        ("What is /admin?", "What is admin?"),
        ("What is a != b?", "What is a == b?"),
        ("What is a <= b?", "What is a < b?"),
        ("What is @property?", "What is property?"),
        ("What is $HOME?", "What is HOME?"),
        ("What is snake_case?", "What is snake case?"),
        ("What is e-mail?", "What is e mail?"),
        ("What is 1.5 of it?", "What is 15 of it?"),
        ("What is 1,5 of it?", "What is 15 of it?"),
        ("What is #1?", "What is 1?"),
        ("What is 50%?", "What is 50?"),
        ("What is ①?", "What is 1?"),
    ),
    "letter": (
        ("In Maßen?", "In Massen?"),
        ("Was ist schon?", "Was ist schön?"),
        ("What is a resume?", "What is a résumé?"),
        ("¿Cuántos años tiene?", "¿Cuántos anos tiene?"),
        ("What is select_related?", "What is prefetch_related?"),
        ("What is affect?", "What is effect?"),
    ),
}
NUMBERS = tuple(
    (f"How many days of leave after {n} years?", f"How many days of leave after {n + 1} years?") for n in range(1, 41)
)
VERSIONS = tuple((f"What changed in Django 4.{n}?", f"What changed in Django 5.{n}?") for n in range(30))
NAMES = tuple(
    (f"Who is the manager of {left}?", f"Who is the manager of {right}?")
    for left, right in zip(
        "Anna Carl Dora Emil Fritz Gina Hans Inge Jonas Karin Lars Mona Nils Olga Paul Rita Sven Tina Ulf Vera".split(),  # noqa: SIM905
        "Anne Karl Dara Emily Franz Gino Hanna Inga Jana Karl Lara Mina Nele Olaf Paula Rick Svea Timo Ute Vero".split(),  # noqa: SIM905
        strict=True,
    )
)
COMMANDS = (
    "create",
    "delete",
    "update",
    "list",
    "archive",
    "restore",
    "approve",
    "reject",
    "start",
    "stop",
    "lock",
    "unlock",
)
VERBS = tuple((f"How do I {a} a backup?", f"How do I {b} a backup?") for a in COMMANDS for b in COMMANDS if a < b)
PAIRS = (*(pair for pairs in ONE_WORD.values() for pair in pairs), *NUMBERS, *VERSIONS, *NAMES, *VERBS)
