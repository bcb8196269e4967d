#!/bin/bash
# Makes the demo machines' trees again (*.tar.xz beside this file) from real packages:
# Debian's by mmdebstrap, SUSE's from a real rpm database by rpm itself, npm's and PyPI's by npm and pip.
# Only what names packages is kept. Needs root, mmdebstrap, rpm, npm, pip and the conformance data
# (SIDELIGHT_SHARED_DATA). The demo itself needs none of that: it starts from the archives.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
data=${SIDELIGHT_SHARED_DATA:-$here/../../../shared/data}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

archive() { # name: tree -> archive, the same bytes for the same tree
  tar --sort=name --owner=0 --group=0 --numeric-owner --mtime=@1704067200 -C "$work/$1" -c . | xz -9e > "$here/$1.tar.xz"
}
keep_names() { # tree target: what names packages, and nothing else
  (cd "$1" && find . \( -path './var/lib/dpkg/status' -o -path './var/lib/dpkg/info/*.list' \
      -o -path './var/lib/rpm/rpmdb.sqlite' -o -path './usr/lib/os-release' -o -path './etc/os-release' \
      -o -path './etc/debian_version' -o -path '*/node_modules/*/package.json' -o -path '*.dist-info/METADATA' \
      -o -path '*.dist-info/RECORD' -o -path '*.egg-info/PKG-INFO' -o -path '*/dist-packages/*.egg-info' \) \
      \( -type f -o -type l \) -print0 | tar --null -T - -c) | tar -x -C "$2"
}
debian() { # name packages
  mmdebstrap --variant=apt --include="$2" bookworm "$work/$1.tar"
  mkdir -p "$work/$1.full" "$work/$1"
  tar -x -C "$work/$1.full" --exclude='./dev/*' -f "$work/$1.tar"
}

# web-1: Debian 12 with a web server, and a Node.js application.
debian web-1 nginx-light,openssl,curl,openssh-server,ca-certificates
mkdir -p "$work/web-1.full/srv/shop"
(cd "$work/web-1.full/srv/shop" && npm init -y >/dev/null &&
  npm install --silent --ignore-scripts --no-audit express@4.17.1 lodash@4.17.15 minimist@1.2.0 axios@0.21.0)
keep_names "$work/web-1.full" "$work/web-1"
mkdir -p "$work/web-1/etc"
printf 'PARTUUID=5d0a1c1e-0001-4b5e-9d6e-000000000001 / ext4 defaults 0 1\n' > "$work/web-1/etc/fstab"
archive web-1

# batch-1: Debian 12 with Python, and an application in a folder of its own.
debian batch-1 python3,python3-requests,python3-yaml,openssl,gnupg
pip install --quiet --no-deps --target "$work/batch-1.full/opt/batch/lib" \
  django==3.2.0 requests==2.25.0 urllib3==1.26.4 jinja2==2.11.2 flask==2.2.2 certifi==2022.12.7
keep_names "$work/batch-1.full" "$work/batch-1"
mkdir -p "$work/batch-1/etc"
printf '/dev/xvda1 / ext3 defaults 0 1\n' > "$work/batch-1/etc/fstab"
archive batch-1

# db-1: SUSE Linux Enterprise 15 SP3. The headers of a real ndb database, imported by rpm into sqlite.
mkdir -p "$work/db-1/var/lib/rpm" "$work/db-1/usr/lib" "$work/db-1/etc"
python3 "$here/ndb_headers.py" "$data/rpmdb/ndb/sle15-bci.Packages.db" > "$work/headers"
rpmdb --dbpath="$work/rpmdb" --importdb < "$work/headers"
sqlite3 "$work/rpmdb/rpmdb.sqlite" 'PRAGMA wal_checkpoint(TRUNCATE); PRAGMA journal_mode=DELETE;' 2>/dev/null ||
  python3 -c "import sqlite3,sys; sqlite3.connect(sys.argv[1]).execute('PRAGMA journal_mode=DELETE')" "$work/rpmdb/rpmdb.sqlite"
cp "$work/rpmdb/rpmdb.sqlite" "$work/db-1/var/lib/rpm/"
cat > "$work/db-1/usr/lib/os-release" <<'RELEASE'
NAME="SLES"
VERSION="15-SP3"
VERSION_ID="15.3"
PRETTY_NAME="SUSE Linux Enterprise Server 15 SP3"
ID="sles"
ID_LIKE="suse"
RELEASE
ln -s ../usr/lib/os-release "$work/db-1/etc/os-release"
printf '/dev/xvda / xfs defaults 0 0\n' > "$work/db-1/etc/fstab"
archive db-1

# edge-1: Alpine's real package database, and a Node.js tool.
mkdir -p "$work/edge-1/lib/apk/db" "$work/edge-1/etc" "$work/edge-1.full/opt/agent"
cp "$data/manifests/osv-scalibr/os/apk/testdata/installed" "$work/edge-1/lib/apk/db/installed"
printf 'NAME="Alpine Linux"\nID=alpine\nVERSION_ID=3.18.0\nPRETTY_NAME="Alpine Linux v3.18"\n' > "$work/edge-1/etc/os-release"
(cd "$work/edge-1.full/opt/agent" && npm init -y >/dev/null &&
  npm install --silent --ignore-scripts --no-audit ws@7.4.0 node-fetch@2.6.0)
keep_names "$work/edge-1.full" "$work/edge-1"
archive edge-1

# The filesystems of these trees.
python3 "$here/../filesystems.py"
