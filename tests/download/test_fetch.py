"""Sources: from what is published now to a directory that builds."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from typing import TYPE_CHECKING

import pytest
import zstandard
from click.testing import CliRunner

from dispatcher.cli.groups import advisories
from sidelight.advisories import AdvisoryDatabase, build
from sidelight.download import FetchOutcome, Progress, chosen, fetch, known_size
from sidelight.download.fetch import PublisherAccess
from sidelight.download.http import Client
from sidelight.download.resolvers import SourceFolder, files, updateinfo
from sidelight.errors import DownloadError, UsageError
from tests.advisories.windows_documents import Fix, cvrf
from tests.fixtures.publishers import osv_zip

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from sidelight.download.cached_download import DownloadRequest
    from tests.download.fetched_feeds import Fleet
    from tests.fakes.publisher import Publisher


pytestmark = pytest.mark.services

UPDATE = """<?xml version="1.0"?><updates>
<update type="security"><id>{name}</id><title>a</title><severity>medium</severity>
<references><reference id="CVE-2024-{number}" type="cve" href="https://x.test/"/></references>
<pkglist><collection><name>{collection}</name>
<package name="a" version="1" release="2.{tag}" epoch="0" arch="x86_64"/></collection></pkglist>
</update></updates>"""


def xml(name: str, number: int, collection: str = "", tag: str = "amzn2") -> bytes:
    text = UPDATE.format(name=name, number=number, collection=collection, tag=tag)
    return gzip.compress(text.encode(), mtime=0)


def repository(publisher: Publisher, path: str, body: bytes | None, ending: str = ".gz") -> None:
    """An rpm repository whose index has the digest in the file's name, as real ones do."""
    data = ""
    if body is not None:
        digest = hashlib.sha256(body).hexdigest()
        href = f"repodata/{digest}-updateinfo.xml{ending}"
        publisher.publish(f"{path}/{href}", body)
        data = (
            f'<data type="updateinfo"><checksum type="sha256">{digest}</checksum>'
            f'<location href="{href}"/></data>'
        )
    index = f'<repomd xmlns="http://linux.duke.edu/metadata/repo">{data}</repomd>'
    publisher.publish(f"{path}/repodata/repomd.xml", index.encode())


def test_what_is_fetched_builds_and_a_second_fetch_sends_nothing(fleet: Fleet) -> None:
    fleet.publisher.publish("/npm/all.zip", osv_zip(1, 2))
    repository(fleet.publisher, "/epel/9/Everything/x86_64",
               xml("FEDORA-EPEL-1", 7, "Fedora EPEL 9", "el9"))  # fmt: skip
    first = fleet.fetch("osv-npm", "epel-9")
    assert [(item.changed, item.error) for item in first] == [(1, ""), (1, "")]
    assert fleet.advisories() == ["FEDORA-EPEL-1", "GHSA-1", "GHSA-2"]
    again = fleet.fetch("osv-npm", "epel-9")
    assert [(item.changed, item.received, item.requests) for item in again] == [
        (0, 0, 1),  # not modified
        (0, 0, 1),  # the index is as it was, and its digest is that of the file in place
    ]


def test_a_new_edition_replaces_the_old_whatever_its_name(fleet: Fleet) -> None:
    path = "/epel/9/Everything/x86_64"
    repository(fleet.publisher, path, xml("FEDORA-EPEL-1", 7, "Fedora EPEL 9", "el9"))
    fleet.fetch("epel-9")
    plain = gzip.decompress(xml("FEDORA-EPEL-2", 8, "Fedora EPEL 9", "el9"))
    repository(fleet.publisher, path, zstandard.compress(plain), ".zst")
    (outcome,) = fleet.fetch("epel-9")
    assert [item.name for item in outcome.files] == ["updateinfo.xml.zst"]
    assert fleet.advisories() == ["FEDORA-EPEL-2"]


@pytest.mark.parametrize(
    ("base", "listed", "index"),
    [
        ("https://a.test", "http://cdn.test/2/core/abc", "https://cdn.test/2/core/abc"),
        ("https://a.test", "https://cdn.test/2/core/abc", "https://cdn.test/2/core/abc"),
        ("http://own.test", "http://cdn.test/2/core/abc", "http://cdn.test/2/core/abc"),
    ],
)
def test_a_mirror_list_had_by_tls_leads_to_an_index_by_tls(
    tmp_path: Path, base: str, listed: str, index: str
) -> None:
    requested: list[str] = []

    def kept(wanted: DownloadRequest) -> Path:
        requested.append(wanted.url)
        wanted.path.write_text(f"{listed}\n")
        return wanted.path

    (source,) = chosen(["amazon-2"])
    place = SourceFolder(source, base, tmp_path, kept, lambda _archive, _members: None)
    with pytest.raises(DownloadError, match="no repository index"):
        list(files(place))
    assert requested == [f"{base}/{source.file}", f"{index}/repodata/repomd.xml"]


