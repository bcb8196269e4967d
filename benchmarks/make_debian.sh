#!/bin/bash
# Makes the disk of the benchmarks: a real Debian 12 with some 60,000 paths, on ext4 in a GPT.
# Needs root, mmdebstrap, npm and pip. Usage: make_debian.sh OUTPUT.img
set -euo pipefail
out=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mmdebstrap --quiet --variant=apt \
  --include=linux-image-amd64,npm,nodejs,python3-pip,python3-django,python3-requests,git,nginx,openssl,curl,openssh-server,build-essential,postgresql,php-cli,ruby \
  bookworm "$work/tree.tar"
mkdir "$work/tree"
tar -x -C "$work/tree" --exclude='./dev/*' -f "$work/tree.tar"
rm "$work/tree.tar"
mkdir -p "$work/tree/srv/shop"
(cd "$work/tree/srv/shop" && npm init -y >/dev/null &&
  npm install --silent --ignore-scripts --no-audit express@4.17.1 lodash@4.17.15 webpack@5.90.0 jest@29.7.0 react@18.2.0)
pip install --quiet --no-deps --target "$work/tree/opt/batch/lib" django==3.2.0 requests==2.25.0 urllib3==1.26.4 jinja2==2.11.2
rm -f "$out"
truncate -s 4G "$out"
# No partition name: Trivy 0.76 passes over a partition named "root".
printf 'label: gpt\nstart=1MiB, size=1MiB, type=21686148-6449-6E6F-744E-656564454649\nstart=2MiB, type=L\n' | sfdisk --quiet "$out"
mkfs.ext4 -q -F -E offset=$((2 << 20)) "$out" 4093M
# Filled through the kernel: mkfs -d lays directories out between the files, as no running machine does.
mkdir "$work/mount"
mount -o loop,offset=$((2 << 20)) "$out" "$work/mount"
cp -a "$work/tree/." "$work/mount/"
umount "$work/mount"
echo "$out: $(find "$work/tree" | wc -l) paths, $(du -sm "$work/tree" | cut -f1) MB"
