#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck disable=SC2015,SC2016,SC2086,SC2231,SC2317
# systemd-in-ns.sh - run COMMAND under a throw-away real systemd (PID 1).
#
#   systemd-in-ns.sh [OPTION]... [--] COMMAND [ARG]...
#     -b PATH   bind PATH read-write from the host (else the host is copy-on-write)
#     -r PATH   bind PATH read-only (needed for things under /tmp, /var/tmp, /run, /dev
#               or on a filesystem other than the root one)
#     -u DIR    copy DIR/. into /etc/systemd/system before boot
#     -k UNIT   also take UNIT from the host's /lib/systemd/system (default: see KEEP)
#     -d NODE   also create device node /dev/NODE (default: null zero full random
#               urandom tty kvm net/tun)
#     -g        on exit stop units in order (halt, at most 60 s), then kill; default: kill at once
#     -J FILE   on exit write the whole journal to FILE on the host (journalctl -o export)
#     -v        print timings on stderr
#   Exit status: COMMAND's; 137 if its PID 1 died first; 125 if boot failed.
#   Needs: root, util-linux, systemd 252 or so, kernel with overlayfs and cgroup2 (5.14: cgroup.kill).
#
# Safety: nothing of the host is writable inside except -b paths. / is an overlay with a
# tmpfs upper, entered by pivot_root; /tmp /var/tmp /run /dev /dev/shm are private tmpfs;
# /sys and /proc/sys (but net) read-only; own pid, mount, ipc, uts, net, cgroup namespaces;
# no CAP_SYS_TIME/MODULE/RAWIO/BOOT/MKNOD/SYSLOG..., no /dev/kmsg, no disks, no watchdog.
set -u
STAGE=${SDNS_STAGE:-/mnt}               # any existing directory; only a mount point, in our own ns
SIZE=${SDNS_TMPFS:-2g}
BOOT_TIMEOUT=${SDNS_BOOT_TIMEOUT:-20}
KEEP='basic.target sysinit.target multi-user.target graphical.target sockets.target
 paths.target timers.target slices.target swap.target local-fs-pre.target local-fs.target
 remote-fs-pre.target remote-fs.target network-pre.target network.target
 network-online.target nss-lookup.target nss-user-lookup.target time-set.target
 time-sync.target rpcbind.target cryptsetup.target machines.target machine.slice user.slice
 shutdown.target umount.target final.target exit.target systemd-exit.service halt.target
 systemd-halt.service poweroff.target systemd-poweroff.service reboot.target
 systemd-reboot.service systemd-journald.service systemd-journald.socket
 systemd-journald-dev-log.socket systemd-journald@.service systemd-journald@.socket
 dbus.service dbus.socket systemd-logind.service dbus-org.freedesktop.login1.service
 systemd-machined.service dbus-org.freedesktop.machine1.service systemd-user-sessions.service
 user@.service user@.service.d user-runtime-dir@.service user-.slice.d'
NODES='null zero full random urandom tty kvm net/tun'
# not for anyone inside: clock, modules, raw I/O, reboot/kexec, new device nodes, kernel log,
# kernel audit, LSM policy, suspend
DROP=-sys_time,-sys_module,-sys_rawio,-sys_boot,-mknod,-syslog,-audit_control,-audit_read
DROP=$DROP,-mac_admin,-mac_override,-wake_alarm,-block_suspend,-linux_immutable

die() { echo "systemd-in-ns: $*" >&2; exit 125; }