def test_amazons_chain_of_mirror_lists_and_topics(fleet: Fleet) -> None:
    publisher = fleet.publisher
    amazon = "https://cdn.amazonlinux.com"
    topics = {"topics": [{"n": "docker"}, {"n": "nothing"}, {"n": "../../escape"}]}
    publisher.publish("/2/extras-catalog.json", json.dumps(topics).encode())
    for path in ("core", "extras/docker", "extras/nothing"):
        # A list names the publisher's own host; a mirror of one's own is asked in its place.
        listed = f"{amazon}/2/{path}/2.0/x86_64/abc\n".encode()
        publisher.publish(f"/2/{path}/latest/x86_64/mirror.list", listed)
    repository(publisher, "/2/core/2.0/x86_64/abc", xml("ALAS2-2024-1", 1))
    repository(publisher, "/2/extras/docker/2.0/x86_64/abc", xml("ALAS2DOCKER-2024-2", 2))
    repository(publisher, "/2/extras/nothing/2.0/x86_64/abc", None)  # some have no errata
    core, extras = fleet.fetch("amazon-2", "amazon-2-extras")
    assert (core.error, extras.error) == ("", "")
    assert [item.name for item in extras.files] == ["docker-updateinfo.xml.gz"]
    assert fleet.advisories() == ["ALAS2-2024-1", "ALAS2DOCKER-2024-2"]


def test_microsofts_months_are_fetched_again_only_where_they_changed(fleet: Fleet) -> None:
    def months(**changed: str) -> None:
        listed = [{"ID": name.replace("_", "-"), "CurrentReleaseDate": day}
                  for name, day in changed.items()]  # fmt: skip
        listed.append({"ID": "../escape", "CurrentReleaseDate": "2024-08-13"})
        fleet.publisher.publish("/cvrf/v3.0/updates", json.dumps({"value": listed}).encode())

    for number, month in enumerate(("2024-Jul", "2024-Aug")):
        fix = Fix(f"CVE-2024-000{number}", f"504116{number}", build="10.0.17763.6189")
        fleet.publisher.publish(f"/cvrf/v3.0/cvrf/{month}", cvrf([fix]))
    months(**{"2024_Jul": "2024-07-09", "2024_Aug": "2024-08-13"})
    (outcome,) = fleet.fetch("windows")
    assert [item.name for item in outcome.files] == ["2024-Aug.xml", "2024-Jul.xml"]
    assert fleet.advisories() == ["CVE-2024-0000", "CVE-2024-0001"]

    months(**{"2024_Jul": "2024-07-09", "2024_Aug": "2024-08-20"})
    (again,) = fleet.fetch("windows")

    assert (again.error, again.requests) == ("", 2)  # the list, and the month that changed


def csaf(name: str, fixed: str) -> bytes:
    product = {
        "name": "Red Hat Enterprise Linux 9",
        "product_id": "el9",
        "product_identification_helper": {"cpe": "cpe:/o:redhat:enterprise_linux:9::baseos"},
    }
    package = {"name": f"a-0:{fixed}.x86_64", "product_id": f"a-0:{fixed}.x86_64"}
    both = {"name": "both", "product_id": f"el9:a-0:{fixed}.x86_64"}
    document = {
        "category": "csaf_security_advisory",
        "csaf_version": "2.0",
        "title": f"Red Hat Security Advisory: {name}",
        "publisher": {"name": "Red Hat Product Security"},
        "tracking": {"id": name, "current_release_date": "2024-01-01", "status": "final"},
    }
    tree = {
        "branches": [
            {"category": "product_name", "name": "el9", "product": product},
            {"category": "product_version", "name": "a", "product": package},
        ],
        "relationships": [
            {
                "category": "default_component_of",
                "full_product_name": both,
                "product_reference": package["product_id"],
                "relates_to_product_reference": "el9",
            }
        ],
    }
    status = {"fixed": [both["product_id"]]}
    about = {"cve": f"CVE-2024-{name[-4:]}", "product_status": status}
    return json.dumps(
        {"document": document, "product_tree": tree, "vulnerabilities": [about]}
    ).encode()


