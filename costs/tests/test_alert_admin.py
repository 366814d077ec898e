"""The pages of budgets, alerts, channels and deliveries."""

import re

import pytest
from django.contrib.auth.models import Permission, User
from django.urls import reverse
from django.utils import timezone

from costs.alerts import raise_alert
from costs.models import Alert, AlertChannel, AlertDelivery, Budget
from costs.tests.factories import make_budget, make_channel, spend

pytestmark = pytest.mark.django_db
CHANNEL = {"name": "n8n", "format": "json", "target": "https://example.com/hook", "active": "on"}


@pytest.fixture
def staff_page(client, alice):
    client.force_login(alice)
    return client


def raised() -> Alert:
    raise_alert(
        kind=Alert.Kind.OUTAGE,
        key="1",
        severity=Alert.Severity.CRITICAL,
        message="Voyage is down",
        at=timezone.now(),
        detail={"provider": "voyage"},
    )
    return Alert.objects.get()


def page(client, name: str, *args: object) -> str:
    response = client.get(reverse(f"admin:costs_{name}", args=args))
    assert response.status_code == 200
    text: str = response.content.decode()
    return text


def test_a_budget_shows_how_it_stands(staff_page):
    make_budget()
    spend("4.50", at=timezone.now())

    text = page(staff_page, "budget_changelist")

    assert "$4.5000 of $5.00 (90 %)" in text
    assert "badge-notice" in text


def test_a_budget_is_made_with_its_thresholds(staff_page):
    form = {"scope": "corpus", "target": "handbook", "period": "month", "limit_usd": "20", "warn_at": "80,100"}

    staff_page.post(reverse("admin:costs_budget_add"), form)

    assert Budget.objects.get(scope="corpus").thresholds() == [80, 100]


@pytest.mark.parametrize("wrong", [{"target": ""}, {"warn_at": "many"}, {"limit_usd": "0"}, {"scope": "api_key"}])
def test_a_budget_that_makes_no_sense_is_refused_in_the_form(staff_page, wrong):
    form = {"scope": "corpus", "target": "handbook", "period": "month", "limit_usd": "20", "warn_at": "80"} | wrong

    staff_page.post(reverse("admin:costs_budget_add"), form)

    assert not Budget.objects.filter(period="month").exists()


def test_the_secret_of_a_channel_is_shown_once(staff_page):
    first = staff_page.post(reverse("admin:costs_alertchannel_add"), CHANNEL, follow=True).content.decode()

    secret = AlertChannel.objects.get().secret
    assert secret in first
    assert secret not in page(staff_page, "alertchannel_change", AlertChannel.objects.get().pk)
    assert secret not in page(staff_page, "alertchannel_changelist")


def test_a_new_secret_takes_the_place_of_the_old_one(staff_page):
    channel = make_channel("https://example.com/hook")

    shown = staff_page.post(reverse("admin:costs_alertchannel_renew_secret", args=[channel.pk]), follow=True)

    renewed = AlertChannel.objects.get().secret
    assert renewed != channel.secret
    assert renewed in shown.content.decode()


@pytest.mark.parametrize("target", ["ftp://example.com", "example", ""])
def test_a_channel_without_an_address_is_refused(staff_page, target):
    staff_page.post(reverse("admin:costs_alertchannel_add"), CHANNEL | {"target": target})

    assert not AlertChannel.objects.exists()


def test_the_test_button_sends_to_this_channel_alone(staff_page, receiver):
    channel = make_channel(receiver.url)
    make_channel("https://example.com/other")
    address = reverse("admin:costs_alertchannel_test_channel", args=[channel.pk])

    assert staff_page.get(address).status_code == 200
    assert receiver.got == []
    text = staff_page.post(address, follow=True).content.decode()

    assert "The test has arrived (200)" in text
    (got,) = receiver.got
    assert got.json()["kind"] == "test"
    assert got.signed_by(channel.secret)


def test_the_test_button_says_why_it_did_not_arrive(staff_page, settings):
    settings.ALERT_ALLOWED_NETWORKS = []
    channel = make_channel("http://127.0.0.1:9/hook")

    text = staff_page.post(
        reverse("admin:costs_alertchannel_test_channel", args=[channel.pk]), follow=True
    ).content.decode()

    assert "which is not public" in text


def test_each_try_is_seen_at_its_delivery(staff_page, receiver):
    receiver.script = [503]
    channel = make_channel(receiver.url)
    staff_page.post(reverse("admin:costs_alertchannel_test_channel", args=[channel.pk]))

    text = page(staff_page, "alertdelivery_change", AlertDelivery.objects.get().pk)

    assert "HTTP 503: not accepted" in text
    assert "thank you" in text
    assert channel.secret not in text


def test_a_delivery_is_sent_again_by_its_button(staff_page, receiver):
    channel = make_channel(receiver.url)
    staff_page.post(reverse("admin:costs_alertchannel_test_channel", args=[channel.pk]))
    delivery = AlertDelivery.objects.get()

    staff_page.post(reverse("admin:costs_alertdelivery_resend_one", args=[delivery.pk]))

    delivery.refresh_from_db()
    assert (delivery.state, delivery.tries) == ("waiting", 0)


def test_a_delivery_that_is_not_done_yet_keeps_its_next_try(staff_page):
    make_channel("https://example.com/hook")
    raised()
    delivery = AlertDelivery.objects.get()

    address = reverse("admin:costs_alertdelivery_resend_one", args=[delivery.pk])
    text = staff_page.post(address, follow=True).content.decode()

    assert "not done yet" in text
    assert AlertDelivery.objects.get().next_try_at == delivery.next_try_at


def test_the_selected_deliveries_are_sent_again(staff_page):
    make_channel("https://example.com/hook")
    raised()
    AlertDelivery.objects.update(state="failed")
    form = {"action": "resend_selected", "_selected_action": [str(AlertDelivery.objects.get().pk)]}

    staff_page.post(reverse("admin:costs_alertdelivery_changelist"), form)

    assert AlertDelivery.objects.get().state == "waiting"


def test_who_may_only_look_sends_nothing_again(client):
    carol = User.objects.create_user("carol", is_staff=True)
    carol.user_permissions.add(*Permission.objects.filter(codename__startswith="view_alert"))
    client.force_login(carol)
    make_channel("https://example.com/hook")
    raised()
    AlertDelivery.objects.update(state="failed")

    answer = client.post(reverse("admin:costs_alertdelivery_resend_one", args=[AlertDelivery.objects.get().pk]))

    assert answer.status_code == 403
    assert AlertDelivery.objects.get().state == "failed"


def test_alerts_are_only_looked_at(staff_page):
    make_channel("https://example.com/hook", name="hook")
    alert = raised()

    assert "Voyage is down" in page(staff_page, "alert_changelist")
    assert re.search(r"hook.*waiting", page(staff_page, "alert_change", alert.pk), re.DOTALL)
    assert staff_page.get(reverse("admin:costs_alert_add")).status_code == 403
    assert staff_page.post(reverse("admin:costs_alert_delete", args=[alert.pk])).status_code == 403
