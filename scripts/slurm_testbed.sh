#!/usr/bin/env bash
# A SLURM of four virtual nodes on this machine, without systemd, for the tests.
#
#   scripts/slurm_testbed.sh install     packages (Debian, Ubuntu; needs root)
#   scripts/slurm_testbed.sh start       does nothing where it runs already
#   scripts/slurm_testbed.sh status      exit status 0 when it answers
#   scripts/slurm_testbed.sh stop
#
# It keeps to a folder of its own, $XASHPC_SLURM_TESTBED (default: /var/tmp/xashpc-slurm), and to
# /etc/slurm/slurm.conf, which it never overwrites when somebody else wrote it. Every node claims 4
# cores, whatever the machine has.
set -euo pipefail
folder=${XASHPC_SLURM_TESTBED:-/var/tmp/xashpc-slurm}
mark="# written by slurm_testbed.sh"
nodes=(n1 n2 n3 n4)

install_packages() {
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends slurm-wlm slurm-wlm-basic-plugins slurm-client \
        slurm-wlm-torque munge openmpi-bin
}

require() {
    local program
    for program in munged slurmctld slurmd sinfo; do
        PATH=$PATH:/usr/sbin command -v "$program" >/dev/null || {
            echo "slurm_testbed: no $program; enable with: scripts/slurm_testbed.sh install" >&2
            exit 3
        }
    done
    [ "$(id -u)" = 0 ] || { echo "slurm_testbed: needs root" >&2; exit 3; }
}

require_our_configuration() {
    if [ -e /etc/slurm/slurm.conf ] && ! grep -q "^$mark" /etc/slurm/slurm.conf; then
        echo "slurm_testbed: /etc/slurm/slurm.conf is not ours; this machine has its own SLURM" >&2
        exit 3
    fi
}

write_configuration() {
    local host number=0 name
    host=$(hostname -s)
    mkdir -p "$folder"/{state,spool,log} /etc/slurm
    {
        cat <<CONF
$mark
ClusterName=testbed
SlurmctldHost=$host(127.0.0.1)
SlurmUser=root
AuthType=auth/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SlurmdParameters=config_overrides
ReturnToService=2
JobCompType=jobcomp/filetxt
JobCompLoc=$folder/log/jobs.txt
AccountingStorageType=accounting_storage/none
SchedulerParameters=bf_interval=1,sched_min_interval=100000
KillWait=3
MinJobAge=30
SlurmdTimeout=10
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool/%n
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd-%n.pid
SlurmctldLogFile=$folder/log/slurmctld.log
SlurmdLogFile=$folder/log/slurmd-%n.log
CONF
        for name in "${nodes[@]}"; do
            number=$((number + 1))
            echo "NodeName=$name NodeHostname=$host NodeAddr=127.0.0.1 Port=$((17000 + number))" \
                "CPUs=4 RealMemory=2000 State=UNKNOWN"
        done
        echo "PartitionName=test Nodes=n[1-4] Default=YES MaxTime=INFINITE State=UP"
    } >"$folder/slurm.conf.tmp"
    # Whole or not at all: clients read it at any moment.
    mv "$folder/slurm.conf.tmp" /etc/slurm/slurm.conf
    printf 'CgroupPlugin=cgroup/v1\nCgroupAutomount=no\n' >/etc/slurm/cgroup.conf
}

answers() { timeout 5 sinfo -h >/dev/null 2>&1; }

lives() { [ -e "$1" ] && kill -0 "$(cat "$1")" 2>/dev/null; }

start_munge() {
    munge -n 2>/dev/null | unmunge >/dev/null 2>&1 && return
    [ -s /etc/munge/munge.key ] || (umask 077 && head -c 1024 /dev/urandom >/etc/munge/munge.key)
    chown munge: /etc/munge/munge.key
    chmod 400 /etc/munge/munge.key
    install -d -o munge -g munge -m 755 /run/munge
    install -d -o munge -g munge -m 700 /var/log/munge /var/lib/munge
    runuser -u munge -- munged --force >/dev/null 2>&1 9>&-
}

start() {
    require
    # Two test runs may begin at the same time.
    mkdir -p "$folder"
    exec 9>"$folder/lock"
    flock 9
    require_our_configuration
    write_configuration
    start_munge
    lives "$folder/slurmctld.pid" || slurmctld >/dev/null 2>&1 9>&-
    local name tries=0
    for name in "${nodes[@]}"; do
        mkdir -p "$folder/spool/$name"
        lives "$folder/slurmd-$name.pid" || slurmd -N "$name" >/dev/null 2>&1 9>&-
    done
    until answers && [ "$(sinfo -h -N -o %t | grep -cE 'idle|mix|alloc')" = ${#nodes[@]} ]; do
        tries=$((tries + 1))
        [ "$tries" -lt 60 ] || { echo "slurm_testbed: see $folder/log" >&2; sinfo >&2; exit 1; }
        # Nodes that a test took down, or that were down when the machine stopped.
        [ $((tries % 10)) != 0 ] || for name in "${nodes[@]}"; do
            scontrol update "nodename=$name" state=resume 2>/dev/null || true
        done
        sleep 0.25
    done
}

stop() {
    local pid
    for pid in "$folder"/slurmd-*.pid "$folder"/slurmctld.pid; do
        if lives "$pid"; then kill "$(cat "$pid")"; fi
    done
}

PATH=$PATH:/usr/sbin
case "${1:-}" in
    install) install_packages ;;
    start) start ;;
    stop) stop ;;
    status) answers ;;
    *) sed -n '2,8p' "$0" | cut -c3-; exit 2 ;;
esac
