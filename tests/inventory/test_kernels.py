"""Which kernel boots, by each boot loader, and whose packages are marked."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidelight.inventory.kernel_packages import mark, named_images, without_packaged_images
from sidelight.inventory.kernels import PATHS, booted, release_of_image
from sidelight.model import Package

_UBUNTU = b"""
if [ -s $prefix/grubenv ]; then
  set have_grubenv=true
fi
if [ "${next_entry}" ] ; then
   set default="${next_entry}"
   set next_entry=
else
   set default="%s"
fi
menuentry 'Ubuntu' --class ubuntu $menuentry_id_option 'gnulinux-simple-1' {
\tif [ x$grub_platform = xxen ]; then
\t  insmod xzio
\tfi
\tlinux\t/boot/vmlinuz-5.15.0-97-generic root=UUID=1 ro
\tinitrd\t/boot/initrd.img-5.15.0-97-generic
}
submenu 'Advanced options for Ubuntu' $menuentry_id_option 'gnulinux-advanced-1' {
\tmenuentry 'Ubuntu, with Linux 5.15.0-97-generic' $menuentry_id_option 'gnulinux-97' {
\t\tlinux\t/boot/vmlinuz-5.15.0-97-generic root=UUID=1 ro
\t}
\tmenuentry 'Ubuntu, with Linux 5.15.0-91-generic' $menuentry_id_option 'gnulinux-91' {
\t\tlinux\t/boot/vmlinuz-5.15.0-91-generic root=UUID=1 ro
\t}
}
menuentry "UEFI Firmware Settings" { fwsetup }
"""
_ENVIRONMENT = b"# GRUB Environment Block\nsaved_entry=%s\n" + b"#" * 900
_IMAGES = ["vmlinuz-5.15.0-91-generic", "vmlinuz-5.15.0-97-generic", "vmlinuz", "initrd.img-9"]


@pytest.mark.parametrize(
    ("default", "saved", "release"),
    [
        (b"0", None, "5.15.0-97-generic"),
        (b"1>1", None, "5.15.0-91-generic"),
        (b"1", None, "5.15.0-97-generic"),
        (b"gnulinux-advanced-1>gnulinux-91", None, "5.15.0-91-generic"),
        (
            b"Advanced options for Ubuntu>Ubuntu, with Linux 5.15.0-91-generic",
            None,
            "5.15.0-91-generic",
        ),
        (b"${saved_entry}", b"gnulinux-advanced-1>gnulinux-91", "5.15.0-91-generic"),
        (b"${saved_entry}", None, "5.15.0-97-generic"),
        (b"no such entry", None, "5.15.0-97-generic"),
        (b"99>99", None, "5.15.0-97-generic"),
    ],
)
def test_grub_chooses_by_number_title_id_or_what_was_saved(
    default: bytes, saved: bytes | None, release: str
) -> None:
    files = {"boot/grub/grub.cfg": _UBUNTU % default}
    if saved is not None:
        files["boot/grub/grubenv"] = _ENVIRONMENT % saved
    assert booted(files, _IMAGES) == release


def _entry(version: str, name: str = "") -> tuple[str, bytes]:
    text = f"title Linux ({version})\nversion {version}\nlinux /vmlinuz-{version}\noptions $o\n"
    return f"boot/loader/entries/{name or 'id-' + version}.conf", text.encode()


_BLS = dict(
    [
        _entry("5.14.0-70.13.1.el9_0.x86_64"),
        _entry("5.14.0-9.el9.x86_64"),
        _entry("0-rescue-abc", "id-0-rescue"),
    ]
)
_BLSCFG = b'set default="${saved_entry}"\ninsmod blscfg\nblscfg\n'


@pytest.mark.parametrize(
    ("saved", "release"),
    [
        (b"id-5.14.0-9.el9.x86_64", "5.14.0-9.el9.x86_64"),
        (b"id-5.14.0-70.13.1.el9_0.x86_64", "5.14.0-70.13.1.el9_0.x86_64"),
        (b"1", "5.14.0-9.el9.x86_64"),
        (b"gone", "5.14.0-70.13.1.el9_0.x86_64"),
    ],
)
def test_grub_takes_the_boot_loader_specification_s_entries(saved: bytes, release: str) -> None:
    files = {
        "boot/grub2/grub.cfg": _BLSCFG,
        "boot/grub2/grubenv": _ENVIRONMENT % saved,
        **_BLS,
    }
    assert booted(files, []) == release


def test_systemd_boot_takes_a_pattern() -> None:
    files = {**_BLS, "boot/loader/loader.conf": b"timeout 3\ndefault id-5.14.0-9*\n"}
    assert booted(files, []) == "5.14.0-9.el9.x86_64"


def test_entries_alone_give_the_newest() -> None:
    assert booted(_BLS, []) == "5.14.0-70.13.1.el9_0.x86_64"


def test_grub_legacy_counts_its_titles() -> None:
    config = (
        b"default=1\ntimeout=0\ntitle Amazon Linux 2018.03 (4.14.355)\nroot (hd0,0)\n"
        b"kernel /boot/vmlinuz-4.14.355-1.amzn1.x86_64 root=LABEL=/\ntitle old\n"
        b"kernel (hd0,0)/boot/vmlinuz-4.14.1-1.amzn1.x86_64 ro\n"
    )
    assert booted({"boot/grub/grub.conf": config}, []) == "4.14.1-1.amzn1.x86_64"


def test_extlinux_has_a_default_label() -> None:
    config = b"DEFAULT lts\nLABEL edge\n  LINUX vmlinuz-edge\nLABEL lts\n  LINUX vmlinuz-lts\n"
    assert booted({"boot/extlinux.conf": config}, ["vmlinuz-edge", "vmlinuz-lts"]) == "lts"


def test_the_newest_image_is_the_last_resort() -> None:
    images = [
        "vmlinuz-6.1.0-9-amd64",
        "vmlinuz-6.1.0-18-amd64",
        "vmlinuz-0-rescue-1",
        "vmlinuz.old",
    ]
    assert booted({}, images) == "6.1.0-18-amd64"
    assert booted({}, ["config-6.1"]) == ""


@pytest.mark.parametrize(
    ("path", "release"),
    [
        ("/boot/vmlinuz-6.1.0-18-amd64", "6.1.0-18-amd64"),
        ("/vmlinux-5.3.18-150300.59.93-default.gz", "5.3.18-150300.59.93-default.gz"),
        ("vmlinuz-6.1.old", ""),
        ("/vmlinuz", ""),
    ],
)
def test_a_release_is_read_from_an_image_s_name(path: str, release: str) -> None:
    assert release_of_image(path) == release


def _package(kind: str, name: str, version: str = "1", arch: str = "x86_64") -> Package:
    return Package(kind, name, version, "/db", f"pkg:{kind}/{name}@{version}", arch=arch)


@pytest.mark.parametrize(
    ("release", "own", "others", "neither"),
    [
        (
            "6.1.0-18-amd64",
            [
                _package("deb", "linux-image-6.1.0-18-amd64"),
                _package("deb", "linux-headers-6.1.0-18-common"),
            ],
            [
                _package("deb", "linux-image-6.1.0-17-amd64"),
                _package("deb", "linux-headers-6.1.0-1-amd64"),
            ],
            [
                _package("deb", "linux-image-amd64"),
                _package("deb", "linux-libc-dev"),
                _package("deb", "bash"),
            ],
        ),
        (
            "5.15.0-1050-aws",
            [
                _package("deb", "linux-modules-5.15.0-1050-aws"),
                _package("deb", "linux-aws-headers-5.15.0-1050"),
            ],
            [
                _package("deb", "linux-image-5.15.0-1049-aws"),
                _package("deb", "linux-modules-extra-5.15.0-1049-aws"),
                _package("deb", "linux-image-extra-4.4.0-21-generic"),
                _package("deb", "linux-lib-rust-6.8.0-31-generic"),
            ],
            [_package("deb", "linux-firmware"), _package("deb", "linux-tools-common")],
        ),
        (
            "5.14.0-70.el9.x86_64",
            [
                _package("rpm", "kernel-core", "5.14.0-70.el9"),
                _package("rpm", "kernel", "5.14.0-70.el9"),
            ],
            [
                _package("rpm", "kernel-core", "5.14.0-7.el9"),
                _package("rpm", "kernel-core", "5.14.0-70.el9", "i686"),
                _package("rpm", "kernel-64k-modules-extra", "5.14.0-7.el9"),
                _package("rpm", "kernel-debug-modules-core", "5.14.0-7.el9"),
                _package("rpm", "kernel-rt-64k-debug-devel-matched", "5.14.0-7.el9"),
                _package("rpm", "kernel-modules-partner", "5.14.0-7.el9"),
                _package("rpm", "kernel-uki-virt-addons", "5.14.0-7.el9"),
                _package("rpm", "kernel-uek-modules-extra-netfilter", "5.15.0-7.el9uek"),
            ],
            [
                _package("rpm", "kernel-abi-stablelists", "5.14.0-7.el9"),
                _package("rpm", "kernel-core-tools", "5.14.0-7.el9"),
                _package("rpm", "kernel-headers", "5.14.0-7.el9"),
                _package("rpm", "kernel-tools", "1"),
            ],
        ),
        (
            "5.14.21-150400.24.21-default",
            [_package("rpm", "kernel-default", "5.14.21-150400.24.21.2")],
            [
                _package("rpm", "kernel-default", "5.14.21-150400.24.2.1"),
                _package("rpm", "kernel-azure", "5.14.21-150400.24.21.2"),
            ],
            [_package("rpm", "kernel-macros", "5.14.21-150400.24.2.1")],
        ),
        (
            "6.12.3-1.amzn2023.x86_64",
            [_package("rpm", "kernel6.12", "6.12.3-1.amzn2023")],
            [_package("rpm", "kernel", "6.1.3-1.amzn2023")],
            [_package("rpm", "kernel-livepatch-repo-s3", "2023.1")],
        ),
        (
            "lts",
            [_package("apk", "linux-lts", "6.6.1-r0")],
            [_package("apk", "linux-virt")],
            [_package("apk", "linux-firmware-none")],
        ),
        (
            "6.6.31-0-lts",
            [_package("apk", "linux-lts", "6.6.31-r0")],
            [_package("apk", "linux-lts", "6.6.30-r0"), _package("apk", "linux-virt", "6.6.31-r0")],
            [],
        ),
        (
            "6.9.1-arch1-2",
            [_package("alpm", "linux", "6.9.1.arch1-2")],
            [_package("alpm", "linux", "6.9.1.arch1-1")],
            [],
        ),
        (
            "6.6.31-1-lts",
            [_package("alpm", "linux-lts", "6.6.31-1")],
            [_package("alpm", "linux-lts", "6.6.30-1"), _package("alpm", "linux-zen", "6.6.31-1")],
            [],
        ),
        (
            "6.1.102",
            [_package("bottlerocket", "kernel-6.1", "6.1.102-1.1720000000.abcd")],
            [_package("bottlerocket", "kernel-5.15", "5.15.102-1")],
            [_package("bottlerocket", "kernel-6.1-devel", "6.1.102")],
        ),
        (
            "linux",
            [_package("alpm", "linux", "6.6")],
            [_package("alpm", "linux-lts")],
            [_package("alpm", "linux-firmware")],
        ),
    ],
)
def test_packages_of_other_kernels_are_marked(
    release: str, own: list[Package], others: list[Package], neither: list[Package]
) -> None:
    marks = [package.running_kernel for package in mark([*own, *others, *neither], release)]
    assert marks == [True] * len(own) + [False] * len(others) + [None] * len(neither)


def test_nothing_is_marked_where_the_booted_kernel_is_no_package() -> None:
    packages = [_package("deb", "linux-image-6.1.0-18-amd64")]
    assert mark(packages, "6.9.1-custom") == packages
    assert mark(packages, "") == packages


@pytest.mark.parametrize(
    "config",
    [
        b"\n" * 300_000,
        b"menuentry " + b"a" * 300_000,
        b"menuentry '" + b"' " * 100_000 + b"{",
        b"submenu a {\n" * 50_000,
        b"default=1\n" + b"title\n" * 50_000,
        b" " * 300_000 + b"\nset default=" + b"1>" * 50_000,
    ],
)
@pytest.mark.parametrize("path", PATHS)
def test_configuration_built_to_harm_ends(path: str, config: bytes) -> None:
    assert booted({path: config}, ["vmlinuz-1"]) == "1"


def test_a_pattern_built_to_harm_ends() -> None:
    loader = b"default " + b"*a" * 120 + b"b\n"
    name, entry = _entry("6.1", "a" * 250)
    assert booted({"boot/loader/loader.conf": loader, name: entry}, []) == "6.1"


@given(
    st.dictionaries(st.sampled_from(PATHS), st.binary(max_size=200)),
    st.lists(st.text(max_size=20), max_size=4),
    st.lists(
        st.sampled_from(
            [
                "menuentry 'a' {",
                "submenu b {",
                "}",
                "linux /vmlinuz-1",
                "blscfg",
                'set default="1>2"',
                "{",
            ]
        ),
        max_size=30,
    ),
)
def test_any_configuration_gives_a_name(
    files: dict[str, bytes], images: list[str], lines: list[str]
) -> None:
    assert isinstance(booted(files, images), str)
    assert isinstance(booted({"boot/grub/grub.cfg": "\n".join(lines).encode()}, images), str)


def test_a_kernel_without_a_package_is_listed() -> None:
    packages = [
        _package("deb", "linux-image-6.1.0-18-amd64"),
        _package("rpm", "kernel-default", "5.14.21-150400.24.21.2"),
    ]
    images = [
        "boot/vmlinuz-6.1.0-18-amd64",
        "boot/vmlinuz-5.14.21-150400.24.21-default",
        "boot/vmlinuz-6.9.1-custom",
        "boot/vmlinuz-6.9.1-custom.old",
        "boot/vmlinuz-linux",
        "boot/vmlinuz-lts",
        "boot/vmlinuz",
    ]
    named, problems = named_images(images)
    found = without_packaged_images([*packages, *named])[0][len(packages)]
    assert problems == []
    assert found.purl == "pkg:generic/linux-kernel@6.9.1-custom"
    assert found.path == "/boot/vmlinuz-6.9.1-custom"


def test_entries_of_grub_are_chosen_by_their_id_in_bls_order() -> None:
    """Amazon Linux 2023 and RHEL: grubenv's saved_entry is the entry's file name."""
    version = "6.1.112-124.190.amzn2023.x86_64"
    files = {
        "boot/grub2/grub.cfg": _BLSCFG,
        "boot/grub2/grubenv": _ENVIRONMENT % b"abc-6.1.112-124.190.amzn2023.x86_64",
        **dict([_entry(version, f"abc-{version}"), _entry("6.1.9-1.amzn2023.x86_64", "abc-9")]),
    }
    assert booted(files, []) == version
