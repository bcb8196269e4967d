"""Applications that name their version in a file of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sidelight.inventory.language import applications, c_headers

if TYPE_CHECKING:
    from collections.abc import Callable

    from sidelight.inventory.language.extractor import GeneratorExtractor
    from sidelight.inventory.protocol import Extraction


NODE_VERSION = """#define NODE_MAJOR_VERSION 20
#define NODE_MINOR_VERSION 9
#define NODE_PATCH_VERSION 0
"""


@pytest.mark.parametrize(
    ("extractor", "path", "text", "purl"),
    [
        (
            c_headers.EXTRACTOR,
            "opt/node/include/node/node_version.h",
            NODE_VERSION,
            "pkg:generic/node@20.9.0",
        ),
        (
            applications.JDK_EXTRACTOR,
            "opt/jdk/release",
            'IMPLEMENTOR="Eclipse Adoptium"\nJAVA_VERSION="17.0.9"\n',
            "pkg:generic/openjdk@17.0.9",
        ),
        (
            applications.WORDPRESS_EXTRACTOR,
            "var/www/wp-includes/version.php",
            "<?php\n/** The version */\n$wp_version = '6.4.2';\n",
            "pkg:generic/wordpress@6.4.2",
        ),
        (
            applications.ADDED_EXTRACTOR,
            "var/www/wp-content/plugins/akismet/readme.txt",
            "=== Akismet ===\nContributors: a\nStable tag: 5.3.1\nLicense: GPLv2\n",
            "pkg:generic/wordpress-plugin-akismet@5.3.1",
        ),
        (
            applications.ADDED_EXTRACTOR,
            "var/www/wp-content/themes/twentytwentyfour/style.css",
            "/*\nTheme Name: Twenty\nRequires at least: 6.4\nVersion: 1.2\n*/\n",
            "pkg:generic/wordpress-theme-twentytwentyfour@1.2",
        ),
        (
            applications.JDK_EXTRACTOR,
            "usr/java/jdk/release",
            'BUILD_TYPE="commercial"\nIMPLEMENTOR="Oracle Corporation"\nJAVA_VERSION="21.0.1"\n',
            "pkg:generic/oracle-jdk@21.0.1",
        ),
        (
            applications.JDK_EXTRACTOR,
            "opt/corretto/release",
            'IMPLEMENTOR="Amazon.com Inc."\nJAVA_VERSION="17.0.11"\n',
            "pkg:generic/amazon-corretto@17.0.11",
        ),
        (
            applications.JDK_EXTRACTOR,
            "opt/graal/release",
            'IMPLEMENTOR="GraalVM Community"\nJAVA_VERSION="21"\nGRAALVM_VERSION="23.1"\n',
            "pkg:generic/graalvm@21",
        ),
        (
            applications.GO_EXTRACTOR,
            "usr/local/go/VERSION",
            "go1.22.1\ntime 2024-02-29T18:18:48Z\n",
            "pkg:golang/stdlib@1.22.1",
        ),
        (applications.GO_EXTRACTOR, "opt/go1.20/VERSION", "go1.20", "pkg:golang/stdlib@1.20.0"),
        (
            applications.RUBY_EXTRACTOR,
            "opt/ruby/lib/ruby/3.2.0/x86_64-linux/rbconfig.rb",
            '  CONFIG["MAJOR"] = "3"\n  CONFIG["MINOR"] = "2"\n  CONFIG["TEENY"] = "2"\n',
            "pkg:generic/ruby@3.2.2",
        ),
        (
            c_headers.EXTRACTOR,
            "usr/local/apache2/include/ap_release.h",
            (
                "#define AP_SERVER_MAJORVERSION_NUMBER 2\n#define AP_SERVER_MINORVERSION_NUMBER 4\n"
                "#define AP_SERVER_PATCHLEVEL_NUMBER   58\n"
            ),
            "pkg:generic/apache-httpd@2.4.58",
        ),
        (
            c_headers.EXTRACTOR,
            "usr/local/include/openssl/opensslv.h",
            (
                "# define OPENSSL_VERSION_MAJOR  3\n# define OPENSSL_VERSION_MINOR  4\n"
                "# define OPENSSL_VERSION_PATCH  0\n"
            ),
            "pkg:generic/openssl@3.4.0",
        ),
        (
            c_headers.EXTRACTOR,
            "usr/local/include/curl/curlver.h",
            (
                "#define LIBCURL_VERSION_MAJOR 8\n#define LIBCURL_VERSION_MINOR 14\n"
                "#define LIBCURL_VERSION_PATCH 1\n"
            ),
            "pkg:generic/libcurl@8.14.1",
        ),
        (
            c_headers.EXTRACTOR,
            "usr/local/mysql/include/mysql_version.h",
            '#define MYSQL_SERVER_VERSION            "8.0.43"\n',
            "pkg:generic/mysql@8.0.43",
        ),
        (
            c_headers.EXTRACTOR,
            "opt/mariadb/include/mysql/mariadb_version.h",
            '#define MYSQL_SERVER_VERSION "10.11.8-MariaDB"\n',
            "pkg:generic/mariadb@10.11.8",
        ),
        (
            c_headers.EXTRACTOR,
            "root/.pyenv/versions/3.11.7/include/python3.11/patchlevel.h",
            '#define PY_MAJOR_VERSION 3\n#define PY_VERSION              "3.11.7"\n',
            "pkg:generic/python@3.11.7",
        ),
        (
            c_headers.EXTRACTOR,
            "opt/perl/lib/5.36.0/x86_64-linux/CORE/patchlevel.h",
            (
                "#define PERL_REVISION\t5\t\t/* age */\n#define PERL_VERSION\t36\n"
                "#define PERL_SUBVERSION\t0\n"
            ),
            "pkg:generic/perl@5.36.0",
        ),
    ],
)
def test_applications_have_their_version(
    extract: Callable[..., Extraction],
    extractor: GeneratorExtractor,
    path: str,
    text: str,
    purl: str,
) -> None:
    assert extractor.wants.confirm is None or extractor.wants.confirm(path)
    assert [package.purl for package in extract(extractor, path, text).packages] == [purl]
    assert not extract(extractor, path, "\n" * 200_000).packages


@pytest.mark.parametrize("tag", ["5.3.0", "trunk"])
def test_a_plugin_s_version_is_that_of_its_main_file(
    extract: Callable[..., Extraction], tag: str
) -> None:
    """Its readme's stable tag says what is offered for download."""
    main = b"<?php\n/**\n * Plugin Name: Akismet\n * Requires PHP: 5.8\n * Version: 5.3.1\n */\n"
    path = "var/www/wp-content/plugins/akismet/readme.txt"
    readme = f"=== Akismet ===\nStable tag: {tag}\n"
    found = extract(applications.ADDED_EXTRACTOR, path, readme, {"akismet.php": main})
    assert [package.version for package in found.packages] == ["5.3.1"]
