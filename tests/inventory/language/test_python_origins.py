"""Origins of Python packages: lock files, requirements, direct URLs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from sidelight.inventory.language import (
    distinfo,
    pdmlock,
    pipfilelock,
    poetrylock,
    pylock,
    requirements,
    uvlock,
)
from tests.inventory.language.origin_views import others

if TYPE_CHECKING:
    from collections.abc import Callable

    from sidelight.inventory.language.extractor import GeneratorExtractor
    from sidelight.inventory.protocol import Extraction


METADATA = "Metadata-Version: 2.1\nName: tool\nVersion: 1.0\n"


@pytest.mark.parametrize(
    ("record", "installer", "foreign"),
    [
        ({"url": "https://github.com/x/t.git", "vcs_info": {"vcs": "git", "commit_id": "a"}}, "pip",
         True),
        ({"url": "file:///srv/t", "dir_info": {"editable": True}}, "pip", True),
        ({"url": "file:///srv/t", "dir_info": {}}, "pip", True),
        ({"url": "file:///home/conda/feedstock_root/work", "dir_info": {}}, "conda", False),
        ({"url": "file:///wheels/tool-1.0-py3-none-any.whl", "archive_info": {}}, "pip", False),
        ({"url": "https://example.com/tool-1.0.tar.gz", "archive_info": {}}, "pip", True),
        ({"url": "https://{org.pythonhosted.files}/t/tool-1.0.tar.gz", "archive_info": {}}, "pip",
         False),
        ([], "pip", False),
    ],
)  # fmt: skip
def test_an_installed_distribution_has_its_direct_url(
    extract: Callable[..., Extraction], record: object, installer: str, foreign: bool
) -> None:
    siblings = {
        "direct_url.json": json.dumps(record).encode(),
        "INSTALLER": f"{installer}\n".encode(),
    }
    path = "lib/tool-1.0.dist-info/METADATA"
    assert bool(others(extract(distinfo.EXTRACTOR, path, METADATA, siblings))) == foreign


POETRY = """
[[package]]
name = "a"
version = "1.0"
[[package]]
name = "b"
version = "1.0"
[package.source]
type = "git"
url = "https://github.com/x/b.git"
resolved_reference = "abc"
[[package]]
name = "c"
version = "1.0"
[package.source]
type = "legacy"
url = "https://pypi.corp.example/simple"
[[package]]
name = "torch"
version = "2.0+cpu"
[package.source]
type = "legacy"
url = "https://{org.pytorch.download}/whl/cpu"
"""

UV = """
[[package]]
name = "a"
version = "1.0"
source = { registry = "https://{org.pypi}/simple" }
[[package]]
name = "b"
version = "1.0"
source = { git = "https://github.com/x/b?rev=abc#abc" }
[[package]]
name = "c"
version = "1.0"
source = { registry = "https://pypi.corp.example/simple" }
[[package]]
name = "d"
version = "1.0"
source = { path = "d-1.0-py3-none-any.whl" }
"""

PDM = """
[[package]]
name = "a"
version = "1.0"
[[package]]
name = "b"
version = "1.0"
git = "https://github.com/x/b.git"
revision = "abc"
[[package]]
name = "c"
version = "1.0"
url = "https://example.com/c-1.0.tar.gz"
"""

PYLOCK = """
lock-version = "1.0"
[[packages]]
name = "a"
version = "1.0"
index = "https://{org.pypi}/simple"
[[packages]]
name = "b"
version = "1.0"
vcs = { type = "git", url = "https://github.com/x/b", commit-id = "abc" }
[[packages]]
name = "c"
version = "1.0"
archive = { url = "https://example.com/c-1.0.tar.gz" }
"""

PIPFILE = json.dumps(
    {
        "_meta": {
            "sources": [
                {"name": "pypi", "url": "https://{org.pypi}/simple"},
                {"name": "corp", "url": "https://pypi.corp.example/simple"},
            ]
        },
        "default": {
            "a": {"version": "==1.0", "index": "pypi"},
            "b": {"version": "==1.0", "index": "corp"},
            "c": {"version": "==1.0"},
        },
    }
)


@pytest.mark.parametrize(
    ("extractor", "path", "text", "foreign"),
    [
        (poetrylock.EXTRACTOR, "poetry.lock", POETRY, {"b", "c"}),
        (uvlock.EXTRACTOR, "uv.lock", UV, {"b", "c", "d"}),
        (pdmlock.EXTRACTOR, "pdm.lock", PDM, {"b", "c"}),
        (pylock.EXTRACTOR, "pylock.toml", PYLOCK, {"b", "c"}),
        (pipfilelock.EXTRACTOR, "Pipfile.lock", PIPFILE, {"b"}),
    ],
)
def test_python_lock_files_record_the_origin_of_packages(
    extract: Callable[..., Extraction],
    extractor: GeneratorExtractor,
    path: str,
    text: str,
    foreign: set[str],
) -> None:
    assert others(extract(extractor, path, text)).keys() == foreign


def test_requirements_have_pins_among_specifiers_and_archives(
    extract: Callable[..., Extraction],
) -> None:
    text = (
        "a>=1.0,==1.2.3\nb ~= 1.0 , != 1.1, === 1.0.5 ; python_version > '3'\nc==1.*,==1.5\n"
        "d>=1.0,<2\ne==2.*\n"
        "f @ https://example.com/f-3.0-py3-none-any.whl\n"
        "g @ https://{org.pythonhosted.files}/x/g-4.0.tar.gz\n"
        "h @ git+https://github.com/x/h.git@v1.0\n"
    )
    found = extract(requirements.EXTRACTOR, "requirements.txt", text)
    assert {(p.name, p.version) for p in found.packages} == {
        ("a", "1.2.3"), ("b", "1.0.5"), ("c", "1.5"), ("f", "3.0"), ("g", "4.0"),
    }  # fmt: skip
    assert others(found).keys() == {"f"}
