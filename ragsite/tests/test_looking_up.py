"""A row that is looked up the short way is the row that the ORM gives."""

from datetime import UTC, datetime

import pytest
from django.contrib.auth.models import User
from django.forms.models import model_to_dict

from rag.models import ApiKey
from ragsite.looking_up import look_up

pytestmark = pytest.mark.django_db


def test_it_is_the_row_of_the_orm() -> None:
    owner = User.objects.create_user("ada")
    when = datetime(2026, 11, 22, 20, 30, 1, 250_000, tzinfo=UTC)
    ApiKey.objects.create(name="other", prefix="ffffffff", secret_sha256="1" * 64)
    key = ApiKey.objects.create(
        name="Ä'\"%s",
        prefix="0a1b2c3d",
        secret_sha256="0" * 64,
        scopes=["ask"],
        corpora=[],
        owner=owner,
        revoked_at=when,
    )

    found = look_up(ApiKey, "prefix", "0a1b2c3d")

    assert found is not None
    assert (model_to_dict(found), found.revoked_at, found.created_at) == (model_to_dict(key), when, key.created_at)
    found.name = "renamed"
    found.save()
    assert ApiKey.objects.get(pk=key.pk).name == "renamed"


def test_what_is_not_there_is_none() -> None:
    assert look_up(ApiKey, "prefix", "' OR 1=1 --") is None
