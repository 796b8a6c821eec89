// The shell script that builds a container's own view of the file system and becomes its program. It runs as root in fresh
// mount and pid namespaces; names reach it as positional parameters and environment, never as script text.

/** Where a program in an image finds the shell that starts it. */
export const imageShell = {
  folder: "/.cdi",
  program: "/.cdi/sh",
  loader: "/.cdi/ld.so",
  libraries: "/.cdi/lib",
} as const;

/**
 * Parameters: the empty folder for the root, "ro" or "rw", working directory, uid, gid, groups ("1,2" or ""), extra capability
 * or "", the root of an image or "" where the program runs in this machine's own, innerScript, then mounts (rows of six: word,
 * source, destination, three more), "--", program and arguments.
 * Environment: CDI_ENV_0 ... = "NAME=value" for the program. Descriptor 3: "ready" just before the program.
 */
export const podScript = `
set -eu
umask 022
root=$1 seal=$2 work=$3 uid=$4 gid=$5 groups=$6 extra=$7 base=$8 inner=$9
shift 9
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
# What every root has, in the folder that is to become one.
furnish() {
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
  mkdir -m 1777 dev/shm
  mount -t tmpfs -o mode=1777,size=64m,nosuid,nodev tmpfs dev/shm
}
mkdir proc sys dev .old var var/run run home
furnish
mkdir -m 1777 tmp
[ "$seal" = ro ] || mount -t tmpfs -o mode=1777,size=256m,nosuid,nodev tmpfs tmp

# Refuses a path that a link of the image would lead elsewhere: here it would be followed out of the image.
way() {
  rest=\${1#/} at=
  while [ -n "$rest" ]; do
    part=\${rest%%/*}
    case $rest in */*) rest=\${rest#*/} ;; *) rest= ;; esac
    case $part in ''|.) continue ;; ..) echo "$1 leads out of the container" >&2; exit 1 ;; esac
    at=$at/$part
    if [ -L "$root/.image$at" ]; then echo "$1: $at is a link in the image" >&2; exit 1; fi
  done
}
into=
if [ -n "$base" ]; then
  # A root of the image's own within this one, which keeps the tools that drop all rights. What is written to it is in memory.
  into=/.image
  mkdir .image .layer
  mount -t tmpfs -o mode=755,size=256m,nosuid,nodev tmpfs .layer
  mkdir .layer/lower .layer/upper .layer/work
  mount --bind "$base" .layer/lower
  # By short names: the folder's own may hold commas and colons.
  (cd .layer && mount -t overlay -o nosuid,nodev,lowerdir=lower,upperdir=upper,workdir=work overlay ../.image)
  for d in proc sys dev etc ${imageShell.folder.slice(1)}; do way "/$d"; mkdir -p ".image/$d"; done
  way /tmp
  [ -d .image/tmp ] || mkdir -m 1777 .image/tmp
  cd .image
  furnish
  mount -t tmpfs -o mode=755,size=1m,nosuid,nodev tmpfs ${imageShell.folder.slice(1)}
  way "$work"
  mkdir -p "./$work"
  cd "$root"
fi

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
  to=$root$into$3
  [ -z "$into" ] || way "$3"
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

[ -z "$into" ] || [ "$seal" = rw ] || mount -o remount,bind,ro "$root/.image"
pivot_root . .old
cd /
umount -l /.old
rmdir /.old
if [ -n "$base" ]; then
  mount -o remount,bind,ro /
  if [ -e "/.image${imageShell.loader}" ]; then
    set -- ${imageShell.loader} --library-path ${imageShell.libraries} ${imageShell.program} -c "$inner" inner "$work" "$@"
  else
    set -- ${imageShell.program} -c "$inner" inner "$work" "$@"
  fi
  # By number, "+" before each: no name is looked up in the image.
  plus=+$(echo "\${groups:-$gid}" | sed 's/,/,+/g')
  set -- chroot "--userspec=+$uid:+$gid" "--groups=$plus" /.image "$@"
  set -- setpriv --no-new-privs --bounding-set=-all -- "$@"
  set -- setpriv --inh-caps=-all,+sys_chroot,+setuid,+setgid -- "$@"
  # Giving up its user a process loses its death signal, so that this shell stays, as the first process here: all end with it.
  child= asked=
  trap 'asked=yes; [ -z "$child" ] || kill -TERM "$child" || :' TERM
  echo ready >&3
  exec 3>&-
  "$@" &
  child=$!
  [ -z "$asked" ] || kill -TERM "$child" || :
  # A signal ends the waiting, not the child: who was waited for to its end is no more.
  while :; do
    status=0
    wait "$child" || status=$?
    kill -0 "$child" 2>/dev/null || exit "$status"
  done
fi
[ "$seal" = rw ] || mount -o remount,bind,ro /
cd "$work"
set -- --pdeathsig KILL --no-new-privs -- sh -c "$inner" inner "" "$@"
if [ -n "$groups" ]; then set -- --groups "$groups" "$@"; else set -- --clear-groups "$@"; fi
if [ -n "$extra" ]; then
  set -- "--inh-caps=-all,+$extra" "--ambient-caps=-all,+$extra" "--bounding-set=-all,+$extra" "$@"
else
  set -- --inh-caps=-all --bounding-set=-all "$@"
fi
echo ready >&3
exec 3>&-
exec setpriv --reuid "$uid" --regid "$gid" "$@"
`;

/**
 * The rest, as the container's user: gives the program its environment. Not before, since variables also steer the tools that
 * drop the rights (LD_PRELOAD). Parameters: working directory or "" for the present one, program and arguments.
 */
export const innerScript = `
[ -z "$1" ] || cd "$1" || exit 1
shift
# Values come as variables, never as arguments, which everybody on the machine can read. Only names that no shell can export,
# such as a.b, have to; in an image without env they are left out.
env=$(command -v env) || env=
cdi_count=\${CDI_ENV_COUNT:-0}
is_odd() { case \${1%%=*} in [0-9]*|*[!A-Za-z0-9_]*) return 0 ;; *) return 1 ;; esac; }
odd= cdi_i=0
while [ "$cdi_i" -lt "$cdi_count" ]; do
  eval "cdi_pair=\\$CDI_ENV_$cdi_i"
  if is_odd "$cdi_pair"; then
    if [ -n "$env" ]; then set -- "$cdi_pair" "$@"; odd=yes; else echo "variable \${cdi_pair%%=*} left out" >&2; fi
  fi
  cdi_i=$((cdi_i + 1))
done
[ -z "$odd" ] || set -- "$env" "$@"
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