#---------------------------------------------------------------- inside, before systemd
inner() {
    exec 2>&3 3>&-
    set -e
    trap 'echo "systemd-in-ns: set-up failed at line $LINENO" >&2' ERR
    local pid rest R=$STAGE/root H=/mnt p n maj min mode i mid
    read -r pid rest </proc/self/stat           # our pid as the host sees it
    [ $$ = 1 ] || die "not PID 1"
    # -n everywhere: never write the host's /etc/mtab or /run/mount/utab
    mount -n --make-rprivate /
    mount -n -t tmpfs -o "mode=755,size=$SIZE" sdns "$STAGE"
    mkdir "$R" "$STAGE/upper" "$STAGE/work"
    # /proc, /sys, /dev and every other mount of the host are not part of the lower layer
    mount -n -t overlay -o "lowerdir=/,upperdir=$STAGE/upper,workdir=$STAGE/work" sdns-root "$R"
    mkdir -p "$R$H"
    cd "$R"
    pivot_root . ".$H"
    cd /
    # From here on only $H leads to the host; absolute symlinks resolve in the overlay.
    [ "$(stat -f -c %T /)" = overlayfs ] || die "guard: / is not the overlay"
    mount -n -t proc -o nosuid,nodev,noexec proc /proc
    mount -n -t tmpfs -o mode=755,nosuid,nodev,size=256m tmpfs /run
    mkdir -m 755 /run/sdns /run/lock
    local lib=/usr/lib/systemd t=nosuid,nodev,X-mount.mkdir
    [ -d $lib/system ] || lib=/lib/systemd
    {   # one mount(8) for all; the last ones hide the host's units, generators and state
        for p in /tmp /var/tmp; do echo "tmpfs $p tmpfs mode=1777,nosuid,nodev,size=$SIZE"; done
        echo "tmpfs /dev tmpfs mode=755,nosuid,size=4m"
        echo "devpts /dev/pts devpts newinstance,nosuid,noexec,ptmxmode=0666,mode=620,gid=5,X-mount.mkdir"
        echo "tmpfs /dev/shm tmpfs mode=1777,$t,size=$SIZE"
        echo "mqueue /dev/mqueue mqueue noexec,$t"
        for p in /var/log/journal /var/lib/systemd /var/lib/machines /etc/systemd/system $lib/system \
                 $lib/system-generators $lib/user-generators $lib/system-environment-generators \
                 $lib/system-shutdown /usr/local/lib/systemd; do
            [ ! -d $p ] || echo "tmpfs $p tmpfs mode=755,nosuid,nodev,size=64m"
        done
    } >/run/sdns/fstab
    mount -n -a -T /run/sdns/fstab

    # /dev: fresh nodes on a tmpfs, so that not even chmod reaches the host's
    set --
    for n in $NODES; do [ ! -c "$H/dev/$n" ] || set -- "$@" "$n"; done
    while read -r maj min mode p n; do      # (there is no /dev/null and no /dev/fd yet)
        [[ $n != */* ]] || mkdir -p "/dev/${n%/*}"
        mknod -m "$mode" "/dev/$n" c $((16#$maj)) $((16#$min))
        [ "$p" = 0:0 ] || chown "$p" "/dev/$n"
    done <<<"$(cd $H/dev && stat -L -c '%t %T %a %u:%g %n' "$@")"
    ln -s pts/ptmx /dev/ptmx
    ln -s /proc/self/fd /dev/fd
    for n in 0:stdin 1:stdout 2:stderr; do ln -s "/proc/self/fd/${n%%:*}" "/dev/${n#*:}"; done

    # what the caller shares with us
    for ((i = 0; i < ${#BINDS[@]}; i++)); do
        p=${BINDS[i]#??}
        if [ -d "$H$p" ]; then mkdir -p "$p"; else mkdir -p "${p%/*}"; [ -e "$p" ] || : >"$p"; fi
        if [ "${BINDS[i]:0:1}" = b ]; then mount -n --rbind "$H$p" "$p"
        else mount -n -o bind,ro "$H$p" "$p"; fi
    done
    mount -n -o remount,bind,ro "$H"            # belt and braces, until it is gone

    # sysctls read-only, but for this network namespace's
    for p in sys sysrq-trigger irq bus fs acpi scsi; do
        [ -e /proc/$p ] || continue
        mount -n -o bind,ro,nosuid,nodev,noexec /proc/$p /proc/$p
    done
    mount -n -o bind,rw,nosuid,nodev,noexec /proc/sys/net /proc/sys/net
    read -r mid </proc/sys/kernel/random/uuid
    read -r p </proc/sys/kernel/random/uuid     # a boot id of our own, for journalctl -b
    echo "$p" >/run/sdns/boot_id
    mount -n --bind /run/sdns/boot_id /proc/sys/kernel/random/boot_id

    # /sys: this network namespace's, read-only; only our cgroup subtree is writable
    mount -n -t sysfs -o ro,nosuid,nodev,noexec sysfs /sys
    mount -n -t cgroup2 -o nosuid,nodev,noexec cgroup2 /sys/fs/cgroup

    # units: nothing but a white list
    cd $H$lib/system
    set --
    for n in $KEEP; do [ ! -e "$n" ] || set -- "$@" "$n"; done
    cp -a -- "$@" $lib/system
    cd $lib/system
    mkdir sockets.target.wants sysinit.target.wants /etc/systemd/{journald,system}.conf.d
    ln -s ../systemd-journald.socket ../systemd-journald-dev-log.socket ../dbus.socket sockets.target.wants
    ln -s ../systemd-journald.service sysinit.target.wants
    echo "[Unit]
Description=systemd-in-ns is up
Requires=multi-user.target
After=multi-user.target
Wants=sdns-ready.service" >sdns.target
    ln -s sdns.target default.target
    echo "[Unit]
Description=Tell the host that boot is over
After=multi-user.target
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh -c 'echo up >/run/sdns/ready'" >sdns-ready.service
    echo "[Journal]
Storage=volatile
Audit=no
ReadKMsg=no
RateLimitIntervalSec=0
ForwardToSyslog=no
ForwardToKMsg=no
ForwardToConsole=no
ForwardToWall=no" >/etc/systemd/journald.conf.d/zz-sdns.conf
    echo "[Manager]
ShowStatus=no
CrashShell=no
RuntimeWatchdogSec=0
RebootWatchdogSec=0" >/etc/systemd/system.conf.d/zz-sdns.conf
    rm -f /etc/machine-id /etc/hostname /etc/fstab /var/lib/dbus/machine-id
    echo "${mid//-/}" >/etc/machine-id
    echo sdns >/etc/hostname
    : >/etc/fstab
    [ -z "$UNITS" ] || cp -a --no-preserve=ownership "$H$UNITS/." /etc/systemd/system/
    mkfifo -m 600 /run/sdns/ready
    cd /
    umount -n -l $H                     # the host's tree is gone
    mount -n --make-rshared /           # as on a real system (LoadCredential= needs it); no peer outside

    # last guard: never start systemd on anything but this
    ! grep -q " ${H}[ /]" /proc/self/mountinfo && [ ! -w /proc/sys/kernel/core_pattern ] && [ ! -w /sys/kernel ] &&
        [ ! -e /dev/kmsg ] && [ "$(stat -f -c %T / /tmp /var/tmp /run /dev | tr '\n' ' ')" = \
        "overlayfs tmpfs tmpfs tmpfs tmpfs " ] || die "guard: this is not the private root"
    echo "$pid"
    exec setpriv --bounding-set "$DROP" --inh-caps=-all -- \
        env -i container=sdns PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
        LANG=C.UTF-8 TERM=dumb \
        /lib/systemd/systemd --system </dev/null >/dev/null 2>&1
}

#---------------------------------------------------------------- outside
BINDS=() UNITS='' GRACE='' JOURNAL='' VERBOSE=''
if [ "${1-}" = --inner ]; then
    shift
    UNITS=$1 KEEP=$2 NODES=$3; shift 3
    BINDS=("$@")
    inner
    exit 125
fi
while getopts +:b:r:u:k:d:gJ:v o; do
    case $o in
    b|r) p=$(realpath -e -- "$OPTARG") || exit 125; BINDS+=("$o:$p") ;;
    u) UNITS=$(realpath -e -- "$OPTARG") || exit 125 ;;
    k) KEEP+=" $OPTARG" ;;
    d) NODES+=" $OPTARG" ;;
    g) GRACE=60 ;;
    J) JOURNAL=$OPTARG ;;
    v) VERBOSE=1 ;;
    *) die "usage: ${0##*/} [-b PATH] [-r PATH] [-u DIR] [-k UNIT] [-d NODE] [-g] [-J FILE] [-v] [--] COMMAND..." ;;
    esac
done
shift $((OPTIND - 1))
[ $# -gt 0 ] || die "no command"
[ "$(id -u)" = 0 ] || die "must be root"
[ -e /proc/$$/fd/0 ] || exec </dev/null
FDS=" $(cd /proc/$$/fd && echo *) "
exec {ERR}>&2 {IN}<&0
T0=${EPOCHREALTIME/[.,]/}
say() { [ -z "$VERBOSE" ] || echo "systemd-in-ns: $(( (${EPOCHREALTIME/[.,]/} - T0) / 1000 )) ms: $*" >&$ERR; }

# a cgroup of our own below our own cgroup, so that nothing is left in the host's tree
CGMNT=$(awk '{for (i=7; i<=NF; i++) if ($i == "-") {if ($(i+1) == "cgroup2") {print $5; exit}; break}}' /proc/self/mountinfo)
[ -n "$CGMNT" ] || die "no cgroup2 mount"
MYCG=$CGMNT$(sed -n 's/^0:://p' /proc/self/cgroup); MYCG=${MYCG%/}
for c in "$MYCG"/sdns.*; do             # left by a run that was SIGKILLed
    [ -d "$c" ] && [ ! -d "/proc/${c##*.}" ] && grep -q '^populated 0' "$c/cgroup.events" &&
        find "$c" -depth -type d -exec rmdir {} + 2>/dev/null
done
CG=$MYCG/sdns.$$
mkdir "$CG" "$CG/payload" || die "cannot make $CG"

NS=0 PID1=0 CMD=0
ours() { grep -qs "^0::.*/${CG##*/}/payload" "/proc/$PID1/cgroup"; }     # PID1 not reused by another
cleanup() {
    trap '' INT TERM HUP
    local i
    if ours && [ -n "$JOURNAL" ]; then
        ( enter journalctl -q --no-pager -o export ) >"$JOURNAL" 2>/dev/null
    fi
    if ours && [ -n "$GRACE" ]; then
        kill -s RTMIN+3 "$PID1" 2>/dev/null     # start halt.target
        timeout "$GRACE" tail -s .02 --pid="$PID1" -f /dev/null
    fi
    # The kernel kills a pid namespace with its init. The bash that waits for COMMAND is left to
    # reap it: were it killed too, the host's init would have to, and some do that late.
    if ours; then kill -KILL "$PID1"; else echo 1 >"$CG/cgroup.kill"; fi 2>/dev/null
    [ "$CMD" = 0 ] || { wait "$CMD"; } 2>/dev/null
    [ "$NS" = 0 ] || { wait "$NS"; } 2>/dev/null
    echo 1 >"$CG/cgroup.kill" 2>/dev/null       # nothing should be left
    for ((i = 0; i < 200; i++)); do
        find "$CG" -depth -type d -exec rmdir {} + 2>/dev/null && break
        [ -d "$CG" ] || break
        sleep .01
    done
    say "torn down"
}
trap cleanup EXIT
trap 'exit 129' HUP; trap 'exit 130' INT; trap 'exit 143' TERM

# enter COMMAND...: turn this (sub)shell into COMMAND inside, under PID 1's capability limits
enter() {
    echo $BASHPID >"$CG/payload/sdns-enter/cgroup.procs"
    local f
    exec <&$IN
    for f in /proc/$BASHPID/fd/*; do        # leak none of our own descriptors
        [[ $FDS == *" ${f##*/} "* ]] || eval "exec ${f##*/}<&-"
    done
    # -F: the bash that waits for COMMAND stays outside the pid namespace. A forking nsenter(1)
    # would stop itself for good when systemd-shutdown stops COMMAND, and PID 1 could not go.
    exec setpriv --bounding-set "$DROP" --inh-caps=-all -- \
        nsenter -F -t "$PID1" -m -u -i -n -p -C -- \
        "$BASH" -c 'cd "$0" 2>/dev/null || cd /; "$@" <&0 & { wait $!; } 2>/dev/null' "$PWD" \
        env --default-signal=INT,QUIT -u NOTIFY_SOCKET -u LISTEN_FDS -u LISTEN_PID -u LISTEN_FDNAMES \
            -u INVOCATION_ID -u JOURNAL_STREAM -u XDG_RUNTIME_DIR -u DBUS_SESSION_BUS_ADDRESS \
            -u MAINPID -u WATCHDOG_PID -u WATCHDOG_USEC -u TMPDIR container=sdns "$@"
}

# if this shell dies, so does unshare(1) (pdeathsig), so does PID 1 (--kill-child), so does all inside
exec {RD}< <(
    echo $BASHPID >"$CG/payload/cgroup.procs" || exit
    exec setpriv --pdeathsig KILL -- \
        unshare -m -p -i -u -n -C -f --kill-child --propagation private -- \
        "$BASH" "$(realpath "$0")" --inner "$UNITS" "$KEEP" "$NODES" ${BINDS[@]+"${BINDS[@]}"} \
        </dev/null 3>&2 2>/dev/null     # it complains when its child is killed
)
NS=$!
read -r -t "$BOOT_TIMEOUT" -u "$RD" PID1 || { PID1=0; die "set-up failed (unshare(1) refused?)"; }
echo "$NS" >"$MYCG/cgroup.procs"        # unshare(1) itself must not sit in systemd's root cgroup
say "systemd started, PID $PID1"
exec {FD}<>"/proc/$PID1/root/run/sdns/ready" || die "systemd died"
up=
for ((i = 0; i < BOOT_TIMEOUT * 5; i++)); do
    read -r -t .2 -u "$FD" up && break
    ours || die "systemd died while booting"
done
exec {FD}>&-
mkdir "$CG/payload/sdns-enter"
[ "$up" = up ] || { ( enter systemctl --no-pager list-jobs ) >&2; die "not booted in $BOOT_TIMEOUT s"; }
say "booted"
enter systemd-run -q --scope --collect --unit=sdns-command --description="systemd-in-ns command" -- "$@" &
CMD=$!
{ wait "$CMD"; rc=$?; } 2>/dev/null     # bash would tell of a signal
CMD=0
say "command exit status $rc"
exit "$rc"
