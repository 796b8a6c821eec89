// The shell script that builds a container's own view of the file system and becomes its program. It runs as root in fresh
// mount and pid namespaces; names reach it as positional parameters and environment, never as script text.

/**
 * Parameters: the empty folder for the root, "ro" or "rw", working directory, uid, gid, groups ("1,2" or ""), extra capability
 * or "", then mounts (rows of six: word, source, destination, three more), "--", program and arguments.
 * Environment: CDI_ENV_0 ... = "NAME=value" for the program. Descriptor 3: "ready" just before the program.
 */
export const podScript = `
set -eu
umask 022
root=$1 seal=$2 work=$3 uid=$4 gid=$5 groups=$6 extra=$7
shift 7
mount -t tmpfs -o mode=755,size=16m,nosuid tmpfs "$root"
cd "$root"
# A mount below /etc that this machine's /etc has no place for: then the pod's is a folder of links to it.
wants_etc() {
  while [ "$1" != -- ]; do
    case $3 in /etc/*) top=\${3#/etc/}; [ -e "/etc/\${top%%/*}" ] || return 0 ;; esac
    shift 6
  done
  return 1
}
dirs="usr bin sbin lib lib32 lib64 libx32"
if wants_etc "$@"; then
  mkdir etc .etc
  mount --rbind /etc .etc
  mount -o remount,bind,ro .etc
  for f in /etc/* /etc/.[!.]*; do
    if [ -e "$f" ] || [ -L "$f" ]; then ln -s "../.etc/\${f#/etc/}" "etc/\${f#/etc/}"; fi
  done
else
  dirs="$dirs etc"
fi
for d in $dirs; do
  if [ -L "/$d" ]; then ln -s "$(readlink "/$d")" "$d"
  elif [ -d "/$d" ]; then
    mkdir "$d"
    mount --rbind "/$d" "$d"
    mount -o remount,bind,ro "$d"
  fi
done
mkdir proc sys dev .old var var/run run home
mount -t proc -o nosuid,nodev,noexec proc proc
mount -t sysfs -o ro,nosuid,nodev,noexec sysfs sys
mount -t tmpfs -o mode=755,size=1m,nosuid,noexec tmpfs dev
for n in null:3 zero:5 full:7 random:8 urandom:9; do
  mknod -m 666 "dev/\${n%:*}" c 1 "\${n#*:}"
done
mknod -m 666 dev/tty c 5 0
ln -s /proc/self/fd dev/fd
ln -s /proc/self/fd/0 dev/stdin
ln -s /proc/self/fd/1 dev/stdout
ln -s /proc/self/fd/2 dev/stderr
mkdir -m 1777 dev/shm tmp
mount -t tmpfs -o mode=1777,size=64m,nosuid,nodev tmpfs dev/shm
[ "$seal" = ro ] || mount -t tmpfs -o mode=1777,size=256m,nosuid,nodev tmpfs tmp

place() {
  if [ -d "$1" ]; then mkdir -p "$2"
  else mkdir -p "$(dirname "$2")"; [ -e "$2" ] || : > "$2"
  fi
}
own() {
  if [ "$(stat -c %g "$1")" != "$2" ]; then
    chgrp -R -h "$2" "$1"
    chmod -R g+rwX "$1"
  fi
  chmod g+rwxs "$1"
}
while [ "$1" != -- ]; do
  to=$root$3
  case $1 in
  ro) place "$2" "$to"; mount --bind "$2" "$to"; mount -o remount,bind,ro "$to" ;;
  rw) place "$2" "$to"; mount --bind "$2" "$to"; [ -z "$4" ] || own "$to" "$4" ;;
  fs) mkdir -p "$to"
      mount -t ext4 -o discard,noinit_itable,nosuid,nodev "$2" "$to"
      # As a node does: a file system that came read-only keeps its owners.
      [ -z "$4" ] || [ ! -w "$to" ] || own "$to" "$4"
      [ "$5" != ro ] || mount -o remount,bind,ro "$to" ;;
  dev) mkdir -p "$(dirname "$to")"; mknod -m 660 "$to" b "$4" "$5"; chown "$uid:$gid" "$to" ;;
  *) echo "unknown mount $1" >&2; exit 1 ;;
  esac
  shift 6
done
shift

pivot_root . .old
cd /
umount -l /.old
rmdir /.old
[ "$seal" = rw ] || mount -o remount,bind,ro /
cd "$work"
# Values come as variables, never as arguments, which everybody on the machine can read. Only names that no shell can export,
# such as a.b, have to.
setpriv=$(command -v setpriv) env=$(command -v env)
cdi_count=\${CDI_ENV_COUNT:-0}
is_odd() { case \${1%%=*} in [0-9]*|*[!A-Za-z0-9_]*) return 0 ;; *) return 1 ;; esac; }
odd= cdi_i=0
while [ "$cdi_i" -lt "$cdi_count" ]; do
  eval "cdi_pair=\\$CDI_ENV_$cdi_i"
  if is_odd "$cdi_pair"; then set -- "$cdi_pair" "$@"; odd=yes; fi
  cdi_i=$((cdi_i + 1))
done
[ -z "$odd" ] || set -- "$env" "$@"
set -- --pdeathsig KILL --no-new-privs -- "$@"
if [ -n "$groups" ]; then set -- --groups "$groups" "$@"; else set -- --clear-groups "$@"; fi
if [ -n "$extra" ]; then
  set -- "--inh-caps=-all,+$extra" "--ambient-caps=-all,+$extra" "--bounding-set=-all,+$extra" "$@"
else
  set -- --inh-caps=-all --bounding-set=-all "$@"
fi
set -- "$setpriv" --reuid "$uid" --regid "$gid" "$@"
echo ready >&3
exec 3>&-
# From here on only names of ours are used: the program's own may be any.
unset PATH LC_ALL CDI_ENV_COUNT
cdi_i=0
while [ "$cdi_i" -lt "$cdi_count" ]; do
  eval "cdi_pair=\\$CDI_ENV_$cdi_i"
  unset "CDI_ENV_$cdi_i"
  is_odd "$cdi_pair" || export "$cdi_pair"
  cdi_i=$((cdi_i + 1))
done
exec "$@"
`;
