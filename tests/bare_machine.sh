#!/bin/bash
# Run the README's two commands on a minimal system, as a stranger would: a fresh chroot with only
# Python, its venv module, make and git; a clean environment; a clone of this checkout.
#
#   tests/bare_machine.sh [OPTION…] SYSTEM      bookworm, trixie, sid, or Ubuntu's noble
#
#   --demo-only        the demo alone
#   --user NAME        root, user or both (the default: root, then an ordinary user)
#   --command COMMAND  this shell command in place of the two
#   --packages NAMES   additional Debian packages, comma-separated
#   --keep DIRECTORY   keep the system there, and use it as it is next time
#
# Needs root and mmdebstrap. Exits with 75 where the system cannot be made. The configuration of pip, uv and apt is that of this machine.
set -euo pipefail

here=$(cd "$(dirname "$0")/.." && pwd)
commands=("make demo" "make test")
users=(root user)
packages=python3,python3-venv,make,git,ca-certificates
keep=
while [ $# -gt 0 ]; do
  case "$1" in
    --demo-only) commands=("make demo"); shift ;;
    --command) commands=("$2"); shift 2 ;;
    --packages) packages=$packages,$2; shift 2 ;;
    --keep) keep=$2; shift 2 ;;
    --user) if [ "$2" = both ]; then users=(root user); else users=("$2"); fi; shift 2 ;;
    -*) sed -n '2,15s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
    *) break ;;
  esac
done
system=${1:?which system? bookworm, trixie, sid or noble}
[ "$(id -u)" = 0 ] || { echo "a chroot needs root" >&2; exit 75; }
command -v mmdebstrap >/dev/null || { echo "mmdebstrap is not installed (apt-get install mmdebstrap)" >&2; exit 75; }

scratch=$(mktemp -d)
root=${keep:-$scratch/root}
mounts=()
release() {
  # What still runs in there was started by a command of ours that was killed.
  local process
  for process in /proc/[0-9]*; do
    [ "$(readlink "$process/root" 2>/dev/null)" != "$(readlink -f "$root")" ] || kill -9 "${process#/proc/}" 2>/dev/null || true
  done
  # Lazily: a killed command may still hold one of them.
  for ((index = ${#mounts[@]} - 1; index >= 0; index--)); do umount --lazy "${mounts[index]}" || true; done
  mounts=()
  # Never across a mount: it would be this machine's files.
  rm -rf --one-file-system "$scratch"
}
trap release EXIT
trap 'exit 130' INT TERM

bootstrap() {
  mkdir -p "$(dirname "$root")"
  # A mirror may be a copy of some day in the past. mmdebstrap knows each system's mirror and key
  # (Ubuntu's, where ubuntu-keyring is installed; universe has python3-venv).
  local components=main
  case "$system" in jammy | noble | questing) components=main,universe ;; esac
  mmdebstrap --quiet --variant=minbase --include="$packages" --components="$components" \
    --aptopt='Acquire::Check-Valid-Until "false"' "$system" "$root"
}

attach() { # source target-in-root [options]
  mkdir -p "$root$2"
  mount "${@:3}" "$1" "$root$2"
  mounts+=("$root$2")
}

if [ ! -e "$root/etc/os-release" ]; then
  bootstrap || { echo "$system cannot be installed here: mmdebstrap failed" >&2; exit 75; }
fi
attach proc /proc -t proc
attach /dev /dev --rbind
mount --make-rslave "$root/dev"
attach tmpfs /run -t tmpfs
cp /etc/resolv.conf "$root/etc/resolv.conf"
# A package's server must not start in a chroot: it would be this machine's.
printf '#!/bin/sh\nexit 101\n' > "$root/usr/sbin/policy-rc.d"
chmod +x "$root/usr/sbin/policy-rc.d"
cp /etc/hosts "$root/etc/hosts"

# How this machine reaches its package index: configuration files, what they name on this disk, and
# variables. They are handed over and not written down here. Of an index on this disk, that is the
# folder around its `simple`: the links of its pages lead there.
variables=()
for name in $(compgen -e); do
  case "$name" in PIP_* | UV_* | SSL_CERT_FILE | SSL_CERT_DIR | HTTPS_PROXY | HTTP_PROXY | NO_PROXY) variables+=("$name=${!name}") ;; esac
done
configurations=(/etc/pip.conf /etc/xdg/pip /etc/uv "$HOME/.config/pip" "$HOME/.pip" "$HOME/.config/uv")
for path in "${configurations[@]}"; do
  [ -e "$path" ] || continue
  target=${path/#"$HOME/."//etc/skel/.}
  mkdir -p "$root$(dirname "$target")"
  rm -rf --one-file-system "$root$target"
  cp -rL "$path" "$root$target"
done
while read -r path; do
  [ -e "$path" ] && ! [ "$path" -ef "$root$path" ] || continue
  # Certificates are copied: packages write into their directory.
  if [ "$path" = /etc/ssl/certs ]; then continue; fi
  if [ -d "$path" ]; then attach "$path" "$path" --bind -o ro; else mkdir -p "$root$(dirname "$path")"; cp -L "$path" "$root$path"; fi
done < <({ cat "${configurations[@]}" 2>/dev/null || true; find "${configurations[@]}" -type f -exec cat {} + 2>/dev/null || true
  printf '%s\n' "${variables[@]}"; } | grep -oE '(file://)?/[A-Za-z0-9._/-]+' | sed -E 's#^file://##; s#/simple/?$##' | grep -E '^/(opt|srv|etc/ssl|usr/local)/' | sort -u)

inside() { # user command…
  local user=$1 home
  shift
  home=$(awk -F: -v user="$user" '$1 == user { print $6 }' "$root/etc/passwd")
  chroot --userspec="$user" "$root" /usr/bin/env -i HOME="$home" LANG=C.UTF-8 \
    PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "${variables[@]}" "$@"
}

for user in "${users[@]}"; do
  [ "$user" = root ] || grep -q "^$user:" "$root/etc/passwd" || chroot "$root" useradd --create-home --shell /bin/bash "$user"
  home=$(awk -F: -v user="$user" '$1 == user { print $6 }' "$root/etc/passwd")
  for name in .config .pip; do [ ! -e "$root/etc/skel/$name" ] || cp -r "$root/etc/skel/$name" "$root$home/"; done
  rm -rf --one-file-system "$root$home/sidelight" "$root/tmp/sidelight.bundle"
  git -C "$here" -c safe.directory='*' bundle create --quiet "$root/tmp/sidelight.bundle" HEAD
  chmod 644 "$root/tmp/sidelight.bundle"
  chroot "$root" chown -R "$user:" "$home"
  # A kept system has the last run's.
  inside "$user" rm -rf "$home/sidelight"
  inside "$user" git -c advice.detachedHead=false clone --quiet /tmp/sidelight.bundle "$home/sidelight"
  for command in "${commands[@]}"; do
    echo "== $system, $user: $command"
    inside "$user" bash -c "cd ~/sidelight && $command" </dev/null
  done
done
echo "== $system: done"
