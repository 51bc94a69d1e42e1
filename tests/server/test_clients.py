"""Who a request comes from."""

from __future__ import annotations

import pytest

from mien.server.clients import client_address, normalized_address, owner_of
from mien.server.problems import ProblemError


def scope(address: str = "192.0.2.1", **headers: str) -> dict[str, object]:
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return {"type": "http", "client": (address, 5), "headers": raw}


@pytest.mark.parametrize(
    ("given", "counted"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::1", "::1"),
        ("testclient", "testclient"),
        ("", ""),
    ],
)
def test_shares_are_counted_by_what_one_client_cannot_vary(given: str, counted: str) -> None:
    assert normalized_address(given) == counted
    assert client_address(scope(given)) == counted


def test_a_request_without_an_address_has_an_empty_one() -> None:
    assert client_address({"type": "http", "client": None, "headers": []}) == ""


def test_videos_belong_to_the_id_of_a_client_or_to_its_address() -> None:
    mine = "my-own-random-name"
    assert owner_of(scope(), trusts_proxy=False) == "address 192.0.2.1"
    assert owner_of(scope(x_client_id=mine), trusts_proxy=False) == f"id {mine}"
    assert owner_of(scope(x_client_id=mine, forwarded="for=1"), trusts_proxy=False) == f"id {mine}"
    # behind a proxy that is not known to be one, an address stands for many people
    for header in ("x_forwarded_for", "forwarded"):
        assert owner_of(scope(**{header: "192.0.2.7"}), trusts_proxy=False) is None
        assert owner_of(scope(**{header: "192.0.2.7"}), trusts_proxy=True) == "address 192.0.2.1"
    for wrong in ("short", "address 192.0.2.1", "x" * 65, "", "with space and more"):
        with pytest.raises(ProblemError, match="X-Client-Id"):
            owner_of(scope(x_client_id=wrong), trusts_proxy=False)
