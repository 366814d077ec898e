import pytest

from sandbox.control import BadOrder, Control

STATUS = {"endpoint": "voyage.embeddings", "fault": {"kind": "status", "status": 429}}


def test_an_order_is_used_once_by_default_never_twice():
    control = Control()
    control.order(STATUS | {"times": 1})

    taken = [control.take(endpoint="voyage.embeddings", raw=b"") for _ in range(2)]

    assert [fault.status if fault else None for fault in taken] == [429, None]


def test_an_order_without_times_stays_until_cleared():
    control = Control()
    control.order(STATUS)

    assert all(control.take(endpoint="voyage.embeddings", raw=b"") for _ in range(5))
    control.clear()
    assert control.take(endpoint="voyage.embeddings", raw=b"") is None


def test_the_oldest_order_comes_first():
    control = Control()
    control.order(STATUS | {"times": 1})
    control.order(STATUS | {"fault": {"kind": "hang"}})

    taken = [control.take(endpoint="voyage.embeddings", raw=b"") for _ in range(2)]

    assert [fault.kind if fault else None for fault in taken] == ["status", "hang"]


def test_other_endpoints_are_left_alone():
    control = Control()
    control.order(STATUS)

    assert control.take(endpoint="cohere.rerank", raw=b"") is None


def test_an_order_can_be_removed_by_its_number():
    control = Control()
    placed = control.order(STATUS)

    assert (control.remove(placed.id), control.remove(placed.id)) == (True, False)


@pytest.mark.parametrize(
    "order",
    [
        {},
        {"endpoint": "nobody", "fault": {"kind": "hang"}},
        {"endpoint": ["voyage.embeddings"], "fault": {"kind": "hang"}},
        {"endpoint": "cohere.rerank"},
        {"endpoint": "cohere.rerank", "fault": {"kind": "explode"}},
        {"endpoint": "cohere.rerank", "fault": {"kind": "endless_stream"}},
        {"endpoint": "anthropic.messages", "fault": {"kind": "short_results"}},
        STATUS | {"times": 0},
        STATUS | {"times": True},
        STATUS | {"match": 3},
        STATUS | {"colour": "red"},
        {"endpoint": "cohere.rerank", "fault": {"kind": "status", "status": 200}},
        {"endpoint": "cohere.rerank", "fault": {"kind": "status", "headers": {"x": "a\r\nb: c"}}},
        {"endpoint": "cohere.rerank", "fault": {"kind": "delay", "delay_ms": -1}},
    ],
)
def test_a_senseless_order_is_refused(order):
    with pytest.raises(BadOrder):
        Control().order(order)


def test_orders_are_listed_with_what_is_left_of_them(server):
    server.break_next("cohere.rerank", kind="hang", times=3, match="x")

    (listed,) = server.ask("GET", "/_control")["faults"]

    assert listed | {"id": 0} == {"id": 0, "endpoint": "cohere.rerank", "kind": "hang", "remaining": 3, "match": "x"}


def test_one_order_is_deleted_over_http(server):
    first = server.break_next("cohere.rerank", kind="hang")
    second = server.break_next("cohere.rerank", kind="reset")

    left = server.ask("DELETE", f"/_control/{first}")["faults"]

    assert [order["id"] for order in left] == [second]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/_control", "not json"),
        ("/_control", "[]"),
        ("/_control/clock", '{"advance_s": -1}'),
        ("/_control/clock", '{"advance_s": "soon"}'),
        ("/_control/clock", '{"advance_s": 1, "bill": "yes"}'),
        ("/_control/latency", '{"latency_ms": true}'),
    ],
)
def test_a_bad_control_request_is_answered_with_a_reason(server, path, body):
    answer = server.http.post(path, content=body)

    assert answer.status_code == 400
    assert answer.json()["error"]
