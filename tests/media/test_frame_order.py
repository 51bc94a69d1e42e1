"""Decoded pictures get the numbers of their frames, and lost frames keep theirs."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mien.media.frame_order import ArrivalOrder, TimestampOrder


def ranked(events: list[tuple[str, int, int]]) -> list[tuple[int, int | None]]:
    """Feed (what, number, pts) into `TimestampOrder` and return (index, number or None) of what comes out."""
    order: TimestampOrder[int] = TimestampOrder()
    out = []
    for what, number, pts in events:
        if what == "sent":
            order.add_packet(number, pts)
        else:
            out += list(order.add_picture(number, number if what == "got" else None))
    out += list(order.finish())
    return [(placed.index, placed.picture) for placed in out]


def test_ranks_leave_gaps_for_lost_frames() -> None:
    sent = [("sent", n, pts) for n, pts in enumerate([0, 3, 1, 2, 6, 4, 5])]
    got = [("got", 0, 0), ("got", 2, 1), ("bad", 3, 2), ("got", 1, 3), ("got", 6, 5), ("got", 4, 6)]
    assert ranked([*sent, *got]) == [(0, 0), (1, 2), (2, None), (3, 1), (4, None), (5, 6), (6, 4)]


def test_ranks_put_frames_that_come_a_little_late_in_order() -> None:
    sent = [("sent", n, n) for n in range(6)]
    assert ranked([*sent, *(("got", n, n) for n in (0, 2, 1, 3, 5, 4))]) == [(n, n) for n in range(6)]


@given(st.integers(1, 30), st.data())
def test_ranks_account_for_every_packet(n: int, data: st.DataObject) -> None:
    pts = data.draw(st.permutations(range(n)))
    lost = data.draw(st.sets(st.integers(0, n - 1)))
    sent = [("sent", number, stamp) for number, stamp in enumerate(pts)]
    got = [("got", number, 0) for number in sorted(range(n), key=lambda k: pts[k]) if number not in lost]
    out = ranked([*sent, *got])
    assert [index for index, _ in out] == list(range(n))
    assert [picture for _, picture in out] == [None if k in lost else k for k in sorted(range(n), key=lambda k: pts[k])]


def test_counting_notices_what_never_came_and_lets_fields_pass() -> None:
    for fields, lost in ((False, 1), (True, 0)):
        order: ArrivalOrder[int] = ArrivalOrder(fields=fields)
        out = []
        for number in range(200):
            order.add_packet(number, number)
            if number != 50:
                out += list(order.add_picture(number, number))
        out += list(order.finish())
        assert sum(placed.picture is None for placed in out) == lost
        assert [placed.index for placed in out] == list(range(len(out)))
