"""Who a machine is, for every system that the project names."""

from __future__ import annotations

import shutil
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidelight.inventory.os_release import MAX_VALUE, PATHS, assignments, identify, unquote
from sidelight.model import OperatingSystem

_AMAZON_2 = (
    b'NAME="Amazon Linux"\nVERSION="2"\nID="amzn"\nID_LIKE="centos rhel fedora"\nVERSION_ID="2"\n'
)


@pytest.mark.parametrize(
    ("files", "identity", "version"),
    [
        ({"etc/os-release": b'ID=debian\nVERSION_ID="12"\n'}, "debian", "12"),
        ({"usr/lib/os-release": b"ID=fedora\nVERSION_ID=40\n"}, "fedora", "40"),
        ({"etc/os-release": b'ID="rhel"\nVERSION_ID="9.4"\n'}, "rhel", "9.4"),
        ({"etc/os-release": b'ID="ol"\nVERSION_ID="8.9"\n'}, "ol", "8.9"),
        ({"etc/os-release": b"ID='almalinux'\nVERSION_ID='10.0'\n"}, "almalinux", "10.0"),
        ({"etc/os-release": b'ID="sles"\nVERSION_ID="15.5"\n'}, "sles", "15.5"),
        ({"etc/os-release": b"ID=bottlerocket\nVERSION_ID=1.19.2\n"}, "bottlerocket", "1.19.2"),
        (
            {"etc/os-release": b"NAME=Alpine\r\nID=alpine\r\nVERSION_ID=3.20.1\r\n"},
            "alpine",
            "3.20.1",
        ),
        ({"etc/os-release": _AMAZON_2}, "amzn", "2"),
        ({"etc/os-release": b'ID="amzn"\nVERSION_ID="2023"\n'}, "amzn", "2023"),
        ({"etc/os-release": b"ID=arch\nBUILD_ID=rolling\n"}, "arch", ""),
        ({"etc/system-release": b"Amazon Linux AMI release 2018.03\n"}, "amzn", "2018.03"),
        ({"etc/redhat-release": b"CentOS release 6.10 (Final)\n"}, "centos", "6.10"),
        (
            {"etc/redhat-release": b"Red Hat Enterprise Linux Server release 6.5 (Santiago)\n"},
            "rhel",
            "6.5",
        ),
        (
            {
                "etc/redhat-release": b"Red Hat Enterprise Linux Server release 6.9 (Santiago)\n",
                "etc/oracle-release": b"Oracle Linux Server release 6.9\n",
            },
            "ol",
            "6.9",
        ),
        (
            {
                "etc/SuSE-release": b"SUSE Linux Enterprise Server 11 (x86_64)\n"
                b"VERSION = 11\nPATCHLEVEL = 4\n"
            },
            "sles",
            "11.4",
        ),
        (
            {"etc/SuSE-release": b"openSUSE 13.1 (x86_64)\nVERSION = 13.1\n"},
            "opensuse-leap",
            "13.1",
        ),
        ({"etc/alpine-release": b"3.2.3\n"}, "alpine", "3.2.3"),
        ({"etc/debian_version": b"7.11\n"}, "debian", "7"),
        ({"etc/debian_version": b"trixie/sid\n"}, "debian", ""),
        (
            {"etc/lsb-release": b"DISTRIB_ID=Ubuntu\nDISTRIB_RELEASE=14.04\nDISTRIB_CODENAME=t\n"},
            "ubuntu",
            "14.04",
        ),
        ({"etc/arch-release": b""}, "arch", ""),
        ({"etc/os-release": b"# nothing\n", "etc/alpine-release": b"3.1.0"}, "alpine", "3.1.0"),
        ({"etc/redhat-release": b"Something else 7\n"}, "", ""),
        ({}, "", ""),
    ],
)
def test_identifies(files: dict[str, bytes], identity: str, version: str) -> None:
    found = identify(files)
    assert (found.id, found.version_id) == (identity, version)


def test_etc_comes_before_usr_lib() -> None:
    files = {"usr/lib/os-release": b"ID=debian\n", "etc/os-release": b"ID=derived\n"}
    assert identify(files).id == "derived"


def test_unreleased_debian_is_identified_by_its_codename() -> None:
    files = {
        "etc/os-release": b'ID=debian\nPRETTY_NAME="Debian GNU/Linux trixie/sid"\n',
        "etc/debian_version": b"trixie/sid\n",
    }
    assert identify(files) == OperatingSystem(
        id="debian", pretty_name="Debian GNU/Linux trixie/sid", codename="trixie"
    )


def test_the_last_assignment_wins() -> None:
    assert assignments(b"A=1\n# A=2\n A=3\nB\n=C\n") == {"A": "3"}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ('"a b"', "a b"),
        ("'a \"b'", 'a "b'),
        (r'"a \"b\" \$c \x"', r'a "b" $c \x'),
        (r"a\ b", "a b"),
        ("a # comment", "a"),
        ("\"a\"'b'c", "abc"),
        ('"open', "open"),
        ("", ""),
    ],
)
def test_unquotes_as_a_shell(value: str, expected: str) -> None:
    assert unquote(value) == expected


@given(st.lists(st.sampled_from(list("ab \"'\\.:/-")), max_size=12).map("".join))
def test_agrees_with_the_shell_wherever_the_shell_accepts(value: str) -> None:
    shell = shutil.which("dash")
    if shell is None:
        pytest.skip("no dash to compare with")
    script = f'A={value}\nprintf %s "$A"'.encode()
    done = subprocess.run([shell, "-c", script], capture_output=True, check=False)
    words = value.split()
    # A second word would be a command, and an open quote swallows the next line.
    if (
        done.returncode == 0
        and not done.stderr
        and len(words) < 2
        and "\n" not in done.stdout.decode()
    ):
        assert unquote(value) == done.stdout.decode()


@given(st.dictionaries(st.sampled_from(PATHS), st.binary(max_size=300)))
def test_any_bytes_give_an_identity(files: dict[str, bytes]) -> None:
    assert isinstance(identify(files), OperatingSystem)


def test_a_name_within_another_word_is_not_that_systems() -> None:
    line = {"etc/system-release": b"TencentOS Server release 3.1\n"}
    assert identify(line).id == ""


@pytest.mark.parametrize(
    ("path", "begin"), [("etc/debian_version", b"12."), ("etc/redhat-release", b"CentOS 6.1")]
)
def test_a_one_line_release_file_is_cut_as_other_values_are(path: str, begin: bytes) -> None:
    system = identify({path: begin + b"1." * 5000})
    assert system.id
    assert len(system.version_id) <= MAX_VALUE
    assert len(system.pretty_name) <= MAX_VALUE + len("Debian GNU/Linux ")