def archive(members: Iterable[tuple[str, bytes]]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, body in members:
            info = tarfile.TarInfo(name)
            info.size = len(body)
            tar.addfile(info, io.BytesIO(body))
    return zstandard.compress(out.getvalue())


def test_csaf_archives_go_on_with_what_changed_and_what_was_deleted_since(fleet: Fleet) -> None:
    names = ["RHSA-2024:0001", "RHSA-2024:0002", "RHSA-2024:0003"]
    old = [(f"2024/rhsa-{number}.json", csaf(name, "1-1.el9")) for number, name in enumerate(names)]
    body = archive(old)
    publisher, top = fleet.publisher, "/data"
    publisher.publish(f"{top}/archive_latest.txt", b"csaf_advisories_2024-06-01.tar.zst\n")
    publisher.publish(f"{top}/csaf_advisories_2024-06-01.tar.zst", body)
    digest = f"{hashlib.sha256(body).hexdigest()}  csaf_advisories_2024-06-01.tar.zst\n"
    publisher.publish(f"{top}/csaf_advisories_2024-06-01.tar.zst.sha256", digest.encode())
    changes = [
        '"2024/rhsa-1.json","2024-06-03T00:00:00+00:00"',
        '"2024/rhsa-0.json","2024-05-01T00:00:00+00:00"',
    ]
    publisher.publish(f"{top}/changes.csv", "\n".join(changes).encode())
    publisher.publish(f"{top}/deletions.csv", b'"2024/rhsa-2.json","2024-06-02T00:00:00+00:00"\n')
    publisher.publish(f"{top}/2024/rhsa-1.json", csaf(names[1], "1-2.el9"))
    (source,) = chosen(["redhat-csaf"])
    network = PublisherAccess(Client(silence=0.2), lambda _seconds: None)

    def fetched() -> FetchOutcome:
        mirrors = {"redhat-csaf": f"{publisher.base}{top}"}
        (outcome,) = fetch([source], fleet.folder, mirrors=mirrors, network=network)
        assert outcome.error == ""
        return outcome

    assert fetched().changed == 2
    assert fleet.advisories() == names[:2]
    with AdvisoryDatabase.open(fleet.folder.with_name("db")) as database:
        ends = [row.intervals[0].end for row in database.lookup("Red Hat:9", "a")]
    assert sorted(ends) == ["1-1.el9", "1-2.el9"]  # of the second, only the new one
    request_count = len(publisher.requests)
    assert fetched().changed == 0
    assert all(
        path.endswith((".txt", ".csv", ".sha256"))
        for path, _headers in publisher.requests[request_count:]
    )


def test_a_repository_whose_file_is_not_the_one_of_its_index_is_refused(fleet: Fleet) -> None:
    path = "/epel/9/Everything/x86_64"
    repository(fleet.publisher, path, xml("FEDORA-EPEL-1", 7))
    page = next(page for name, page in fleet.publisher.pages.items() if "updateinfo" in name)
    page.body = xml("FEDORA-EPEL-2", 8)
    (outcome,) = fleet.fetch("epel-9")
    assert "sha256 is not the one that the publisher states" in outcome.error
    assert not [item for item in fleet.folder.rglob("updateinfo*") if item.is_file()]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html/>",
        b"<repomd><data type='updateinfo'/></repomd>",
        (
            b"<repomd><data type='updateinfo'><checksum type='sha256'>0</checksum>"
            b"<location href='../../../etc/updateinfo.xml'/></data></repomd>"
        ),
        (
            b"<repomd><data type='updateinfo'><checksum type='crc'>0</checksum>"
            b"<location href='repodata/updateinfo.xml'/></data></repomd>"
        ),
        b"<!DOCTYPE x [<!ENTITY a 'b'>]><repomd>&a;</repomd>",
    ],
)
def test_what_is_no_index_of_a_repository_is_refused(body: bytes) -> None:
    with pytest.raises(DownloadError):
        updateinfo(io.BytesIO(body), "here")


@pytest.mark.conformance
def test_real_indexes_lead_to_their_updateinfo(shared_data: Path) -> None:
    fixtures = shared_data / "advisories/os-native/vuls-data-update-fixtures"
    found = 0
    for path in sorted(fixtures.rglob("repomd*.xml")):
        with path.open("rb") as stream:
            try:
                reference = updateinfo(stream, str(path))
            except DownloadError:
                assert "invalid" in path.name
                continue
        if reference is None:
            assert b'"updateinfo"' not in path.read_bytes()
            continue
        found += 1
        file = path.parent.parent / reference[0]
        if file.is_file() and "corruptcrc" not in str(path):
            assert reference[1].algorithm == "sha256"
    assert found > 5


def test_two_runs_do_not_meet_in_one_directory(fleet: Fleet) -> None:
    fleet.publisher.publish("/npm/all.zip", osv_zip(1))

    def meanwhile(_outcome: FetchOutcome) -> None:
        with pytest.raises(UsageError, match="another process"):
            fleet.fetch("osv-npm")

    fetch(chosen(["osv-npm"]), fleet.folder, report=meanwhile,
          mirrors={"osv-npm": fleet.publisher.base})  # fmt: skip


