#!/usr/bin/env bash
# Private Apache Kafka clusters (KRaft, one to three nodes) below .run/ of the checkout, for demo, tests and benchmarks.
#
#   scripts/broker.sh start NAME [--nodes 1|3] [--heap 384m] [--listen ADDRESS] [--data DIR] [--set key=value ...]
#                                         make it if need be, start it, print the settings for eval
#   scripts/broker.sh env NAME            print the settings of a running cluster
#   scripts/broker.sh stop NAME [NODE]    stop it (or one node) in order, keep the data
#   scripts/broker.sh kill NAME [NODE]    kill -9, keep the data
#   scripts/broker.sh pause|resume NAME [NODE]   SIGSTOP and SIGCONT
#   scripts/broker.sh destroy NAME        stop it and remove it
#
#   eval "$(scripts/broker.sh start demo)" && kcat -b "$KAFKA" -L
#
# --set gives server.properties settings; they are used by the start that names them. --nodes, --listen (an address of this
# machine, 127.0.0.1 if not told) and --data (a directory for the logs, a small disk say, which `destroy` leaves alone) count
# when the cluster is made. `start` on a cluster that lacks a node starts that node again, at its old port. The jars come from
# Maven Central once and stay in .run/kafka/libs.
set -euo pipefail

checkout=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
run_dir=$checkout/.run
libs=$run_dir/kafka/libs
start_timeout_s=90    # a node that replays its log on two busy cores is slow, one that needs longer is broken
stop_timeout_s=30

die() {
    echo "broker.sh: $*" >&2
    exit 1
}

usage() {
    sed -n '2,/^set -euo/{/^#/!d;s/^# \{0,1\}//;p}' "$0" >&2
    exit 2
}

