"""Disks are read in a cage unless the settings say otherwise, and what is missing is reported."""

from __future__ import annotations

import logging

import pytest

from sidelight.cage import CagedReading, caged_reading
from sidelight.errors import UsageError
from sidelight.fleet import disk_reading
from sidelight.fleet.settings import Settings
from sidelight.fleet.settings.validation import validate
from sidelight.model import Status
from tests.fakes.sources import MemorySource

MISSING = {"Landlock": "Function not implemented"}


@pytest.fixture(autouse=True)
def _unreported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(caged_reading, "_reported", set())


@pytest.fixture
def lacking(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel without Landlock."""
    monkeypatch.setattr(disk_reading, "missing_protections", lambda: MISSING)


@pytest.fixture
def other_system(monkeypatch: pytest.MonkeyPatch) -> None:
    """A system that has no caged readers."""
    monkeypatch.setattr("sidelight.cage.protections.SEALS", "plan9")


def test_a_cage_is_the_default_with_the_bounds_of_the_settings(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(disk_reading, "missing_protections", dict)
    settings = Settings.of(
        containers=True, stage_seconds=77.0, cache_mib=100, in_flight=20, cage_required=True
    )
    reading = disk_reading.caged_reading(settings)
    assert isinstance(reading, CagedReading)
    assert reading.options.include_containers
    assert reading.seconds == 77.0
    assert reading.reserved == 110 << 20
    assert reading.is_required
    default = disk_reading.caged_reading(Settings())
    assert default is not None
    assert not default.is_required


@pytest.mark.usefixtures("lacking")
def test_a_worker_reports_once_what_its_kernel_lacks(caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(2):
        disk_reading.report_cage(Settings())
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert record.message == (
        "readers of disks run without Landlock: Function not implemented (docs/threat-model.md)"
    )


def test_a_worker_reports_that_the_cage_is_off(caplog: pytest.LogCaptureFixture) -> None:
    disk_reading.report_cage(Settings.of(cage=False))
    assert "SIDELIGHT_CAGE is off" in caplog.text


@pytest.mark.usefixtures("lacking")
def test_a_required_cage_is_refused_where_the_kernel_lacks_a_part() -> None:
    settings = Settings.of(cage_required=True)
    with pytest.raises(UsageError, match=r"^SIDELIGHT_CAGE_REQUIRED: .*Landlock: Function not"):
        disk_reading.inspecting(settings)
    assert disk_reading.caged_reading(Settings()) is not None


def test_a_required_cage_that_is_off_is_refused() -> None:
    settings = Settings.of(cage_required=True, cage=False)
    for check in (disk_reading.inspecting, validate):
        with pytest.raises(UsageError, match=r"^SIDELIGHT_CAGE_REQUIRED: .*SIDELIGHT_CAGE is off"):
            check(settings)


@pytest.mark.usefixtures("other_system")
def test_a_system_without_cages_reads_in_the_process_and_says_so_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    inspect = disk_reading.inspecting(Settings())
    for _ in range(2):
        assert inspect([MemorySource(bytes(4096))], ()).status is Status.FAILED
    assert [record.message.partition(":")[0] for record in caplog.records] == [
        "readers of disks run without seccomp",
        "readers of disks run without Landlock",
    ]
    with pytest.raises(UsageError, match="cannot seal a process"):
        disk_reading.inspecting(Settings.of(cage_required=True))


def test_a_cage_that_is_off_is_no_warning_to_who_turned_it_off(
    caplog: pytest.LogCaptureFixture,
) -> None:
    inspect = disk_reading.inspecting(Settings.of(cage=False))
    assert inspect([MemorySource(bytes(4096))], ()).status is Status.FAILED
    assert not caplog.records


def test_directories_that_settings_leave_out_are_those_of_the_reader(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(disk_reading, "missing_protections", dict)
    reading = disk_reading.caged_reading(Settings.of(skip_dirs="/opt/**/node_modules:/srv/x"))
    assert reading is not None
    assert reading.options.skip_dirs == ("/opt/**/node_modules", "/srv/x")


def test_a_glob_that_is_no_path_is_refused_before_a_fleet_is_scanned() -> None:
    with pytest.raises(UsageError, match=r"SIDELIGHT_SKIP_DIRS: .* is not a path"):
        validate(Settings.of(skip_dirs="../x"))
