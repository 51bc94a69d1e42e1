"""Limits: their values, and where they come from."""

from __future__ import annotations

import pytest

from mien.errors import InputError
from mien.server.access import KEY_VARIABLE
from mien.server.limits import ServiceLimits, describe_limits, load_limits, unread_variables


def test_limits_come_from_options_then_the_environment_then_defaults() -> None:
    environment = {"MIEN_SERVE_IMAGES": "3", "MIEN_SERVE_RATE": "1.5", "MIEN_SERVE_KEY": "k" * 40, "HOME": "/"}
    limits = load_limits(environment, {"images": 5, "faces": None})
    assert (limits.images, limits.rate, limits.faces) == (5, 1.5, ServiceLimits().faces)


@pytest.mark.parametrize(
    ("environment", "chosen"),
    [({"MIEN_SERVE_IMAGES": "many"}, {}), ({"MIEN_SERVE_IMAGES": "0"}, {}), ({}, {"rate": -1.0}),
     ({}, {"request_seconds": float("inf")}), ({}, {"request_seconds": float("nan")})],
)  # fmt: skip
def test_limits_out_of_range_are_refused(environment: dict[str, str], chosen: dict[str, float]) -> None:
    with pytest.raises(InputError, match=r"images|rate|request_seconds|IMAGES"):
        load_limits(environment, chosen)


def test_every_limit_is_described() -> None:
    assert len({one.name for one in describe_limits()}) == len(describe_limits()) > 30
    assert all(one.text and one.unit and one.text[0].islower() for one in describe_limits())


def test_variables_that_are_not_read_are_found_with_the_one_that_may_be_meant() -> None:
    read = {"MIEN_SERVE_IMAGES": "3", "MIEN_SERVE_KEY": "k", "MIEN_CACHE": "/", "MIEN_JSON_ERRORS": "1", "HOME": "/",
            "SERVER_NAME": "x", "MIEN_DATA": "/", "MIEN_SERVICE_HOST": "10.0.0.1", "MIEN_SERVICE_PORT_HTTP": "80",
            "MIEN_PORT": "tcp://10.0.0.1:80", "MIEN_PORT_80_TCP_ADDR": "10.0.0.1"}  # fmt: skip
    others = [KEY_VARIABLE, "MIEN_CACHE", "MIEN_JSON_ERRORS"]
    assert unread_variables(read, others) == {}
    misspelt = {
        "MIEN_SERVE_VIDEO_SECOND": "MIEN_SERVE_VIDEO_SECONDS",
        "MIEN_SERV_KEY": "MIEN_SERVE_KEY",
        "MIEN_SERVER_RATE": "MIEN_SERVE_RATE",
        "mien_serve_images": "MIEN_SERVE_IMAGES",
        "MIEN_SERVE_BODYBYTES": "MIEN_SERVE_BODY_BYTES",
        "MIEN_VIDEO_SECONDS": "MIEN_SERVE_VIDEO_SECONDS",
        "MIEN_IMAGES": "MIEN_SERVE_IMAGES",
        "MIEN_SERVICE_IMAGES": "MIEN_SERVE_IMAGES",
        "MIEN_CACH": "MIEN_CACHE",
        "MIEN_JSON_ERROR": "MIEN_JSON_ERRORS",
        "MIEN_SERVE_FOO": None,
        "MIEN_SERVE_COLOUR_OF_THE_SKY": None,
    }
    assert unread_variables(dict.fromkeys(misspelt, "1") | read, others) == misspelt
