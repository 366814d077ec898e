"""Versions never change; bumping makes the next one, activating leaves a line."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Barrier
from types import EllipsisType

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError, connection, transaction
from django.db.models import ProtectedError

from prompts.models import Activation, Immutable, Prompt, PromptVersion
from prompts.publishing import Bumped, activate, bump
from prompts.texts import UnfitText, content_hash
from prompts.versions import active_texts

pytestmark = pytest.mark.django_db


@dataclass
class Desk:
    """The prompt `answer` with its shipped version 1, and alice who edits it."""

    prompt: Prompt
    editor: User

    def bump(self, text: str = "Be brief.", note: str = "shorter") -> PromptVersion:
        return bump(prompt=self.prompt, instructions=text, examples="", note=note, author=self.editor).version

    def bump_from(self, based_on: PromptVersion, author: User | None | EllipsisType = ...) -> Bumped:
        """Alice's bump, if it is nobody else's."""
        who = self.editor if author is ... else author
        return bump(prompt=self.prompt, instructions="New.", examples="", note="n", author=who, based_on=based_on)

    def first(self) -> PromptVersion:
        return self.prompt.versions.get(number=1)


@pytest.fixture
def desk(alice: User) -> Desk:
    return Desk(Prompt.objects.get(name="answer"), alice)


@pytest.fixture
def carol(db: None) -> User:
    return User.objects.create_user("carol")


def test_a_bump_makes_the_next_number(desk: Desk) -> None:
    versions = [desk.bump(), desk.bump()]

    assert [version.label for version in versions] == ["v2", "v3"]


def test_the_first_bump_of_a_new_prompt_is_number_one(desk: Desk) -> None:
    prompt = Prompt.objects.create(name="summary", purpose="Sums up.")

    version = bump(prompt=prompt, instructions="Sum up.", examples="", note="new", author=None).version

    assert (version.number, version.author_id) == (1, None)


def test_a_prompt_counts_its_own_versions(desk: Desk) -> None:
    desk.bump()

    other = bump(prompt=Prompt.objects.get(name="hyde"), instructions="x", examples="", note="n", author=None).version

    assert other.number == 2


def test_a_bump_keeps_who_what_and_why(desk: Desk) -> None:
    version = bump(prompt=desk.prompt, instructions="A", examples="B", note="why", author=desk.editor).version

    stored = PromptVersion.objects.get(pk=version.pk)
    assert (stored.instructions, stored.examples, stored.note, stored.author) == ("A", "B", "why", desk.editor)
    assert stored.content_hash == content_hash(instructions="A", examples="B")


def test_a_bump_does_not_activate(desk: Desk) -> None:
    desk.bump()

    assert active_texts()["answer"].version == "v1"


def test_a_bump_has_to_say_why(desk: Desk) -> None:
    with pytest.raises(UnfitText, match="note"):
        desk.bump(note=" ")


@pytest.mark.parametrize("text", ["", " \n", "Be brief.\r\nCite.", "Be brief.\0"])
def test_a_bump_refuses_what_cannot_be_a_prompt(desk: Desk, text: str) -> None:
    with pytest.raises(UnfitText):
        desk.bump(text)
    assert desk.prompt.versions.count() == 1


def test_a_bump_on_top_of_the_newest_overtakes_nobody(desk: Desk) -> None:
    assert desk.bump_from(desk.first()).overtook is None


def test_a_bump_tells_whose_version_is_newer_than_the_one_that_was_edited(desk: Desk, carol: User) -> None:
    hers = desk.bump_from(desk.first(), author=carol).version

    bumped = desk.bump_from(desk.first())

    assert (bumped.version.label, bumped.overtook) == ("v3", hers)


def test_a_bump_does_not_count_ones_own_drafts(desk: Desk) -> None:
    desk.bump()

    assert desk.bump_from(desk.first()).overtook is None


def test_a_bump_counts_versions_that_name_nobody(desk: Desk) -> None:
    imported = desk.bump_from(desk.first(), author=None).version

    assert desk.bump_from(desk.first()).overtook == imported


def test_a_bump_is_based_on_a_version_of_its_own_prompt(desk: Desk) -> None:
    with pytest.raises(ValueError, match="another prompt"):
        desk.bump_from(PromptVersion.objects.get(prompt__name="hyde"))


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_who_bumps_at_the_same_time_gets_a_version_each_and_all_but_the_first_are_told(alice: User) -> None:
    desk = Desk(Prompt.objects.get(name="answer"), alice)
    first = desk.first()
    people = [User.objects.create_user(f"editor-{number}") for number in range(8)]
    together = Barrier(len(people))

    def edit(person: User) -> Bumped:
        try:
            together.wait()
            return desk.bump_from(first, author=person)
        finally:
            connection.close()

    with ThreadPoolExecutor(len(people)) as threads:
        made = sorted(threads.map(edit, people), key=lambda bumped: bumped.version.number)

    assert [bumped.version.number for bumped in made] == list(range(2, 10))
    assert [bumped.overtook and bumped.overtook.number for bumped in made] == [None, *range(2, 9)]


def test_a_version_refuses_to_be_saved_again(desk: Desk) -> None:
    version = desk.first()
    version.instructions = "Something else."

    with pytest.raises(Immutable):
        version.save()


def test_a_version_refuses_to_be_written_over_by_a_new_object(desk: Desk) -> None:
    old = desk.first()
    impostor = PromptVersion(pk=old.pk, prompt=desk.prompt, number=1, instructions="Something else.", note="x")
    impostor.created_at = old.created_at

    with pytest.raises((Immutable, IntegrityError)), transaction.atomic():
        impostor.save()
    assert desk.first().instructions == old.instructions


def test_a_version_refuses_to_be_deleted(desk: Desk) -> None:
    with pytest.raises(Immutable):
        desk.first().delete()


def test_a_query_set_refuses_to_change_versions(desk: Desk) -> None:
    with pytest.raises(Immutable):
        PromptVersion.objects.update(instructions="x")
    with pytest.raises(Immutable):
        desk.prompt.versions.all().update(instructions="x")
    with pytest.raises(Immutable):
        PromptVersion.objects.bulk_update([desk.first()], ["note"])


def test_a_query_set_refuses_to_delete_versions(desk: Desk) -> None:
    with pytest.raises(Immutable):
        PromptVersion.objects.all().delete()
    with pytest.raises(Immutable):
        desk.prompt.versions.all().delete()


def test_a_prompt_with_versions_cannot_be_deleted(desk: Desk) -> None:
    with pytest.raises(ProtectedError):
        desk.prompt.delete()


def test_activating_makes_the_version_serve(desk: Desk) -> None:
    version = desk.bump("Be brief.")

    activate(version=version, who=desk.editor, why="it is shorter")

    text = active_texts()["answer"]
    assert (text.version, text.instructions, text.content_hash) == ("v2", "Be brief.", version.content_hash)


def test_activating_leaves_a_line_that_says_who_and_why(desk: Desk) -> None:
    version = desk.bump()

    line = activate(version=version, who=desk.editor, why="it is shorter")

    assert (line.prompt, line.version, line.previous) == (desk.prompt, version, desk.first())
    assert (line.who, line.why) == (desk.editor, "it is shorter")
    assert desk.prompt.activations.count() == 2


def test_an_activation_has_to_say_why(desk: Desk) -> None:
    with pytest.raises(IntegrityError):
        activate(version=desk.first(), who=None, why="")


def test_rolling_back_is_an_activation_of_the_earlier_version(desk: Desk) -> None:
    second = desk.bump()
    activate(version=second, who=desk.editor, why="shorter")

    line = activate(version=desk.first(), who=desk.editor, why="v2 cites less")

    assert (line.version, line.previous) == (desk.first(), second)
    assert active_texts()["answer"].version == "v1"
    numbers = Activation.objects.filter(prompt=desk.prompt).order_by("id").values_list("version__number", flat=True)
    assert list(numbers) == [1, 2, 1]


def test_activating_one_prompt_leaves_the_others_alone(desk: Desk) -> None:
    before = active_texts()

    activate(version=desk.bump(), who=None, why="shorter")

    after = active_texts()
    assert {name for name in after if after[name] != before[name]} == {"answer"}
