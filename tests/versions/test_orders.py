"""Each ecosystem's order: ascending lists, equal spellings, refusals, and the laws of an order."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.version import Version

from sidelight.errors import FormatError, UnsupportedError
from sidelight.versions import end_key, scheme_of, sort_key
from sidelight.versions.encoding import number

ASCENDING = {
    "dpkg": "0~~ 0~ 0 0-1 0a 0+ 1.0~rc1-1 1.0-1 1.0-1+deb12u1 1.0-1.1 1.0a-1 1.0+dfsg-1 1.9-1"
    " 1.10-1 1:0.1-1 2:0",
    "rpm": "1.0~rc1-1 1.0-1 1.0-1.1 1.0^git1-1 1.0a-1 1.0.1-1 1.10-1 2-1 1:0.1-1",
    "apk": "1.0_alpha 1.0_alpha1 1.0_beta 1.0_rc1 1.0 1.0-r1 1.0_p1 1.0a 1.00 1.01 1.1 1.9 1.10",
    "pep440": "foo 1.0.dev1 1.0a1.dev1 1.0a1 1.0a1.post1 1.0b2 1.0rc1 1.0 1.0+abc 1.0+5"
    " 1.0.post1.dev1 1.0.post1 1.0.1 1.1 1!0.1",
    "semver": "1.0.0-0 1.0.0-alpha 1.0.0-alpha.1 1.0.0-alpha.beta 1.0.0-beta.2 1.0.0-beta.11"
    " 1.0.0 1.0.1 1.2.0 1.10.0",
    "go": "v0.0.0-20190101000000-abcdefabcdef v0.0.0-20200101000000-000000000000 v0.0.1 1.20rc1"
    " go1.20 1.20.1 v2.0.0+incompatible",
    "maven": "1-alpha-1 1-alpha-2 1-beta 1-m1 1-rc 1-SNAPSHOT 1 1-sp 1-foo 1-1 1.0.1 1.1 1.10",
    "gem": "1.0.a 1.0.a.1 1.0.b 1.0 1.0.1.pre 1.0.1 1.9 1.10",
    "nuget": "1.0.0-alpha 1.0.0-beta.2 1.0.0-beta.11 1.0 1.0.0.1 1.0.1 1.10",
    "cran": "0.01 0.1-0 0.1.0.0 0.2 0.11 1.0-1",
    "hackage": "0.1.0 0.1.0.0 0.11.3.0 1.0 1.0.0",
    "pub": "1.0.0-pre 1.0.0-pre+build 1.0.0 1.0.0+1 1.0.0+2 1.0.0+a 1.0.0+a1 1.0.1",
    "composer": "dev-main 1.0-dev 1.0-alpha1 1.0-beta2 1.0-RC1 1.0 1.0-patch1 1.0.1 1.x-dev 2.0",
}
EQUAL = {
    "dpkg": ["1.0 1.0-0 0:1.0-0 00:1.00-00", "1. 1.0"],
    "rpm": ["1.0-1 0:1.0-1 1_0-1 01.0-1"],
    "apk": ["1-r0 1-r"],
    "pep440": ["1 1.0 v1.0.0 0!1", "1.0a1 1.0-alpha_1 1.0.A1", "1.0.post1 1.0-1 1.0.rev1"],
    "semver": ["1.2.3 v1.2.3 =1.2.3 1.2.3+build", "1.0.0 1 1.0"],
    "go": ["1.21rc2 go1.21rc2 1.21.0-rc.2"],
    "maven": ["1 1.0 1-ga 1.0.0.Final 1-0", "1-rc1 1-cr-1 1.RC1", "1a1 1-alpha-1"],
    "gem": ["1 1.0 1.0.0", "1.0.a 1.a"],
    "nuget": ["1.0 1.0.0.0 1.0+x v1", "1.0-ALPHA 1.0.0-alpha"],
    "cran": ["1.2-3 1.2.3 1.02.3"],
    "hackage": ["1.2 1.02"],
    "pub": ["1.0.0+a v1.0.0+a"],
    "composer": ["1.0 v1.0.0.0 1 1.0.0-stable", "1.0-beta1 1.0b1"],
}
REFUSED = {
    "dpkg": ["", "1:", "a:1", "1-", "1 2", "é", "-1", "99999999999:1", "\x00"],
    "rpm": ["", "\n"],
    "apk": ["", "a", ".1"],
    "pep440": ["", "\x00"],
    "semver": ["", "a", "1.2.3-ü"],
    "go": ["", "devel"],
    "maven": [""],
    "gem": ["", "1beta", "a"],
    "nuget": ["", "a", "1.2.3.4.5"],
    "cran": ["", "a", "1."],
    "hackage": ["", "1.a"],
    "pub": ["", "a"],
    "composer": ["", "a", "1.2.#"],
}


@pytest.mark.parametrize(
    ("less", "more"),
    [
        # A number that a dot parts from its word is below one that is joined to it.
        ("3.2.0-rc.1", "3.2.0-rc2"),
        ("1.0.0-beta.6", "1.0.0-beta11"),
        ("3.0.0-alpha.5", "3.0.0.Alpha23"),
        ("1-rc.9", "1-rc1"),
        ("1-rc.1", "1-rc.2"),
        ("1-rc1", "1-rc-2"),
        ("1-rc", "1-rc.1"),
        ("1-rc.1", "1"),
        # A word within a list ends before the list goes on.
        ("1-rc-beta", "1.rc.beta.1"),
        ("1.rc.1", "1-rc.1"),
        # `ga` compares as nothing, and what follows it decides.
        ("1.ga-rc", "1"),
        ("1", "1.ga.1"),
        ("1", "1-ga-1"),
        ("1-ga-1", "1-sp"),
        ("1-ga1", "1-ga2"),
        ("1-foo", "1-foo0"),
    ],
)
def test_maven_orders_words_and_numbers_as_maven_4_does(less: str, more: str) -> None:
    assert sort_key("maven", less) < sort_key("maven", more)


@pytest.mark.parametrize(
    ("less", "more"),
    [
        ("1.9.5p1-r0", "1.9.5p2-r0"),
        ("1.9.5p2-r0", "1.9.5p10-r0"),
        ("1.9.5p1-r0", "1.9.5p1-r1"),
        ("1.9.5-r0", "1.9.5p1-r0"),
        ("1.9.5p-r9", "1.9.5p1-r0"),
        ("1.9.5p1_rc1-r0", "1.9.5p1-r0"),
        ("1.9.5p1-r0", "1.9.5p1.1-r0"),
        ("1.9.5p1a-r0", "1.9.5p2-r0"),
        ("1.9.5p9-r0", "1.9.5q1-r0"),
    ],
)
def test_apk_orders_a_number_after_a_letter_as_apk_tools_2_does(less: str, more: str) -> None:
    assert sort_key("apk", less) < sort_key("apk", more)


@pytest.mark.parametrize(
    ("version", "build", "later"),
    [
        ("2.0.1", "2.0.1+cu118", "2.0.1.post1"),
        ("2.0.1", "2.0.1+zzz.99999999999", "2.0.2.dev0"),
        ("2.0", "2.0.0+1", "2.0.0.1.dev1"),
        ("2.0rc1", "2.0rc1+x", "2.0rc1.post1.dev1"),
        ("1!2", "1!2+x", "1!2.0.1"),
    ],
)
def test_a_public_versions_end_has_its_local_builds_and_no_later_version(
    version: str, build: str, later: str
) -> None:
    assert sort_key("pep440", build) <= end_key("PyPI", version) < sort_key("pep440", later)
    assert end_key("PyPI", build) == sort_key("pep440", build)
    assert sort_key("pep440", version) < end_key("PyPI", version)


@given(st.from_regex(r"\A[0-9]{1,3}(\.[0-9]{1,3}){0,3}(a[0-9])?(\.post[0-9])?\Z"))
def test_no_version_is_between_a_public_versions_local_builds_and_their_end(version: str) -> None:
    end = end_key("pep440", version)
    assert sort_key("pep440", f"{version}+{'z' * 40}") < end
    assert end < sort_key("pep440", _next(Version(version)))


def _next(version: Version) -> str:
    """The least that PEP 440 has after a version and its builds."""
    if version.post is not None:
        return f"{str(version).rpartition('.post')[0]}.post{version.post + 1}.dev0"
    return f"{version}.post0.dev0"


@pytest.mark.parametrize("scheme", ASCENDING)
def test_versions_ascend(scheme: str) -> None:
    for lower, higher in pairwise(ASCENDING[scheme].split()):
        assert sort_key(scheme, lower) < sort_key(scheme, higher), (lower, higher)


@pytest.mark.parametrize("scheme", EQUAL)
def test_spellings_of_one_version_are_equal(scheme: str) -> None:
    for group in EQUAL[scheme]:
        assert len({sort_key(scheme, version) for version in group.split()}) == 1, group


@pytest.mark.parametrize("scheme", REFUSED)
def test_what_the_ecosystem_refuses_is_a_format_error(scheme: str) -> None:
    for version in [*REFUSED[scheme], "1" * 2000]:
        with pytest.raises(FormatError):
            sort_key(scheme, version)


@pytest.mark.parametrize("scheme", ASCENDING)
@given(text=st.text(max_size=30))
def test_any_text_has_a_key_or_is_refused(scheme: str, text: str) -> None:
    try:
        key = sort_key(scheme, text)
    except FormatError:
        return
    assert key
    assert key < b"\xff" * 8  # what the database keeps for "never"


def _near(scheme: str) -> st.SearchStrategy[str]:
    """Versions that share beginnings, so that every rule of the order is met."""
    parts = ["0", "00", "1", "01", "10", "9", "a", "alpha", "b1", "rc", "pre", "dev", "p", "post"]
    marks = [".", "-", "_", "~", "^", "+", ":", "", "-r", ".x"]
    some = st.lists(st.tuples(st.sampled_from(marks), st.sampled_from(parts)), max_size=5)
    built = some.map(lambda found: "1" + "".join(mark + part for mark, part in found))
    return st.one_of(built, st.sampled_from(ASCENDING[scheme].split()))


@pytest.mark.parametrize("scheme", ASCENDING)
@given(data=st.data())
def test_a_suffix_never_changes_which_of_two_keys_is_less(scheme: str, data: st.DataObject) -> None:
    """No key is a mere beginning of another: what follows a version cannot reorder two keys."""
    left, right = data.draw(_near(scheme)), data.draw(_near(scheme))
    try:
        one, other = sort_key(scheme, left), sort_key(scheme, right)
    except FormatError:
        return
    if scheme == "rpm":  # an absent release is less than any, and so its key is a beginning
        one, other = sort_key(scheme, f"{left}-1"), sort_key(scheme, f"{right}-1")
    if one < other:
        assert not other.startswith(one)


@given(
    st.from_regex(r"\A[0-9]{1,2}(\.[0-9]){0,3}((a|b|rc)[0-9])?(\.post[0-9])?(\.dev[0-9])?\Z"),
    st.from_regex(r"\A[0-9]{1,2}(\.[0-9]){0,3}((a|b|rc)[0-9])?(\.post[0-9])?(\+[a-c]{1,2})?\Z"),
)
def test_pep440_orders_as_packaging_does(left: str, right: str) -> None:
    one, other = sort_key("pep440", left), sort_key("pep440", right)
    assert (one < other) == (Version(left) < Version(right))
    assert (one == other) == (Version(left) == Version(right))


@given(st.integers(min_value=0), st.integers(min_value=0))
def test_numbers_order_as_integers(left: int, right: int) -> None:
    assert (number(str(left)) < number(str(right))) == (left < right)


def test_numbers_beyond_a_byte_of_digits_keep_their_order() -> None:
    sizes = [254, 255, 256, 257, 1000]
    assert sorted(map(number, ["9" * size for size in sizes])) == [
        number("9" * size) for size in sizes
    ]


@pytest.mark.parametrize(
    ("ecosystem", "scheme"),
    [
        ("Debian:12", "dpkg"),
        ("Ubuntu:22.04", "dpkg"),
        ("Alpine:v3.19", "apk"),
        ("Rocky Linux:9", "rpm"),
        ("SUSE:15.5", "rpm-without-epoch"),
        ("PyPI", "pep440"),
        ("crates.io", "semver"),
        ("Go", "go"),
        ("golang", "go"),
        ("Packagist", "composer"),
    ],
)
def test_ecosystems_and_purl_types_have_a_scheme(ecosystem: str, scheme: str) -> None:
    assert scheme_of(ecosystem) == scheme


def test_an_unknown_ecosystem_is_unsupported() -> None:
    with pytest.raises(UnsupportedError):
        sort_key("ConanCenter", "1.0")


def test_suse_compares_no_epochs() -> None:
    assert sort_key("SUSE:15.5", "2:1.0-1") == sort_key("SUSE:15.5", "1.0-1")


@pytest.mark.parametrize(
    ("scheme", "less", "more"),
    [
        ("semver", "2.0.0", "10.1.2-"),
        ("semver", "10.1.2-", "10.1.2"),
        ("semver", "10.1.2-1", "10.1.2-"),
        ("composer", "1.0-dev", "1.0adev"),
        ("composer", "1.0-adev", "1.0-alpha"),
        ("composer", "1.0-rcdev", "1.0-rc"),
    ],
)
def test_odd_endings_are_ordered_as_the_package_manager_does(
    scheme: str, less: str, more: str
) -> None:
    assert sort_key(scheme, less) < sort_key(scheme, more)


@pytest.mark.parametrize("version", ["1.0-stable", "1.0-stable0", "1.0stable.9", "1.0-stable-0"])
def test_a_number_behind_composers_stable_does_not_count(version: str) -> None:
    assert sort_key("composer", version) == sort_key("composer", "1.0")
