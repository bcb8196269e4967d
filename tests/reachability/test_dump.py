"""A folder of saved describe answers becomes Answers, and what is wrong with it a Problem."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from sidelight.errors import NoSuchPathError
from sidelight.reachability.answers.dump import load_dump

if TYPE_CHECKING:
    from pathlib import Path


def _write(path: Path, document: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document))


def test_the_folders_say_the_account_and_the_region(tmp_path: Path) -> None:
    _write(tmp_path / "aws_configs/Vpcs.json", {"Vpcs": [{"VpcId": "vpc-1"}]})
    _write(tmp_path / "aws_configs/eu-west-1/Vpcs.json", {"Vpcs": [{"VpcId": "vpc-2"}]})
    _write(tmp_path / "aws_configs/accounts/1/eu-west-1/Vpcs.json", {"Vpcs": [{"VpcId": "vpc-3"}]})
    _write(tmp_path / "aws_configs/accounts/2/Vpcs.json", {"Vpcs": []})
    answers = load_dump(tmp_path)
    assert set(answers) == {("", ""), ("", "eu-west-1"), ("1", "eu-west-1"), ("2", "")}
    assert answers["1", "eu-west-1"] == {"Vpcs": ({"VpcId": "vpc-3"},)}
    assert answers["2", ""]["Vpcs"] == ()
    assert answers.problems == ()


def test_the_folder_within_a_dump_is_a_dump_too(tmp_path: Path) -> None:
    _write(tmp_path / "aws_configs/eu-west-1/Vpcs.json", {"Vpcs": []})
    assert list(load_dump(tmp_path / "aws_configs")) == [("", "eu-west-1")]


def test_an_answers_own_key_is_read_too(tmp_path: Path) -> None:
    _write(tmp_path / "ManagedPrefixLists.json", {"PrefixLists": [{"PrefixListId": "pl-1"}]})
    assert load_dump(tmp_path)["", ""]["ManagedPrefixLists"] == ({"PrefixListId": "pl-1"},)


def test_files_of_other_services_are_passed_over(tmp_path: Path) -> None:
    _write(tmp_path / "Vpcs.json", {"Vpcs": []})
    _write(tmp_path / "RdsInstances.json", "anything")
    answers = load_dump(tmp_path)
    assert list(answers["", ""]) == ["Vpcs"]
    assert answers.problems == ()


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"\xff\xfe\x00", b"[" * 100_000, b"[]", b'{"Vpcs": 1}', b'{"Vpcs": ' + b"9" * 5000],
    ids=["empty", "cut", "no-text", "deep", "list", "number", "digits"],
)
def test_a_damaged_file_is_a_problem_and_loses_nothing_else(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "Vpcs.json").write_bytes(content)
    _write(tmp_path / "Subnets.json", {"Subnets": []})
    answers = load_dump(tmp_path)
    assert [problem.where for problem in answers.problems] == ["Vpcs.json"]
    assert list(answers["", ""]) == ["Subnets"]


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    _write(tmp_path / "elsewhere/Vpcs.json", {"Vpcs": []})
    dump = tmp_path / "dump"
    dump.mkdir()
    (dump / "Vpcs.json").symlink_to(tmp_path / "elsewhere/Vpcs.json")
    (dump / "eu-west-1").symlink_to(tmp_path / "elsewhere")
    answers = load_dump(dump)
    assert not answers
    assert any(problem.where == "Vpcs.json" for problem in answers.problems)


def test_an_empty_folder_is_a_problem_and_no_folder_an_error(tmp_path: Path) -> None:
    assert load_dump(tmp_path).problems
    with pytest.raises(NoSuchPathError):
        load_dump(tmp_path / "absent")
