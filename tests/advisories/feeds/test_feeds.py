"""Sources: what is a feed, and what a bad one says of itself."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import tarfile
import zipfile
from typing import TYPE_CHECKING

import pytest

from sidelight.advisories import build
from sidelight.advisories.feeds import archives
from sidelight.advisories.feeds import read as feeds
from sidelight.errors import DamagedError, FormatError, LimitError, UnsupportedError, UsageError
from sidelight.model import Advisory

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

RECORD = {
    "id": "GHSA-1",
    "modified": "2024-01-01T00:00:00Z",
    "affected": [{"package": {"ecosystem": "npm", "name": "x"}, "versions": ["1.0.0"]}],
}
LINE = json.dumps(RECORD).encode() + b"\n"


def _ids(path: Path) -> list[str]:
    return [item.parsed.id for item in feeds.read(path) if isinstance(item.parsed, Advisory)]


def _tar(data: bytes) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:xz") as archive:
        member = tarfile.TarInfo("osv/GHSA-1.json")
        member.size = len(data)
        archive.addfile(member, io.BytesIO(data))
    return out.getvalue()


def _zip(data: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("all/GHSA-1.json", data)
        archive.writestr("README.md", "no record")
    return out.getvalue()


@pytest.mark.parametrize(
    ("name", "pack"),
    [
        ("a.json", bytes),
        ("a.jsonl", bytes),
        ("a.jsonl.xz", lzma.compress),
        ("a.jsonl.gz", gzip.compress),
        ("a.json.bz2", bz2.compress),
        ("all.zip", _zip),
        ("osv.tar.xz", _tar),
    ],
)
def test_a_record_reads_the_same_from_every_container(
    tmp_path: Path, name: str, pack: Callable[[bytes], bytes]
) -> None:
    path = tmp_path / name
    path.write_bytes(pack(LINE))
    assert _ids(path) == ["GHSA-1"]


def test_yaml_records_are_read(tmp_path: Path) -> None:
    path = tmp_path / "CVE-2020-0001.yml"
    path.write_text("gem: x\ncve: 2020-0001\ntitle: t\ndescription: d\ndate: 2020-01-01\n")
    assert _ids(path) == ["CVE-2020-0001"]


def test_a_directory_is_all_its_feeds_without_the_hidden(tmp_path: Path) -> None:
    (tmp_path / "npm").mkdir()
    (tmp_path / "npm" / "b.json").write_bytes(LINE)
    (tmp_path / "a.jsonl").write_bytes(LINE)
    (tmp_path / "README.md").write_text("no feed")
    (tmp_path / ".github").mkdir()
    (tmp_path / ".github" / "c.yaml").write_text("on: push")
    assert [path.name for path in feeds.files(tmp_path)] == ["a.jsonl", "b.json"]


# As `git archive` packs github.com/FriendsOfPHP/security-advisories and rubysec/ruby-advisory-db.
REPOSITORIES = {
    "composer.json": '{"name": "sensiolabs/security-advisories", "type": "metapackage"}',
    "spec/schemas/gem.json": '{"$schema": "http://json-schema.org/draft-07/schema#"}',
    "spec/schemas/gem.yml": "type: map",
    ".github/workflows/ruby.yml": "on: push",
    ".yamllint.yml": "extends: default",
}


@pytest.mark.parametrize("top", ["security-advisories-master/", "./"])
def test_what_a_repository_holds_besides_its_advisories_is_no_feed(
    tmp_path: Path, top: str
) -> None:
    record = "title: t\nreference: composer://a/b\ncve: CVE-2024-0001\nbranches:\n"
    record += "    1.x:\n        versions: ['<1.2']\n"
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as archive:
        for name, content in {**REPOSITORIES, "a/b/CVE-2024-0001.yaml": record}.items():
            member = tarfile.TarInfo(top + name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content.encode()))
            path = tmp_path / "checkout" / top / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
    assert _ids(tmp_path / "a.tar.gz") == ["CVE-2024-0001"]
    (only,) = feeds.files(tmp_path / "checkout")
    assert only.name == "CVE-2024-0001.yaml"


def test_a_directory_without_feeds_and_no_directory_are_wrong_usage(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none"):
        with pytest.raises(UsageError):
            feeds.files(path)
    with pytest.raises(UsageError):
        list(feeds.read(tmp_path / "none.json"))
    with pytest.raises(UsageError):
        list(feeds.read(tmp_path / "a.exe"))


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.json", b""),
        ("a.json", b"{"),
        ("a.json", b"[1]"),
        ("a.json", b'"text"'),
        ("a.json", b"\xff\xfe{}"),
        ("a.json", b"[" * 100_000),
        ("a.json", b'{"hello": 1}'),
        ("a.jsonl", LINE + LINE[:30]),
        ("a.jsonl.xz", lzma.compress(LINE * 100)[:-20]),
        ("a.jsonl.xz", b"no xz at all"),
        ("a.json.gz", gzip.compress(LINE)[:-6]),
        ("a.zip", _zip(LINE)[:-30]),
        ("a.zip", b"PK"),
        ("a.tar.xz", _tar(LINE)[:-40]),
        ("a.yml", b"a: [1"),
        ("a.yml", b"&a [*a, *a]: 1"),
        ("a.xml", b"<updates>"),
        ("a.xml", b""),
    ],
)
def test_damage_names_the_file(tmp_path: Path, name: str, data: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(DamagedError) as caught:
        list(feeds.read(path))
    assert caught.value.where.startswith(str(path))


def test_damage_names_the_record(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(LINE + json.dumps({**RECORD, "id": "GHSA-2", "affected": 7}).encode())
    with pytest.raises(DamagedError) as caught:
        list(feeds.read(path))
    assert caught.value.where == f"{path}: record 2 (GHSA-2)"


def test_an_archive_of_something_else_is_no_empty_feed(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("data.xml", "<x/>")
    with pytest.raises(DamagedError):
        list(feeds.read(path))


def test_an_xml_document_of_no_known_feed_is_unsupported(tmp_path: Path) -> None:
    path = tmp_path / "repomd.xml"
    path.write_text("<repomd/>")
    with pytest.raises(UnsupportedError):
        list(feeds.read(path))


def test_absurd_sizes_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MAX_RECORD", 100)
    monkeypatch.setattr(feeds, "MAX_DOCUMENT", 100)
    monkeypatch.setattr(archives, "MAX_MEMBERS", 1)
    for name, data in (("a.jsonl", LINE), ("a.json", LINE), ("a.zip", _zip(LINE))):
        path = tmp_path / name
        path.write_bytes(data)
        with pytest.raises(LimitError):
            list(feeds.read(path))


@pytest.mark.conformance
def test_upstreams_own_files_are_read_or_refused_with_their_name(shared_data: Path) -> None:
    root = shared_data / "advisories" / "os-native" / "vuls-data-update-fixtures"
    read, refused = [], []
    for path in sorted(root.rglob("*")):
        if not path.is_file():
            continue
        try:
            list(feeds.read(path))
        except (FormatError, UsageError) as error:
            refused.append((error.where, str(path)))
        else:
            read.append(path.relative_to(root).parts[0])
    assert all(where.startswith(path) for where, path in refused)
    assert {"alma", "alpine", "amazon", "cisa", "debian", "epss", "fedora"} <= set(read)
    assert {"redhat", "rocky", "suse", "ubuntu"} <= set(read)
    assert refused


def test_a_json_schema_beside_a_catalogue_is_passed_over(tmp_path: Path) -> None:
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", "properties": {}}
    (tmp_path / "kev_schema.json").write_text(json.dumps(schema))
    assert list(feeds.read(tmp_path / "kev_schema.json")) == []


def test_files_of_no_known_feed_are_named_in_one_error_or_skipped(tmp_path: Path) -> None:
    folder = tmp_path / "feeds"
    folder.mkdir()
    for name in ("a.json", "b.json"):
        (folder / name).write_text('{"some": "thing"}')
    record = {"id": "PYSEC-1", "modified": "2024-01-01T00:00:00Z"}
    (folder / "c.json").write_text(json.dumps(record))
    with pytest.raises(feeds.UnknownFeedError, match=r"2 files.*a\.json.*b\.json"):
        build([folder], tmp_path / "db")
    assert not (tmp_path / "db").exists()
    summary = build([folder], tmp_path / "db", skip_unknown=True)
    assert len(summary.skipped) == 2
    assert summary.problem_count == 0


_RECORD: dict[str, object] = {
    "id": "PYSEC-1",
    "modified": "2024-01-01T00:00:00Z",
    "affected": [{"package": {"ecosystem": "PyPI", "name": "a"}, "versions": ["1"]}],
}
_BROKEN = {"invalid.json": b"{", "list.json": b"[1", "text.yml": b"a: [", "other.json": b'{"a": 1}'}


def _folder(tmp_path: Path, name: str) -> Path:
    """Records before and behind a broken document, in files or in an archive."""
    documents = {"a.json": json.dumps(_RECORD).encode(), **_BROKEN}
    documents["z.json"] = json.dumps(_RECORD | {"id": "PYSEC-2"}).encode()
    folder = tmp_path / "feeds"
    folder.mkdir()
    if name == "files":
        for document, data in documents.items():
            (folder / document).write_bytes(data)
    else:
        with zipfile.ZipFile(folder / "all.zip", "w") as archive:
            for document, data in documents.items():
                archive.writestr(document, data)
    return folder


@pytest.mark.parametrize("name", ["files", "archive"])
def test_a_broken_document_ends_the_build_or_is_skipped_and_named(
    tmp_path: Path, name: str
) -> None:
    folder = _folder(tmp_path, name)
    with pytest.raises(FormatError):
        build([folder], tmp_path / "db")
    summary = build([folder], tmp_path / "db", skip_unknown=True)
    assert summary.advisories == 2
    assert {skipped.where.replace(": ", "/").rsplit("/", 1)[1] for skipped in summary.skipped} == {
        *_BROKEN
    }


def test_a_feed_that_breaks_after_its_first_record_is_never_skipped(tmp_path: Path) -> None:
    feed = tmp_path / "a.jsonl"
    feed.write_text(json.dumps(_RECORD) + "\n{")
    with pytest.raises(FormatError, match="record 2"):
        build([feed], tmp_path / "db", skip_unknown=True)


def _documents(folder: Path, name: str, documents: dict[str, bytes]) -> Path:
    """A feed of these documents, as files or as an archive."""
    feed = folder / name
    if name.endswith(".zip"):
        with zipfile.ZipFile(feed, "w") as archive:
            for document, data in documents.items():
                archive.writestr(document, data)
    else:
        feed.mkdir()
        for document, data in documents.items():
            (feed / document).write_bytes(data)
    return feed


@pytest.mark.parametrize("name", ["pypi", "pypi.zip"])
@pytest.mark.parametrize("beside", [True, False], ids=["beside a feed", "alone"])
def test_a_feed_of_which_all_would_be_skipped_ends_the_build(
    tmp_path: Path, name: str, *, beside: bool
) -> None:
    folder = tmp_path / "feeds"
    folder.mkdir()
    if beside:
        (folder / "good.json").write_text(json.dumps(_RECORD))
    feed = _documents(folder, name, _BROKEN)
    with pytest.raises(FormatError, match="all 4 documents of this feed") as caught:
        build([folder], tmp_path / "db", skip_unknown=True)
    assert caught.value.where == str(feed)
    assert not (tmp_path / "db").exists()


def test_a_build_of_unknown_documents_alone_fails_and_beside_a_feed_it_does_not(
    tmp_path: Path,
) -> None:
    unknown = {"a.json": b'{"a": 1}', "b.json": b'{"b": 1}'}
    folder = tmp_path / "feeds"
    folder.mkdir()
    feed = _documents(folder, "other", unknown)
    with pytest.raises(FormatError, match="all 2 documents") as caught:
        build([folder], tmp_path / "db", skip_unknown=True)
    assert caught.value.where == str(feed)
    (folder / "good.json").write_text(json.dumps(_RECORD))
    assert len(build([folder], tmp_path / "db", skip_unknown=True).skipped) == 2
    # An archive is one feed, whatever is in it.
    _documents(folder, "all.zip", unknown)
    with pytest.raises(FormatError, match=r"all\.zip: all 2 documents"):
        build([folder], tmp_path / "db", skip_unknown=True)
