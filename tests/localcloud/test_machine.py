"""Machines as they are asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from sidelight.errors import UsageError
from sidelight.localcloud.admin_api import machine_of
from sidelight.localcloud.machine import by_device

if TYPE_CHECKING:
    from pathlib import Path


def test_a_list_of_images_gets_device_names_in_order(image: Path) -> None:
    assert list(by_device([image, image, image])) == ["/dev/sda1", "/dev/sdb", "/dev/sdc"]


def test_a_volume_is_the_image_rounded_up(image: Path) -> None:
    assert machine_of("m", [image], {}).size_gib("/dev/sda1") == 2


@pytest.mark.parametrize(
    "options",
    [
        {"state": "asleep"},
        {"account": "12"},
        {"colour": "red"},
        {"volume_sizes": {"/dev/sda1": 1}},
    ],
)
def test_what_cannot_be_is_a_usage_error(image: Path, options: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        machine_of("m", [image], options)


def test_an_absent_image_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"absent\.img"):
        machine_of("m", [tmp_path / "absent.img"], {})
    with pytest.raises(UsageError):
        machine_of("m", [tmp_path], {})


def test_more_images_than_device_names_are_refused(image: Path) -> None:
    with pytest.raises(UsageError):
        by_device([image] * 27)
