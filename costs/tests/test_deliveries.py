"""Deliveries to a real receiver: signed, tried again under the same id, never by two at once."""

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import pytest
from django.core import mail
from django.db import connection

from costs.alerts import raise_alert
from costs.deliveries import LEASE, MOST_TRIES, delay, deliver, deliver_due, resend
from costs.models import Alert, AlertDelivery, DeliveryTry
from costs.tests.factories import NOON, make_channel
from costs.tests.receiving import Receiver

pytestmark = pytest.mark.django_db


def raised(key: str = "1") -> None:
    raise_alert(
        kind=Alert.Kind.OUTAGE,
        key=key,
        severity=Alert.Severity.CRITICAL,
        message="Voyage is down — späte Änderung",
        at=NOON,
        detail={"provider": "voyage"},
    )


def run(now: datetime = NOON) -> None:
    deliver_due(lambda: now)


def only() -> AlertDelivery:
    return AlertDelivery.objects.get()


class TestAWebhook:
    def test_gets_the_alert_signed(self, receiver: Receiver):
        channel = make_channel(receiver.url)
        raised()

        run()

        (got,) = receiver.got
        assert got.signed_by(channel.secret)
        assert not got.signed_by("another")
        assert got.delivery == got.json()["delivery_id"] == str(only().pk)
        assert int(got.headers["x-ragsite-timestamp"]) == int(NOON.timestamp())
        assert got.json()["message"] == "Voyage is down — späte Änderung"
        assert only().state == "sent"

    def test_that_fails_gets_it_again_under_the_same_id_later(self, receiver: Receiver):
        receiver.script = [500, 503]
        make_channel(receiver.url)
        raised()

        run()
        run(NOON + timedelta(seconds=59))
        assert len(receiver.got) == 1
        run(NOON + timedelta(seconds=60))
        run(NOON + timedelta(seconds=180))
        run(NOON + timedelta(days=1))

        assert len({got.delivery for got in receiver.got}) == 1
        assert [got.answered for got in receiver.got] == [500, 503, 200]
        assert [each.status for each in DeliveryTry.objects.order_by("at")] == [500, 503, 200]
        assert only().state == "sent"

    def test_that_always_fails_is_given_up(self, receiver: Receiver):
        receiver.script = [500] * 99
        make_channel(receiver.url)
        raised()

        for hour in range(MOST_TRIES + 5):
            run(NOON + timedelta(hours=hour))

        assert len(receiver.got) == MOST_TRIES
        assert only().state == "failed"

    def test_is_not_followed_to_where_it_redirects(self, receiver: Receiver):
        receiver.script, receiver.location = [302], receiver.url
        make_channel(receiver.url)
        raised()

        run()

        assert len(receiver.got) == 1
        assert "redirect" in DeliveryTry.objects.get().error

    def test_leaves_one_kilobyte_of_its_answer_at_most(self, receiver: Receiver):
        receiver.answer = b"x" * 100_000
        make_channel(receiver.url)
        raised()

        run()

        assert DeliveryTry.objects.get().response == "x" * 1_024

    def test_that_nobody_listens_at_is_told_and_tried_again(self, receiver: Receiver):
        make_channel("http://127.0.0.1:9/hook")
        raised()

        run()

        assert DeliveryTry.objects.get().status is None
        assert "ConnectError" in DeliveryTry.objects.get().error
        assert only().next_try_at == NOON + delay(1)

    def test_does_not_hold_up_the_others(self, receiver: Receiver):
        make_channel("http://127.0.0.1:9/hook", name="broken")
        make_channel(receiver.url, name="whole")
        raised()

        run()

        assert len(receiver.got) == 1

    def test_of_slack_gets_what_slack_reads(self, receiver: Receiver):
        make_channel(receiver.url, format="slack")
        raised()

        run()

        assert receiver.got[0].json() == {"text": "*ragsite critical*: Voyage is down — späte Änderung"}

    def test_is_sent_again_under_the_old_id_when_staff_want_it(self, receiver: Receiver):
        make_channel(receiver.url)
        raised()
        run()

        resend(only(), NOON + timedelta(hours=1))
        run(NOON + timedelta(hours=1))

        assert len({got.delivery for got in receiver.got}) == 1
        assert len(receiver.accepted()) == 2


class TestADelivery:
    def test_that_is_being_tried_is_left_alone_until_its_lease_is_over(self, receiver: Receiver):
        make_channel(receiver.url)
        raised()
        AlertDelivery.objects.update(next_try_at=NOON + LEASE)  # as a worker leaves it that dies while sending

        assert deliver(only().pk, NOON) is None
        assert deliver(only().pk, NOON + LEASE) is not None

    @pytest.mark.django_db(transaction=True, serialized_rollback=True)
    def test_is_made_by_one_of_many_workers(self, receiver: Receiver):
        make_channel(receiver.url)
        for number in range(5):
            raised(str(number))

        def work(_: int) -> None:
            run()
            connection.close()

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(work, range(8)))

        assert len(receiver.got) == 5
        assert len({got.delivery for got in receiver.got}) == 5

    def test_waits_twice_as_long_each_time_up_to_an_hour(self):
        waits = [delay(tries).total_seconds() for tries in range(1, 9)]

        assert waits == [60, 120, 240, 480, 960, 1920, 3600, 3600]


class TestMail:
    def test_carries_the_message_and_the_delivery_id(self, settings):
        settings.EMAIL_URL = "smtp://localhost"
        make_channel("ops@example.com, cfo@example.com", format="email")
        raised()

        run()

        (sent,) = mail.outbox
        assert sent.to == ["ops@example.com", "cfo@example.com"]
        assert sent.subject == "[ragsite critical] Voyage is down — späte Änderung"
        assert sent.extra_headers["X-Ragsite-Delivery"] == str(only().pk)
        assert only().state == "sent"

    def test_without_a_server_is_no_delivery(self, settings):
        settings.EMAIL_URL = ""
        make_channel("ops@example.com", format="email")
        raised()

        run()

        assert mail.outbox == []
        assert "EMAIL_URL" in DeliveryTry.objects.get().error
        assert only().state == "waiting"
