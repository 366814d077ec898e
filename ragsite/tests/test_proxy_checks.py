"""Settings of a site behind a proxy that cannot work are told by their ids."""

from typing import Any

import pytest
from django.test import override_settings

from ragsite.checks import check_settings

BEHIND = {"BEHIND_TLS": True, "TRUSTED_PROXIES": ["127.0.0.1"]}


def ids_with(**changes: Any) -> list[str | None]:
    with override_settings(**changes):
        return [message.id for message in check_settings(None)]


def test_a_site_behind_a_trusted_proxy_is_silent() -> None:
    assert ids_with(**BEHIND, FORCE_SCRIPT_NAME="/tools/ragsite") == []


@pytest.mark.parametrize("entries", [["1"], ["proxy.example.org"], ["10.0.0.1/8"]])
def test_proxies_that_are_no_networks_are_refused(entries: list[str]) -> None:
    assert ids_with(TRUSTED_PROXIES=entries) == ["ragsite.E011"]


@pytest.mark.parametrize("everybody", ["0.0.0.0/0", "::/0"])
def test_believing_everybody_is_refused(everybody: str) -> None:
    assert ids_with(TRUSTED_PROXIES=[everybody]) == ["ragsite.E012"]


def test_tls_without_a_trusted_proxy_is_warned_of() -> None:
    assert ids_with(BEHIND_TLS=True, TRUSTED_PROXIES=[]) == ["ragsite.W010"]


@pytest.mark.parametrize("path", ["ragsite", "/ragsite/", "/", "/a b", "//a", "/a?b"])
def test_a_strange_sub_path_is_refused(path: str) -> None:
    assert ids_with(FORCE_SCRIPT_NAME=path) == ["ragsite.E013"]


@pytest.mark.parametrize("host", ["https://example.org", "example.org/", "example.org:8443", "", "a b"])
def test_a_host_that_matches_none_is_refused(host: str) -> None:
    assert ids_with(ALLOWED_HOSTS=["example.org", host]) == ["ragsite.E010"]


@pytest.mark.parametrize("host", ["*", ".example.org", "a-b.example.org", "127.0.0.1", "[::1]", "localhost"])
def test_hosts_as_django_takes_them_are_silent(host: str) -> None:
    assert ids_with(ALLOWED_HOSTS=[host]) == []
