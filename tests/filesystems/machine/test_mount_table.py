"""Machines of several filesystems: what is mounted where, what is hidden, where paths lead."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidelight.disk import VolumeSlice
from sidelight.errors import DamagedError, NoSuchPathError
from sidelight.filesystems.machine import namespace
from sidelight.filesystems.machine import tree as tree_module
from sidelight.filesystems.machine.mount_table import MachineTree, assemble
from sidelight.filesystems.protocol import InodeKind
from tests.fakes.memory_filesystem import MemoryFilesystem
from tests.fakes.sources import MemorySource
from tests.fixtures.machine_trees import OS, USR, machine, walked

Files = "Mapping[str, object]"


def test_filesystems_are_mounted_where_fstab_says() -> None:
    tree = machine(
        "LABEL=root / ext4\n/dev/xvdb1 /var ext4\n/dev/mapper/vg-log /var/log auto nofail\n",
        {
            "root": {"var": {"hidden": b""}, "bin": {"sh": b"#!"}},
            "var": {"lib": {"status": b"ok"}, "log": {}},
            "log": {"syslog": b"x"},
        },
    )
    assert tree.problems == []
    assert tree.read("/var/lib/status") == b"ok"
    assert {"var/log/syslog", "bin/sh"} <= walked(tree)
    assert "var/hidden" not in walked(tree)
    with pytest.raises(NoSuchPathError):
        tree.stat("/var/hidden")
    assert [(f.source, f.mount) for f in tree.filesystems] == [
        ("disk0/p1", "/"),
        ("disk1/p1", "/var"),
        ("disk2/p1", "/var/log"),
    ]


def test_the_order_of_the_lines_does_not_matter() -> None:
    tree = machine(
        "/opt/real /opt/shown none bind\nLABEL=log /var/log ext4\nLABEL=opt /opt ext4\n"
        "LABEL=var /var ext4\n",
        {
            "root": {"var": {}, "opt": {}},
            "var": {"log": {}},
            "log": {"syslog": b""},
            "opt": {"real": {"tool": b""}, "shown": {}},
        },
    )
    assert tree.problems == []
    assert {"var/log/syslog", "opt/real/tool", "opt/shown/tool"} <= walked(tree)


def test_bind_mounts_show_no_mounts_below_and_rbind_does() -> None:
    disks: dict[str, dict[str, object]] = {
        "root": {"data": {"inner": {"under": b""}}, "one": {}, "two": {}},
        "inner": {"over": b""},
    }
    lines = "LABEL=inner /data/inner ext4\n/data /one none bind\n/data /two none rbind\n"
    found = walked(machine(lines, disks))
    assert {"data/inner/over", "one/inner/under", "two/inner/over"} <= found
    assert not {"data/inner/under", "one/inner/over", "two/inner/under"} & found


def test_a_root_bound_into_itself_ends() -> None:
    tree = machine("/ /mnt/again none bind\n", {"root": {"mnt": {"again": {}}}})
    found = walked(tree)
    assert "mnt/again/mnt/again" in found
    assert not any(path.startswith("mnt/again/mnt/again/") for path in found)


def test_what_nothing_mounts_is_shown_under_its_name() -> None:
    tree = machine("LABEL=root / ext4\n", {"root": {}, "data": {"app": {"x": b"1"}, "l": "/app/x"}})
    assert "[disk1:p1]/app/x" in walked(tree)
    assert tree.read("/[disk1:p1]/app/x") == b"1"
    # Its absolute links mean itself.
    assert tree.read("/[disk1:p1]/l") == b"1"
    assert (b"[disk1:p1]", InodeKind.DIRECTORY) in [(n, k) for n, _, k in tree.listdir("/")]
    assert [f.mount for f in tree.filesystems] == ["/", ""]
    assert tree.problems == []


def test_unmounted_filesystems_of_one_name_are_all_shown() -> None:
    tree = MachineTree(MemoryFilesystem({}))
    for text in (b"1", b"2"):
        tree.add_extra(b"same", MemoryFilesystem({"x": text}))
    assert (tree.read("/[same]/x"), tree.read("/[same#2]/x")) == (b"1", b"2")


def test_a_device_that_holds_another_filesystem_than_the_line_says_is_not_it() -> None:
    disks: dict[str, dict[str, object]] = {"root": {"data": {}}, "data": {"x": b""}}
    tree = machine("/dev/sdb1 /data xfs\n", disks)
    assert "not among the volumes" in tree.problems[0].what
    assert "[disk1:p1]/x" in walked(tree)
    assert "data/x" in walked(machine("/dev/sdb1 /data ext3\n", disks))


def test_a_device_that_is_absent_is_a_problem() -> None:
    tree = machine("UUID=gone /data ext4 defaults\n", {"root": {"data": {}}})
    assert [p.where for p in tree.problems] == ["/etc/fstab: line 1 (/data)"]
    assert "not among the volumes" in tree.problems[0].what


def test_what_a_machine_boots_without_may_be_absent() -> None:
    lines = (
        "/dev/xvdz /mnt auto defaults,nofail,comment=cloudconfig 0 2\n"
        "LABEL=ephemeral0 /scratch ext4 nofail,x-systemd.device-timeout=1\n"
        "UUID=gone /backup xfs noauto\n"
        "/scratch/cache /var none bind,nofail\n"
    )
    disks: dict[str, dict[str, object]] = {"root": {"mnt": {}, "scratch": {}, "var": {}}}
    assert machine(lines, disks).problems == []


def test_what_is_not_mounted_at_boot_hides_nothing_and_is_scanned() -> None:
    disks: dict[str, dict[str, object]] = {"root": {"data": {"under": b""}}, "data": {"x": b""}}
    tree = machine("LABEL=data /data ext4 noauto\n", disks)
    assert {"data/under", "[disk1:p1]/x"} <= walked(tree)
    assert tree.problems == []
    lazily = machine("LABEL=data /data ext4 noauto,x-systemd.automount\n", disks)
    assert "data/x" in walked(lazily)
    assert "data/under" not in walked(lazily)


def test_of_two_lines_for_a_mount_point_systemd_takes_the_first() -> None:
    disks: dict[str, dict[str, object]] = {
        "root": {"data": {}}, "one": {"in-one": b""}, "two": {"in-two": b""},
    }  # fmt: skip
    lines = "LABEL=one /data ext4\nLABEL=two /data ext4\n"
    assert "data/in-two" in walked(machine(lines, disks))
    systemd = {"lib": {**USR["lib"], "systemd": {"systemd": b""}}}
    disks["root"]["usr"] = systemd
    assert "data/in-one" in walked(machine(lines, disks))


def test_a_mount_point_that_is_absent_is_a_problem_and_its_filesystem_still_there() -> None:
    tree = machine("LABEL=data /nowhere ext4\n", {"root": {}, "data": {"x": b""}})
    assert len(tree.problems) == 1
    assert "[disk1:p1]/x" in walked(tree)


def test_of_two_roots_the_one_that_fstab_names_itself_is_taken() -> None:
    old = {"etc": {**OS, "fstab": b"LABEL=other / ext4\n"}, "usr": USR}
    tree = machine("LABEL=root / ext4\n", {"old": old, "root": {"mark": b""}})
    assert "mark" in walked(tree)
    (problem,) = tree.problems
    assert problem.where == "disk0/p1"
    assert "second root" in problem.what


def test_of_two_roots_without_names_the_one_of_the_gpt_type_is_taken() -> None:
    slices, opened = [], []
    for index, kind in enumerate(("", "4f68bce3-e8cd-4db1-96e7-fbcaf984b709")):
        fs = MemoryFilesystem({"etc": OS, "usr": USR}, f"disk{index}/p1")
        source = MemorySource(b"", fs.source_name)
        slices.append(VolumeSlice(source, fs.source_name, index, 1, parttype=kind, kind="ext4"))
        opened.append((slices[-1], fs))
    tree = assemble(slices, opened)
    assert tree.root is opened[1][1]
    assert "second root" in tree.problems[0].what


def test_an_os_release_that_links_into_usr_on_its_own_filesystem_is_found() -> None:
    tree = machine("LABEL=usr /usr ext4\n", {"root": {"usr": {}}, "usr": USR})
    assert tree.read("/etc/os-release") == b"ID=test\n"


def test_units_in_a_usr_of_its_own_are_found_and_links_lead_into_it() -> None:
    unit = b"[Mount]\nWhat=LABEL=data\nWhere=/data\n"
    system = {"data.mount": unit, "local-fs.target.wants": {"data.mount": "../data.mount"}}
    tree = machine(
        "LABEL=usr /usr ext4\n",
        {
            "root": {"usr": {}, "bin": "usr/bin", "lib": "usr/lib", "data": {}},
            "usr": {"bin": {"sh": b"#!"}, "lib": {**USR["lib"], "systemd": {"system": system}}},
            "data": {"in-data": b""},
        },
    )
    assert tree.problems == []
    assert tree.read("/bin/sh") == b"#!"
    assert [name for name, _, _ in tree.listdir("/data")] == [b"in-data"]


def test_a_single_filesystem_is_the_root_and_none_gives_an_empty_one() -> None:
    assert walked(machine("", {"data": {"x": b""}})) == {"x"}
    tree = assemble([], [])
    assert walked(tree) == set()
    assert tree.filesystems == []
    tree = machine("", {"a": {"x": b""}, "b": {"y": b""}})
    assert walked(tree) == {"[disk0:p1]/x", "[disk1:p1]/y"} | set()
    assert "none is the root" in tree.problems[0].what


def test_a_subdirectory_of_a_filesystem_is_mounted() -> None:
    tree = machine(
        "LABEL=d /srv ext4 X-mount.subdir=a/b\n",
        {"root": {"srv": {}}, "d": {"a": {"b": {"c": b""}}}},
    )
    assert "srv/c" in walked(tree)


def test_mount_points_are_found_through_links() -> None:
    tree = machine(
        "LABEL=d /link/x ext4\n", {"root": {"link": "/real", "real": {"x": {}}}, "d": {"y": b""}}
    )
    assert "real/x/y" in walked(tree)


def test_contents_are_asked_a_filesystem_at_a_time() -> None:
    tree = machine("LABEL=v /v ext4\n", {"root": {"v": {}, "a": b"1", "b": b"2"}, "v": {"c": b"3"}})
    wanted = [tree.resolve(path)[:2] for path in ("/a", "/v/c", "/b")]
    contents = [data for _, data in tree.contents(wanted, 100)]
    assert contents == [b"1", b"2", b"3"]


LINE = st.tuples(
    st.sampled_from(["LABEL=root", "LABEL=a", "LABEL=b", "/", "/x", "/x/y", "/z", "UUID=no"]),
    st.sampled_from(["/", "/x", "/x/y", "/z", "/z/../x", "/l"]),
    st.sampled_from(["ext4", "none"]),
    st.sampled_from(["defaults", "bind", "rbind", "X-mount.subdir=y", "X-mount.subdir=../.."]),
).map(" ".join)


@given(st.lists(LINE, max_size=8))
def test_any_fstab_is_survived(lines: list[str]) -> None:
    inner: dict[str, object] = {"y": {"w": {}}, "x": {}}
    tree = machine(
        "\n".join(lines) + "\n",
        {"root": {"x": {"y": {}}, "z": {}, "l": "z"}, "a": inner, "b": inner},
    )
    assert len(walked(tree)) < 10_000


class _DamagedLink(MemoryFilesystem):
    """Of which no link can be read."""

    def readlink(self, number: int) -> bytes:
        raise DamagedError("its target cannot be read", where=f"{self.source_name}: inode {number}")


@pytest.mark.parametrize(
    "files",
    [
        {"etc": OS, "lib": "usr/lib", "usr": USR},  # on the way to what shows systemd
        {"etc": "system/etc", "system": {"etc": OS}},  # on the way to os-release
        {"etc": {**OS, "systemd": "../units"}, "units": {"system": {}}, "usr": USR},
    ],
)
def test_what_cannot_be_looked_for_is_reported(files: dict[str, object]) -> None:
    fs = _DamagedLink(files, "disk0/p1")
    volume_slice = VolumeSlice(MemorySource(b"", fs.source_name), fs.source_name, 0, 1, kind="ext4")
    tree = assemble([volume_slice], [(volume_slice, fs)])
    assert "its target cannot be read" in [problem.what for problem in tree.problems]


# --- hostile tables of mounts ---


def test_recursive_binds_that_double_the_mounts_meet_a_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(namespace, "MAX_MOUNTS", 50)
    files: dict[str, object] = {f"m{number}": {} for number in range(40)}
    lines = "".join(f"/ /m{number} none rbind\n" for number in range(40))
    tree = machine(lines, {"root": files})
    assert len(tree.mounts) == 50
    assert any("more than 50 mounts" in problem.what for problem in tree.problems)


def test_directories_that_mounts_show_again_are_bounded_and_reported(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tree_module, "MAX_SHOWN_AGAIN", 10)
    places: dict[str, object] = {f"m{number}": {} for number in range(20)}
    data = {f"d{number}": {"file": b""} for number in range(20)}
    lines = "".join(f"/data /m{number} none bind\n" for number in range(20))
    tree = machine(lines, {"root": {"data": data, **places}})
    paths = [path for level in tree.walk() for path, *_ in level]
    assert {b"data/d%d" % number for number in range(20)} <= set(paths)
    assert len(paths) < 70
    assert any("show the same directories again" in problem.what for problem in tree.problems)


def test_few_directories_shown_again_are_no_problem() -> None:
    tree = machine("/data /m none bind\n", {"root": {"data": {"d": {"file": b""}}, "m": {}}})
    assert {"data/d/file", "m/d/file"} <= walked(tree)
    assert tree.problems == []


def test_an_fstab_longer_than_what_is_read_of_it_is_a_problem() -> None:
    for text in ("\n" * 5000, "#" * (1 << 20) + "\n\n"):
        tree = machine("LABEL=root / ext4\n" + text, {"root": {}})
        assert [problem.where for problem in tree.problems] == ["/etc/fstab"]


def test_a_label_of_very_many_partitions_gives_a_short_problem() -> None:
    fs = MemoryFilesystem({"etc": {"os-release": b"", "fstab": b"LABEL=x /d ext4\n"}, "d": {}})
    slices = [
        VolumeSlice(MemorySource(b"", "d"), f"disk/p{at}", 0, at, label="x" * (at > 0), kind="ext4")
        for at in range(3000)
    ]
    (problem,) = assemble(slices, [(slices[0], fs)]).problems
    assert "disk/p1, disk/p2, " in problem.what
    assert "and 2991 more" in problem.what
    assert len(problem.what) < 300


def test_an_optional_bind_beyond_the_limit_of_look_ups_is_a_problem(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lines = "".join(f"/a /d{number} none bind,nofail\n" for number in range(100))
    files: dict[str, object] = {f"d{number}": {} for number in range(100)}
    assert machine(lines, {"root": files}).problems == []
    monkeypatch.setattr(namespace, "MAX_LOOK_UPS", 150)
    tree = machine(lines, {"root": files})
    assert "more than 150 look-ups" in tree.problems[-1].what
    assert tree.find("/d99") is not None