# Java and Maven from Debian, Kafka from Maven Central; each only when missing.
provide_kafka() {
    local missing=()
    command -v java >/dev/null || missing+=(default-jre-headless)
    [ -f "$libs/complete" ] || command -v mvn >/dev/null || missing+=(maven)
    if [ ${#missing[@]} -gt 0 ]; then
        "$checkout/scripts/as_root.sh" apt-get update -q >&2
        "$checkout/scripts/as_root.sh" env DEBIAN_FRONTEND=noninteractive \
            apt-get install -q -y --no-install-recommends "${missing[@]}" >&2
    fi
    if [ -f "$libs/complete" ] && [ "$libs/complete" -nt "$checkout/scripts/kafka/pom.xml" ]; then return; fi
    mkdir -p "$run_dir/kafka"
    (
        exec 8>"$run_dir/kafka/lock"
        flock 8
        [ -f "$libs/complete" ] && [ "$libs/complete" -nt "$checkout/scripts/kafka/pom.xml" ] && exit
        rm -rf "$libs"
        mvn -q -B -Dstyle.color=never -f "$checkout/scripts/kafka/pom.xml" dependency:copy-dependencies \
            -DoutputDirectory="$libs" -DincludeScope=runtime >&2
        touch "$libs/complete"
    ) || die "Kafka could not be fetched"
}

port_is_free() {
    ! (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

# Below the kernel's range for outgoing connections.
pick_port() {
    local port
    while :; do
        port=$((20000 + RANDOM % 12000))
        if port_is_free "$port"; then
            echo "$port"
            return
        fi
    done
}

# True when the node's process is the one we started: after a reboot another may have its number.
running() {
    local pid
    pid=$(cat "$home/$1/pid" 2>/dev/null) || return 1
    [ -n "$pid" ] && grep -qsF "$home/$1/server.properties" "/proc/$pid/cmdline"
}

each_node() {
    seq 1 "$(cat "$home/nodes")"
}

addresses() {
    local node list=
    for node in $(each_node); do list+=${list:+,}$(cat "$home/address"):$(cat "$home/$node/port"); done
    echo "$list"
}

print_env() {
    local node
    for node in $(each_node); do
        running "$node" && break
    done || die "broker $name is not running; start it with: scripts/broker.sh start $name"
    echo "export KAFKA=$(addresses)"
}

java_run() {
    java -Xms64m "-Xmx$heap" -XX:+UseSerialGC -XX:TieredStopAtLevel="${jit:-4}" \
        -Dlog4j.configuration="file:$checkout/scripts/kafka/log4j.properties" -cp "$libs/*" "$@"
}

create() {
    local node nodes=$1
    rm -rf "$home"
    mkdir -p "$home"
    for node in $(seq 1 "$nodes"); do
        mkdir -p "$home/$node"
        pick_port >"$home/$node/port"
        pick_port >"$home/$node/controller_port"
    done
    jit=1 java_run kafka.tools.StorageTool random-uuid 2>/dev/null >"$home/cluster_id"
    echo "$listen" >"$home/address"
    echo "${data:-$home}" >"$home/data"
    echo "$nodes" >"$home/nodes"
}

data_of() {
    echo "$(cat "$home/data")/$1/data"
}

write_settings() {
    local node=$1 voters= other replicas
    for other in $(each_node); do
        voters+=${voters:+,}$other@127.0.0.1:$(cat "$home/$other/controller_port")
    done
    replicas=$(cat "$home/nodes")
    {
        echo "node.id=$node"
        echo "process.roles=broker,controller"
        echo "controller.quorum.voters=$voters"
        echo "controller.listener.names=CONTROLLER"
        echo "listeners=PLAINTEXT://$(cat "$home/address"):$(cat "$home/$node/port"),CONTROLLER://127.0.0.1:$(cat "$home/$node/controller_port")"
        echo "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT"
        echo "log.dirs=$(data_of "$node")"
        echo "num.partitions=4"
        echo "default.replication.factor=$replicas"
        echo "offsets.topic.replication.factor=$replicas"
        echo "offsets.topic.num.partitions=4"
        echo "transaction.state.log.replication.factor=$replicas"
        echo "transaction.state.log.num.partitions=4"
        echo "transaction.state.log.min.isr=$((replicas / 2 + replicas % 2))"
        echo "min.insync.replicas=$((replicas / 2 + replicas % 2))"
        echo "group.initial.rebalance.delay.ms=0"
        echo "controlled.shutdown.enable=true"
        printf '%s\n' "${settings[@]}"
    } >"$home/$node/server.properties"
}

start_node() {
    local node=$1
    if running "$node"; then return; fi
    write_settings "$node"
    if [ ! -f "$(data_of "$node")/meta.properties" ]; then
        jit=1 java_run kafka.tools.StorageTool format -t "$(cat "$home/cluster_id")" -c "$home/$node/server.properties" \
            >"$home/$node/format.log" 2>&1 || die "cannot format: $(tail -n 3 "$home/$node/format.log")"
    fi
    [ ! -f "$home/$node/log" ] || mv "$home/$node/log" "$home/$node/log.before"
    # Descriptor 9 holds the lock and must not reach the broker. setsid: a Ctrl-C at the caller's terminal is not for it.
    setsid java -Xms64m "-Xmx$heap" -XX:+UseSerialGC \
        -Dlog4j.configuration="file:$checkout/scripts/kafka/log4j.properties" -cp "$libs/*" \
        kafka.Kafka "$home/$node/server.properties" >"$home/$node/log" 2>&1 </dev/null 9>&- &
    echo $! >"$home/$node/pid"
}

# An open port is not enough: a node that is not RUNNING is none that a topic can be placed on.
wait_for_node() {
    local node=$1 deadline=$((SECONDS + start_timeout_s))
    # Not running(): on a busy machine a process that was just started may not be java yet.
    until grep -qs 'from RECOVERY to RUNNING' "$home/$node/log"; do
        kill -0 "$(cat "$home/$node/pid")" 2>/dev/null || die "node $node ended; the end of its log: $(tail -n 20 "$home/$node/log")"
        [ "$SECONDS" -lt "$deadline" ] || die "node $node is not there after $start_timeout_s s; see $home/$node/log"
        sleep 0.1
    done
}

start() {
    local node
    [ -f "$home/nodes" ] || create "$nodes"
    for node in $(each_node); do start_node "$node"; done
    for node in $(each_node); do wait_for_node "$node"; done
}

signal_node() {
    local signal=$1 node=$2
    running "$node" || return 0
    kill "-$signal" "$(cat "$home/$node/pid")"
}

await_end() {
    local node=$1 pid deadline=$((SECONDS + stop_timeout_s))
    pid=$(cat "$home/$node/pid" 2>/dev/null) || return 0
    while running "$node"; do
        # A cluster whose other nodes are gone cannot shut down in order: it waits for a leader that will not come.
        [ "$SECONDS" -lt "$deadline" ] || kill -9 "$pid" 2>/dev/null || true
        sleep 0.1
    done
}

to_nodes() {
    local signal=$1 node
    for node in ${only:-$(each_node)}; do signal_node "$signal" "$node"; done
    case $signal in
    TERM | KILL) for node in ${only:-$(each_node)}; do await_end "$node"; done ;;
    esac
}

destroy() {
    to_nodes KILL
    rm -rf "${home:?}"
}

[ $# -ge 2 ] || usage
command=$1
name=$2
shift 2
[[ $name =~ ^[a-z0-9][a-z0-9_.-]*$ ]] || die "a cluster's name is made of a-z, 0-9, '_', '-', '.': $name"
home=$run_dir/kafka/clusters/$name
nodes=1
heap=384m
listen=127.0.0.1
data=
settings=()
only=
case $command in
start)
    while [ $# -gt 0 ]; do
        case $1 in
        --nodes) nodes=$2 ;;
        --heap) heap=$2 ;;
        --listen) listen=$2 ;;
        --data) data=$2 ;;
        --set) settings+=("$2") ;;
        *) usage ;;
        esac
        shift 2
    done
    provide_kafka
    mkdir -p "$run_dir/kafka/clusters"
    exec 9>"$run_dir/kafka/clusters/$name.lock"
    flock 9
    start
    print_env
    ;;
env | stop | kill | pause | resume | destroy)
    [ -f "$home/nodes" ] || { [ "$command" != env ] && exit 0 || die "there is no broker $name"; }
    only=${1:-}
    case $command in
    env) print_env ;;
    stop) to_nodes TERM ;;
    kill) to_nodes KILL ;;
    pause) to_nodes STOP ;;
    resume) to_nodes CONT ;;
    destroy) destroy ;;
    esac
    ;;
*) usage ;;
esac
