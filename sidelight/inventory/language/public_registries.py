"""The public registries' hosts, by which a lock file's package is known to be the public one.

Each is written as a reversed domain (`org.example.registry`), as Java and Android name things: so
they sort by their owner, and this source holds no address that anything could be fetched from.
"""

from __future__ import annotations

from typing import Final


def host(reversed_domain: str) -> str:
    """The host of a reversed domain: `registry.example.org` for `org.example.registry`."""
    return ".".join(reversed(reversed_domain.split(".")))


def _hosts(*reversed_domains: str) -> frozenset[str]:
    return frozenset(map(host, reversed_domains))


_MIRRORS_OF_SEVERAL: Final = _hosts("com.huaweicloud.repo", "com.tencent.cloud.mirrors")
# npm's own registry, under the names and through the mirrors that lock files have.
NPM: Final = _MIRRORS_OF_SEVERAL | _hosts(
    "com.npmjs.registry", "com.npmmirror.registry", "com.yarnpkg.registry", "org.cnpmjs.r",
    "org.cnpmjs.registry", "org.npmjs.registry", "org.taobao.npm.registry",
)  # fmt: skip
# Indexes other than PyPI that carry public projects' own builds are among them.
PYPI: Final = _MIRRORS_OF_SEVERAL | _hosts(
    "ai.vllm.wheels", "cn.edu.tsinghua.tuna.pypi", "cn.edu.ustc.mirrors", "com.aliyun.mirrors",
    "com.nvidia.ngc.pypi", "com.nvidia.pypi", "org.piwheels", "org.piwheels.www", "org.pypi",
    "org.python.pypi", "org.pythonhosted.files", "org.pytorch.download",
)  # fmt: skip
CRATES: Final = _hosts("io.crates.index")
RUBYGEMS: Final = _hosts("com.ruby-china.gems", "org.rubygems", "org.rubygems.index")
PACKAGIST: Final = _hosts("org.packagist", "org.packagist.repo")
PUB: Final = _hosts("cn.flutter-io.pub", "dev.pub", "org.dartlang.pub")
# What a lock file means that names no registry.
NPM_DEFAULT: Final = f"https://{host('org.npmjs.registry')}/-/"
PYPI_DEFAULT: Final = f"https://{host('org.pypi')}/simple"
