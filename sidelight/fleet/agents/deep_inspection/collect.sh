#!/bin/sh
# Sidelight's deep inspection: sends the files that name installed packages. It installs nothing and
# writes nothing but its output, whose form is described in docs/ssm.md. It runs in Python where
# Python 3.6 or newer is there, else in the shell with find, xargs, tar, gzip, base64 and awk.
# Usage: collect ROOT PATHS SECONDS FILES BYTES
root=$1 paths=$2 seconds=$3 files=$4 bytes=$5
LC_ALL=C PATH="$PATH:/usr/sbin:/usr/bin:/sbin:/bin"
export LC_ALL PATH
umask 077
nice=; command -v nice >/dev/null 2>&1 && nice="nice -n 19"
command -v ionice >/dev/null 2>&1 && ionice -c 3 true 2>/dev/null && nice="$nice ionice -c 3"
for python in python3 /usr/libexec/platform-python $SIDELIGHT_PYTHON; do
  [ "$SIDELIGHT_SHELL" ] && break
  if command -v "$python" >/dev/null 2>&1 &&
    "$python" -I -c "import sys, zlib, zipfile; sys.exit(sys.version_info < (3, 6))" 2>/dev/null; then
    exec $nice "$python" -I -B -S -c @PYTHON@ "$root" "$paths" "$seconds" "$files" "$bytes"
  fi
done

top=${root%/}
limits= problems=
nl='
'
end=$(($(date +%s) + seconds))
late() { [ "$(date +%s)" -gt "$end" ]; }
note() { problems="$problems${nl}problem	$1	$2"; }

# Filesystems that are not local, and the directories of container runtimes.
pruned() {
  while read -r device mount type rest; do
    case " @LOCAL@ " in *" $type "*) ;; *) [ "$mount" = / ] || printf '%s\n' "$mount" ;; esac
  done </proc/mounts
  for path in @SKIPPED@; do printf '%s\n' "$top/$path"; done
}

find_in() { # the directory, and which files: find's own conditions; fails where the time was spent
  dir=$1; shift
  set -f
  IFS=$nl
  for mount in $skip; do
    case "$mount/" in "$dir"/*) set -- -path "$mount" -prune -o "$@" ;; esac
  done
  unset IFS
  if command -v timeout >/dev/null 2>&1; then
    $nice timeout "$seconds" find "$dir" "$@"
  else
    $nice find "$dir" "$@"
  fi 2>/dev/null
  code=$?
  set +f
  [ "$code" -ne 124 ] && [ "$code" -ne 143 ] # GNU's timeout and busybox's
}

is_local() { # no link on the way, and not below what is left out
  [ -d "$1" ] && [ "$(cd -P -- "$1" 2>/dev/null && pwd -P)" = "$(cd -P -- "$top/" && pwd -P | sed 's,/$,,')${1#"$top"}" ]
}

skip=$(pruned)
list= large=
oldifs=$IFS; IFS=:
set -f
for path in $paths; do
  IFS=$oldifs
  set +f
  case $path in /*) ;; *) continue ;; esac
  dir=$top${path%/}
  [ -e "$dir" ] || continue
  if ! is_local "$dir"; then note "$path" "not a directory, or a link: name the directory that it leads to"; continue; fi
  late && { limits="$limits time"; break; }
  found=$(find_in "$dir" -type f \( @FIND@ \) ! -path "*$nl*" -size -@MORE@c -print) || limits="$limits time"
  list="$list$nl$found"
  large="$large$nl$(find_in "$dir" -type f \( @FIND@ \) ! -path "*$nl*" -size +@FILE_LIMIT@c -print)"
  IFS=:
  set -f
done
IFS=$oldifs
set +f
list=$(printf '%s\n' "$list" | sed "s,^$top/,,;/^\$/d" | awk '!seen[$0]++')
count=$(printf '%s\n' "$list" | wc -l)
[ "$count" -le "$files" ] || limits="$limits files"
list=$(printf '%s\n' "$list" | head -n "$files")

status() {
  [ -f "$top/var/lib/dpkg/status" ] || return
  cat "$top/var/lib/dpkg/status" |
    awk '/^[ \t]*$/ || tolower($0) ~ /^(package|status|version|architecture|source|maintainer|vendor|origin|license)[ \t]*:/'
}

owners() {
  if [ -d "$top/var/lib/dpkg/info" ]; then
    (cd "$top/var/lib/dpkg/info" && for file in *.list; do printf '\001%s\n' "${file%.list}"; cat "$file"; done)
  fi | { printf '%s\n' "$list"; printf '\002\n'; cat; } | awk '
    !body && $0 == "\002" { body = 1; next }
    !body { asked["/" $0] = 1; next }
    substr($0, 1, 1) == "\001" { package = substr($0, 2); next }
    $0 in asked || ("/usr" $0) in asked { print "dpkg\t" package "\t" $0 }'
  for path in var/lib/rpm usr/lib/sysimage/rpm usr/share/rpm; do
    [ -d "$top/$path" ] || continue
    { printf '%s\n' "$list"; printf '\002\n'
      $nice rpm -qa ${top:+--root "$top"} --qf '[%{=NAME}\t%{=VERSION}-%{=RELEASE}\t%{=VENDOR}\t%{FILENAMES}\n]' 2>/dev/null
    } | awk -F '\t' '
      !body && $0 == "\002" { body = 1; next }
      !body { asked["/" $0] = 1; next }
      $4 in asked || ("/usr" $4) in asked { print "rpm\t" $0 }'
    break
  done
}

tree() {
  as_is= # GNU tar takes backslashes in names for escapes
  tar --no-unquote -c -f /dev/null /dev/null >/dev/null 2>&1 && as_is=--no-unquote
  {
    for path in @SYSTEM@; do [ -f "$top/$path" ] && [ ! -h "$top/$path" ] && printf '%s\n' "$path"; done
    for path in bin sbin lib lib32 lib64 libx32; do [ -h "$top/$path" ] && printf '%s\n' "$path"; done
    printf '%s\n' "$list" | sed '/^$/d'
  } | sed 's,^,./,' | tr '\n' '\0' | $nice xargs -0 tar $as_is -C "$top/" -c -f - 2>/dev/null | head -c "$bytes"
}

notes() {
  note / "no Python 3.6 or newer: programs are not looked at, and archives above @FILE_LIMIT@ bytes are not sent"
  printf '%s\n' "$problems" | sed '/^$/d'
  printf '%s\n' "$large" | sed "/^\$/d;s,^$top,,;s,\$,	larger than the @FILE_LIMIT@ bytes that are sent,;s,^,problem	,"
  for kind in $limits; do printf 'limit\t%s\t\n' "$kind"; done
}

section() { printf '= %s\n' "$1"; "$2" | gzip -n -c | base64; }
about() { printf 'collector\tshell\npaths\t%s\n' "$paths"; } # without a time: the same is not read again

all() {
  echo "SIDELIGHT-DEEP-INSPECTION 1"
  section about about
  section tree tree
  section dpkg-status status
  section owners owners
  section notes notes
}

# The checksum is made of what goes out, without a file in between. /dev/fd/3 must be a pipe.
{ { all | tee -a /dev/fd/3 | sha256sum | awk '{ print "end " $1 }'; } 3>&1; } | cat