def test_fetch_downloads_lists_and_reports_failed_sources(fleet: Fleet) -> None:
    fleet.publisher.publish("/npm/all.zip", osv_zip(1))
    base = fleet.publisher.base
    command = ["fetch", "--into", str(fleet.folder), "osv-npm"]
    done = CliRunner().invoke(advisories, [*command, "--mirror", f"osv-npm={base}"])
    assert done.exit_code == 0
    first, last = done.output.splitlines()
    assert first.startswith("osv-npm: 1 file, 1 changed, ")
    assert last.startswith("1 of 1 source up to date, ")
    done = CliRunner().invoke(
        advisories, [*command, "osv-go", "--mirror", f"{chosen(['osv-go'])[0].base}={base}"]
    )
    assert done.exit_code == 3
    assert "osv-go: failed: " in done.output
    assert "answered 404" in done.output
    done = CliRunner().invoke(advisories, ["fetch", "--list"])
    assert done.exit_code == 0
    assert "osv-npm" in done.output
    done = CliRunner().invoke(advisories, ["fetch", "--list", "--format", "json", "kev"])
    (source,) = json.loads(done.output)
    assert source["address"].startswith("https://www.cisa.gov/")


def test_what_is_under_way_can_be_watched(fleet: Fleet) -> None:
    fleet.publisher.publish("/npm/all.zip", osv_zip(1))
    progress = Progress()
    fetch(chosen(["osv-npm"]), fleet.folder, mirrors={"osv-npm": fleet.publisher.base},
          progress=progress)  # fmt: skip
    assert (progress.done, progress.running) == (1, [])
    assert progress.received == progress.expected > 0
    assert known_size(chosen(["osv-npm"]), fleet.folder) == progress.received


def test_an_empty_directory_of_feeds_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / ".lock").touch()
    with pytest.raises(UsageError, match="advisories fetch --into"):
        CliRunner().invoke(
            advisories, ["build", str(tmp_path), "--out", str(tmp_path / "x.db")],
            catch_exceptions=False,
        )  # fmt: skip


def test_a_database_is_described_as_a_table_and_as_json(tmp_path: Path) -> None:
    (tmp_path / "feed.json").write_text(json.dumps({
        "id": "CVE-2099-1", "modified": "2099-01-01T00:00:00Z", "affected": [{
            "package": {"ecosystem": "Debian:12", "name": "a"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}]}],
        }],
    }))  # fmt: skip
    path = tmp_path / "advisories.db"
    assert (
        CliRunner().invoke(advisories, ["build", str(tmp_path), "--out", str(path)]).exit_code == 0
    )
    text = CliRunner().invoke(advisories, ["info", str(path)]).output
    assert "Debian:12\t1\n" in text
    assert f"({path.stat().st_size} bytes)" in text
    document = json.loads(
        CliRunner().invoke(advisories, ["info", str(path), "--format", "json"]).output
    )
    assert document["ecosystems"] == {"Debian:12": 1}
    assert document["size"] == path.stat().st_size


def _described(tmp_path: Path, *feeds: tuple[str, str]) -> tuple[str, dict[str, object]]:
    """What `advisories info` says of a database of these files."""
    for name, content in feeds:
        (tmp_path / name).write_text(content)
    path = tmp_path / "advisories.db"
    build([tmp_path / name for name, _ in feeds], path)
    shown, document = (
        CliRunner().invoke(advisories, ["info", str(path), "--format", form]).output
        for form in ("table", "json")
    )
    return shown, json.loads(document)


def test_a_database_says_how_many_are_exploited_and_scored(tmp_path: Path) -> None:
    kev = {"catalogVersion": "1", "vulnerabilities": [
        {"cveID": f"CVE-2020-{number}", "vulnerabilityName": "x", "dateAdded": "2026-01-01"}
        for number in range(3)]}  # fmt: skip
    epss = "#model_version:v2025.03.14,score_date:2026-01-01T00:00:00+0000\ncve,epss,percentile\n"
    shown, document = _described(
        tmp_path, ("kev.json", json.dumps(kev)), ("epss.csv", f"{epss}CVE-2020-1,0.5,0.9\n")
    )
    assert "Exploited (KEV)\t3\n" in shown
    assert "With an EPSS score\t1\n" in shown
    assert (document["exploited"], document["scored"]) == (3, 1)


def test_without_their_feeds_it_is_unknown_how_many_are_exploited_and_scored(
    tmp_path: Path,
) -> None:
    entry = {"id": "CVE-2099-1", "modified": "2099-01-01T00:00:00Z", "affected": []}
    shown, document = _described(tmp_path, ("feed.json", json.dumps(entry)))
    assert "Exploited (KEV)\tunknown: no KEV feed\n" in shown
    assert "With an EPSS score\tunknown: no EPSS feed\n" in shown
    assert (document["exploited"], document["scored"]) == (0, 0)
