"""fstab's lines, as fstab(5) has them, and the devices that they name."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidelight.disk import VolumeSlice
from sidelight.disk.device_names import (
    Attachment,
    attachments_of,
    device_names,
    logical_volume_names,
)
from sidelight.errors import UsageError
from sidelight.filesystems.machine.fstab import Line, matches, parse
from tests.fakes.sources import MemorySource

SOURCE = MemorySource(b"")


def one(text: str) -> Line:
    (line,) = parse(text.encode())
    return line


def test_fields_comments_and_octal_escapes() -> None:
    text = "# comment\n\n UUID=ab  /mnt/with\\040space\\011tab/ ext4 defaults,noauto 0 2 # this\n"
    line = one(text)
    assert (line.number, line.device, line.target) == (3, "UUID=ab", b"mnt/with space\ttab")
    assert line.options == ("defaults", "noauto")


def test_what_is_on_no_disk_is_left_out() -> None:
    text = """
tmpfs /tmp tmpfs defaults 0 0
proc /proc proc defaults 0 0
UUID=1 none swap sw 0 0
/swapfile swap swap defaults 0 0
host:/export /mnt nfs rw 0 0
//host/share /mnt cifs rw 0 0
fs-0123456789abcdef0.efs.us-east-1.amazonaws.com:/ /efs nfs4 rw 0 0
fs-0123:/ /efs efs tls 0 0
sshfs#user@host:/ /x fuse rw 0 0
user@host: /x fuse.sshfs rw 0 0
/dev/xvda1
"""
    assert list(parse(text.encode())) == []


def test_lines_of_two_or_three_fields_are_lines() -> None:
    assert one("LABEL=x /").type == "auto"
    assert one("LABEL=x / ext4").options == ()


def test_bind_mounts_and_subdirectories() -> None:
    line = one("/srv/data /var/lib/x none rbind,ro 0 0")
    assert (line.bind, line.recursive) == (True, True)
    assert one("UUID=1 /x ext4 X-mount.subdir=/a/b").subdirectory == b"a/b"


def volume_slice(**fields: object) -> VolumeSlice:
    return VolumeSlice(SOURCE, "r", 0, **fields)  # type: ignore[arg-type]  # any of its fields


def test_devices_match_by_every_name() -> None:
    root = volume_slice(
        uuid="abcd-ef",
        label="root label",
        partuuid="1234abcd-01",
        partlabel="p l",
        device_names=device_names(0, 1),
    )
    volume = volume_slice(device_names=logical_volume_names("my-vg", "my-lv"))
    for device in (
        "UUID=ABCD-EF",
        'UUID="abcd-ef"',
        "LABEL=root label",
        "PARTUUID=1234ABCD-01",
        "PARTLABEL=p l",
        "/dev/sda1",
        "/dev/xvda1",
        "/dev/nvme0n1p1",
        "/dev/disk/by-uuid/abcd-ef",
        "/dev/disk/by-label/root\\x20label",
        "/dev/disk/by-partuuid/1234abcd-01",
        "/dev/disk/by-partlabel/p\\x20l",
    ):
        assert matches(device, [volume, root]) == [root], device
    for device in ("/dev/mapper/my--vg-my--lv", "/dev/my-vg/my-lv"):
        assert matches(device, [volume, root]) == [volume], device
    for device in ("UUID=", "UUID=other", "LABEL=Root label", "/dev/sdb1", "LABEL", "/dev/sda"):
        assert matches(device, [volume, root]) == [], device


def test_an_attachments_name_gives_the_letter() -> None:
    assert "/dev/xvdf1" in device_names(1, 1, Attachment("/dev/sdf"))
    assert "/dev/nvme1n1p1" in device_names(1, 1, Attachment("/dev/sdf"))
    assert "/dev/xvdb1" not in device_names(1, 1, Attachment("/dev/sdf"))
    assert "/dev/xvda" in device_names(0, None, Attachment("/dev/sda1"))
    assert device_names(27, None)[0] == "/dev/xvdab"


VOLUME = Attachment(volume="vol-0123456789abcdef0")
BY_ID = (
    "nvme-Amazon_Elastic_Block_Store_vol0123456789abcdef0",
    "nvme-Amazon_Elastic_Block_Store_vol0123456789abcdef0_1",
    "nvme-Amazon_Elastic_Block_Store_vol0123456789abcdef0-ns-1",
    (
        "nvme-nvme.1d0f-766f6c3031323334353637383961626364656630"
        "-416d617a6f6e20456c617374696320426c6f636b2053746f7265-00000001"
    ),
)


@pytest.mark.parametrize("name", BY_ID)
def test_a_volumes_id_is_in_the_names_that_udev_gives_it(name: str) -> None:
    whole = volume_slice(device_names=device_names(1, None, VOLUME))
    first = volume_slice(device_names=device_names(1, 1, VOLUME))
    other = volume_slice(
        device_names=device_names(1, 1, Attachment(volume="vol-0123456789abcdef1"))
    )
    unknown = volume_slice(device_names=device_names(1, 1))
    every = [other, unknown, whole, first]
    assert matches(f"/dev/disk/by-id/{name}", every) == [whole]
    assert matches(f"/dev/disk/by-id/{name}-part1", every) == [first]
    assert matches(f"ID={name}-part1", every) == [first]
    assert matches(f"/dev/disk/by-id/{name}-part2", every) == []


def test_what_is_no_volumes_id_is_refused() -> None:
    assert attachments_of(["vol-0123456789abcdef0", "vol-01234567"])[0] == VOLUME
    for wrong in ("", "snap-0123456789abcdef0", "vol-0123", "vol-0123456789abcdefg"):
        with pytest.raises(UsageError):
            attachments_of([wrong])
        assert device_names(0, 1, Attachment(volume=wrong)) == device_names(0, 1)


@given(st.binary(max_size=300))
def test_any_bytes_are_parsed(data: bytes) -> None:
    for line in parse(data):
        assert matches(line.device, [volume_slice(uuid="x")]) is not None


@given(
    st.lists(
        st.sampled_from(
            [
                b"UUID=x",
                b"/a",
                b"/a/b",
                b"none",
                b"bind",
                b"\\040",
                b"\n",
                b" ",
                b"\xff",
                b"/dev/sda1",
                b"ext4",
                b",",
            ]
        ),
        max_size=30,
    )
)
def test_any_lines_are_parsed(words: list[bytes]) -> None:
    for line in parse(b"".join(words)):
        assert not line.target.startswith(b"/")
