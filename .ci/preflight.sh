#!/bin/sh
# Report everything that the installation lacks, at once and before any download.
#
#   .ci/preflight.sh PYTHON    (`uv`, where it is installed, needs neither Python nor its venv)
python=${1:-python3}
missing=
lacks() { missing="$missing
  $1"; }
packages=
add() { packages="$packages $1"; }

if ! command -v uv >/dev/null 2>&1; then
  if ! command -v "$python" >/dev/null 2>&1; then
    lacks "Python 3.11 or newer: there is no $python on PATH"
    add python3 && add python3-venv
  elif ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    lacks "Python 3.11 or newer: $python is $("$python" --version 2>&1) (another one: make PYTHON=python3.12 …)"
    add python3 && add python3-venv
  elif ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    lacks "Python's venv module, with ensurepip"
    add "$(basename "$(readlink -f "$(command -v "$python")")")-venv"
  fi
fi
[ -n "$missing" ] || exit 0

id= id_like=
[ -r /etc/os-release ] && . /etc/os-release && id=$ID id_like=$ID_LIKE
sudo=
[ "$(id -u)" = 0 ] || sudo="sudo "
echo "Missing:$missing" >&2
case " $id $id_like " in
  *" debian "* | *" ubuntu "*) echo "Install it: ${sudo}apt-get install$packages" >&2 ;;
  *" fedora "* | *" rhel "*) echo "Install it: ${sudo}dnf install python3.12" >&2 ;;
  *" suse "* | *" opensuse "*) echo "Install it: ${sudo}zypper install python312" >&2 ;;
  *" arch "*) echo "Install it: ${sudo}pacman -S python" >&2 ;;
  *" alpine "*) echo "Install it: ${sudo}apk add python3" >&2 ;;
  *) echo "Install it with your system's package manager." >&2 ;;
esac
echo "Or install uv (docs.astral.sh/uv), which brings a Python of its own. Then run make again." >&2
exit 1
