"""A mount may fail on the machine, or be made to hide something: what it covers is still seen."""

from __future__ import annotations

import pytest

from tests.fixtures.machine_trees import machine, walked

UNIT = b"[Unit]\nConditionPathExists=/none\n[Mount]\nWhat=LABEL=data\nWhere=/opt\nType=ext4\n"


@pytest.mark.parametrize(
    "fstab",
    [
        "LABEL=data /opt ext4 nofail,nosuchoption=1\n",
        "LABEL=data /opt ext4 defaults\n",
        "/empty /opt none bind\n",
        "/empty /opt none rbind,nofail\n",
    ],
)
def test_what_a_mount_covers_is_shown_under_its_name(fstab: str) -> None:
    tree = machine(
        fstab, {"root": {"opt": {"app.jar": b"old"}, "empty": {}}, "data": {"app.jar": b"new"}}
    )
    assert tree.problems == []
    assert "[covered:opt]/app.jar" in walked(tree)
    assert tree.read("/[covered:opt]/app.jar") == b"old"


def test_a_unit_whose_condition_fails_hides_nothing() -> None:
    wants = {"opt.mount": "/etc/systemd/system/opt.mount"}
    system = {"opt.mount": UNIT, "local-fs.target.wants": wants}
    tree = machine(
        "",
        {
            "root": {
                "opt": {"app.jar": b"old"},
                "etc": {"os-release": b"ID=test\n", "systemd": {"system": system}},
                "usr": {"lib": {"systemd": {"systemd": b""}}},
            },
            "data": {"x": b""},
        },
    )
    assert {"opt/x", "[covered:opt]/app.jar"} <= walked(tree)


def test_an_empty_mount_point_is_not_shown() -> None:
    tree = machine("LABEL=data /opt ext4\n", {"root": {"opt": {}}, "data": {"x": b""}})
    assert tree.extra == {}


def test_what_several_mounts_of_one_directory_cover_is_shown_once() -> None:
    tree = machine(
        "LABEL=a /opt ext4\nLABEL=b /opt ext4\n/opt /srv none bind\n",
        {"root": {"opt": {"old": b""}, "srv": {}}, "a": {"x": b""}, "b": {"y": b""}},
    )
    paths = walked(tree)
    assert {"opt/y", "srv/y", "[covered:opt]/old", "[covered:opt#2]/x"} <= paths
    assert sum(path.endswith("/old") for path in paths) == 1


def test_the_part_of_a_filesystem_beside_the_mounted_subdirectory_is_shown() -> None:
    tree = machine(
        "LABEL=data /opt ext4 X-mount.subdir=part\n",
        {"root": {"opt": {}}, "data": {"part": {"x": b""}, "rest": {"y": b""}}},
    )
    assert "opt/x" in walked(tree)
    assert any(path.endswith("/rest/y") for path in walked(tree))


@pytest.mark.parametrize("options", ["loop", "loop,nofail", "defaults", "nofail", "offset=512,ro"])
def test_a_filesystem_in_a_file_is_a_problem(options: str) -> None:
    tree = machine(
        f"/srv/app.img /opt/app ext4 {options}\n",
        {"root": {"opt": {"app": {}}, "srv": {"app.img": b"..."}}},
    )
    (problem,) = tree.problems
    assert "line 1 (/opt/app)" in problem.where
    assert "/srv/app.img is a filesystem in a file" in problem.what


def test_a_file_to_mount_that_is_absent_is_a_problem_unless_it_may_be() -> None:
    files: dict[str, dict[str, object]] = {"root": {"opt": {}}}
    assert machine("/srv/app.img /opt ext4 loop,nofail\n", files).problems == []
    (problem,) = machine("/srv/app.img /opt ext4 loop\n", files).problems
    assert "not among the volumes" in problem.what


@pytest.mark.parametrize(
    "device", ["LABEL=root", "/dev/xvda1", "/dev/nvme0n1p1", "/dev/disk/by-label/root"]
)
def test_the_root_s_device_mounted_again_is_no_absent_device(device: str) -> None:
    tree = machine(f"LABEL=root / ext4\n{device} /mnt/again ext4\n", {"root": {"mnt": {}}})
    assert tree.problems == []


def test_an_ordinary_fstab_gives_no_problem_and_hides_nothing() -> None:
    fstab = """\
LABEL=root / ext4 defaults,discard 0 1
LABEL=UEFI /boot/efi vfat umask=0077,nofail 0 1
/swapfile none swap sw 0 0
tmpfs /tmp tmpfs nosuid,nodev 0 0
tmpfs /dev/shm tmpfs defaults 0 0
proc /proc proc defaults,hidepid=2 0 0
sysfs /sys sysfs defaults 0 0
cgroup /sys/fs/cgroup cgroup defaults 0 0
fs-12345678:/ /srv efs _netdev,tls 0 0
10.0.0.5:/export /home nfs4 defaults,_netdev 0 0
overlay /var/app overlay lowerdir=/opt,upperdir=/var/u,workdir=/var/w 0 0
/dev/fd0 /media/floppy auto rw,user,noauto 0 0
"""
    tree = machine(
        fstab,
        {
            "root": {
                "opt": {"app.jar": b""},
                "dev": {"shm": {"leftover": b""}, "pts": {}},
                "proc": {"hidden.jar": b""},
                "srv": {"mine": b""},
                "tmp": {"x": b""},
                "var": {"app": {"covered": b""}},
            }
        },
    )
    assert tree.problems == []
    assert tree.extra == {}
    assert {"opt/app.jar", "proc/hidden.jar", "srv/mine", "tmp/x", "var/app/covered"} <= walked(
        tree
    )
