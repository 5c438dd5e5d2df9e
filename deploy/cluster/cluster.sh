#!/usr/bin/env bash
# A Temporal server as production has it, on one machine: five processes on PostgreSQL, on loopback only.
#
#   cluster.sh up                 start what does not run, and wait until the whole answers
#   cluster.sh down               stop everything; the state stays
#   cluster.sh status             one line a process: its name, and its id or "stopped"
#   cluster.sh kill NAME          kill -9 one process: postgres history1 history2 matching frontend worker
#
# up may be repeated at any time. It needs `temporal`, on PATH or in CLUSTER_BIN, and there `temporal-server` and
# `temporal-sql-tool`: `make cluster` builds them. Variables, with their defaults:
#
#   CLUSTER_HOME=deploy/cluster/.state   state, logs and process ids
#   CLUSTER_BIN=bin                      the programs
#   CLUSTER_PORT=27233                   the frontend; the other processes take the 19 ports above it
#   CLUSTER_PG_PORT=15432                PostgreSQL
#   CLUSTER_PG_BIN=                      PostgreSQL's programs; empty: those on PATH, else Debian's
#   CLUSTER_DYNAMIC_CONFIG=              a dynamic config file; empty: Temporal's own defaults, all limits as in production
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
home=$(realpath -m "${CLUSTER_HOME:-$here/.state}")
bin=${CLUSTER_BIN:-$root/bin}
port=${CLUSTER_PORT:-27233}
pg_port=${CLUSTER_PG_PORT:-15432}
dynamic_config=${CLUSTER_DYNAMIC_CONFIG:-}
cli=$(command -v temporal || echo "$bin/temporal")
# The database listens on loopback, and only the tests' data is in it.
export PGPASSWORD=temporal

# name:service:offset of the gRPC port; the membership port is ten above.
servers=(history1:history:1 history2:history:2 matching:matching:3 frontend:frontend:0 worker:worker:4)

fail() {
	echo "cluster: $*" >&2
	exit 1
}

# --- processes -------------------------------------------------------------------------------------------------

pid_file() { if [ "$1" = postgres ]; then echo "$home/pg/postmaster.pid"; else echo "$home/run/$1.pid"; fi; }

# mark is the part of a process's command line that nobody else has.
mark() { if [ "$1" = postgres ]; then echo "-D $home/pg"; else echo "$home/config/$1.yaml"; fi; }

# pid prints the id of a process that runs. An id alone proves nothing: after a crash it may be another's.
pid() {
	local file id
	file=$(pid_file "$1")
	id=$(head -n 1 "$file" 2>/dev/null) || return 1
	[[ $id =~ ^[0-9]+$ ]] && tr '\0' ' ' 2>/dev/null <"/proc/$id/cmdline" | grep -qF -- "$(mark "$1") " || return 1
	echo "$id"
}

# wait_for repeats a command for as many seconds, and says what it waited for in vain.
wait_for() {
	local seconds=$1 what=$2 deadline
	shift 2
	deadline=$((SECONDS + seconds))
	until "$@"; do
		[ "$SECONDS" -lt "$deadline" ] || fail "waited $seconds s for $what in vain; the logs are in $home/log"
		sleep 0.2
	done
}

gone() { ! pid "$1" >/dev/null; }

listens() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# --- PostgreSQL ------------------------------------------------------------------------------------------------

# PostgreSQL refuses to run as root: root runs it as the user postgres, else as nobody.
pg_user() {
	if [ "$(id -u)" -ne 0 ]; then
		id -un
	elif id postgres >/dev/null 2>&1; then
		echo postgres
	else
		echo nobody
	fi
}

as_pg() { if [ "$(id -u)" -eq 0 ]; then runuser -u "$(pg_user)" -- "$@"; else "$@"; fi; }

find_pg() {
	local candidate
	for candidate in "${CLUSTER_PG_BIN:-}" "$(dirname "$(readlink -f "$(command -v initdb || echo /)")")" \
		"$(find /usr/lib/postgresql -path '*/bin' -type d 2>/dev/null | sort -V | tail -n 1)"; do
		if [ -x "$candidate/initdb" ] && [ -x "$candidate/psql" ]; then
			echo "$candidate"
			return
		fi
	done
	return 1
}

# require_pg sets pg_bin, the directory of PostgreSQL's programs. On Debian, root installs what is missing.
require_pg() {
	if ! pg_bin=$(find_pg); then
		if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
			fail "there is no PostgreSQL: apt-get install postgresql, or name its programs' directory in CLUSTER_PG_BIN"
		fi
		echo "cluster: installing Debian's PostgreSQL" >&2
		{ apt-get -q update && DEBIAN_FRONTEND=noninteractive apt-get -qy install --no-install-recommends postgresql; } >&2 ||
			fail "PostgreSQL was not installed: apt-get update && apt-get install postgresql"
		pg_bin=$(find_pg) || fail "PostgreSQL is installed, but not below /usr/lib/postgresql: set CLUSTER_PG_BIN"
	fi
}

init_pg() {
	[ ! -s "$home/pg/PG_VERSION" ] || return 0
	local password
	install -d -m 700 "$home/pg"
	password=$(mktemp)
	echo "$PGPASSWORD" >"$password"
	if [ "$(id -u)" -eq 0 ]; then chown "$(pg_user)" "$home/pg" "$password"; fi
	as_pg test -w "$home/pg" ||
		fail "the user $(pg_user) cannot reach $home: set CLUSTER_HOME to a directory that it can, such as /var/tmp/cluster"
	as_pg "$pg_bin/initdb" -D "$home/pg" -U temporal --pwfile="$password" -A scram-sha-256 -E UTF8 --locale=C.UTF-8 \
		>"$home/log/initdb.log"
	rm -f "$password"
}

# The settings are arguments, so that another port needs no other database. 300 connections: each of the five
# processes takes up to 30.
start_pg() {
	# After kill -9 the children of the former one may still hold its memory for a moment.
	as_pg setsid "$pg_bin/pg_ctl" -D "$home/pg" -l "$home/pg/server.log" -w -t 60 -o "-c listen_addresses=127.0.0.1 \
-c port=$pg_port -c unix_socket_directories='' -c max_connections=300 -c shared_buffers=512MB -c max_wal_size=4GB" \
		start >/dev/null 2>&1 </dev/null 9>&-
}

sql() {
	"$pg_bin/psql" -h 127.0.0.1 -p "$pg_port" -U temporal -v ON_ERROR_STOP=1 -qAt "$@"
}

# schema makes a database and brings its tables to the server's version. Each step is done only where it is missing.
schema() {
	local database=$1 tables=$2 tool
	tool=("$bin/temporal-sql-tool" --plugin postgres12_pgx --endpoint 127.0.0.1 --port "$pg_port"
		--user temporal --password "$PGPASSWORD" --database "$database")
	if [ -z "$(sql -d postgres -c "select 1 from pg_database where datname = '$database'")" ]; then
		"${tool[@]}" create-database
	fi
	if [ "$(sql -d "$database" -c "select to_regclass('public.schema_version') is null")" = t ]; then
		"${tool[@]}" setup-schema -v 0.0
	fi
	"${tool[@]}" update-schema --schema-name "postgresql/v12/$tables"
}

up_pg() {
	require_pg
	init_pg
	if ! pid postgres >/dev/null; then
		! listens "$pg_port" || fail "port $pg_port is in use: set CLUSTER_PG_PORT to a free one"
		wait_for 60 "PostgreSQL" start_pg
	fi
	{
		schema temporal temporal
		schema temporal_visibility visibility
	} >"$home/log/schema.log" 2>&1 || fail "the tables were not made: see $home/log/schema.log"
}

# --- Temporal --------------------------------------------------------------------------------------------------

store() {
	echo "{sql: {pluginName: postgres12_pgx, databaseName: $1, connectAddr: \"127.0.0.1:$pg_port\", connectProtocol: tcp," \
		"user: temporal, password: $PGPASSWORD, maxConns: $2, maxIdleConns: $2, maxConnLifetime: 1h}}"
}

# services lists all four, since each process finds the others by it; the ports of its own service are the process's.
services() {
	local server name service offset
	for server in history1:history:1 matching:matching:3 frontend:frontend:0 worker:worker:4; do
		IFS=: read -r name service offset <<<"$server"
		if [ "$service" = "$1" ]; then offset=$2; fi
		echo "  $service: {rpc: {grpcPort: $((port + offset)), membershipPort: $((port + 10 + offset)), bindOnLocalHost: true}}"
	done
}

configure() {
	local name=$1 service=$2 offset=$3
	cat >"$home/config/$name.yaml" <<YAML
log: {stdout: true, level: warn}
persistence:
  defaultStore: default
  visibilityStore: visibility
  numHistoryShards: 64
  datastores:
    default: $(store temporal 20)
    visibility: $(store temporal_visibility 10)
global:
  membership: {maxJoinDuration: 30s, broadcastAddress: "127.0.0.1"}
services:
$(services "$service" "$offset")
clusterMetadata:
  enableGlobalNamespace: false
  failoverVersionIncrement: 10
  masterClusterName: active
  currentClusterName: active
  clusterInformation:
    active: {enabled: true, initialFailoverVersion: 1, rpcName: frontend, rpcAddress: "127.0.0.1:$port"}
dcRedirectionPolicy: {policy: noop}
publicClient: {hostPort: "127.0.0.1:$port"}
dynamicConfigClient: {filepath: "$home/config/dynamic.yaml", pollInterval: 10s}
YAML
}

# configure_limits hands the dynamic config over. Servers that run read it anew every ten seconds.
configure_limits() {
	local file=$home/config/dynamic.yaml
	if [ -n "$dynamic_config" ]; then cat "$dynamic_config"; else echo "{}"; fi >"$file.new"
	if ! cmp -s "$file.new" "$file"; then
		mv "$file.new" "$file"
		gone frontend || sleep 11
	fi
	rm -f "$file.new"
}

start_server() {
	local name=$1 service=$2 offset=$3
	if ! pid "$name" >/dev/null; then
		! listens $((port + offset)) || fail "port $((port + offset)) is in use: set CLUSTER_PORT, of 20 free ports the first"
		configure "$name" "$service" "$offset"
		TEMPORAL_VERSION_CHECK_DISABLED=1 setsid "$bin/temporal-server" --config-file "$home/config/$name.yaml" \
			--allow-no-auth start --service="$service" </dev/null >>"$home/log/$name.log" 2>&1 9>&- &
		echo $! >"$home/run/$name.pid"
	fi
	[ "$service" = worker ] || wait_for 60 "$name to listen on port $((port + offset))" listens $((port + offset))
}

temporal() { "$cli" --address "127.0.0.1:$port" "$@"; }

has_namespace() {
	temporal operator namespace describe -n default >/dev/null 2>&1 && return
	temporal operator namespace create -n default --retention 24h >/dev/null 2>&1 || true
	return 1
}

# answers asks for workflows that do not exist. Their IDs ask both history hosts: 12 answers in a row are one from each
# (all but once in 2,000 times).
answers() {
	local i answer
	for i in {1..12}; do
		answer=$(temporal workflow describe -n default -w "nothing-$RANDOM-$i" 2>&1) || true
		[[ $answer == *"workflow not found"* ]] || return 1
	done
}

# --- commands --------------------------------------------------------------------------------------------------

require_programs() {
	local program
	for program in "$cli" "$bin/temporal-server" "$bin/temporal-sql-tool"; do
		[ -x "$program" ] || fail "there is no $program: run \`make cluster\`, which builds it"
	done
}

up() {
	local server name service offset
	require_programs
	up_pg
	configure_limits
	# One after the other: on an empty database two that start together both write the cluster's metadata, and one dies.
	for server in "${servers[@]}"; do
		IFS=: read -r name service offset <<<"$server"
		start_server "$name" "$service" "$offset"
	done
	wait_for 120 "the namespace default" has_namespace
	wait_for 120 "both history hosts" answers
	status
}

stop() {
	local id
	id=$(pid "$1") || return 0
	kill -TERM "$id"
	for _ in {1..150}; do
		! gone "$1" || return 0
		sleep 0.1
	done
	kill -KILL "$id"
}

down() {
	local name
	for name in worker frontend matching history2 history1; do
		stop "$name"
		rm -f "$(pid_file "$name")"
	done
	# SIGINT is PostgreSQL's fast shutdown; it waits for nobody's connection.
	if id=$(pid postgres); then
		kill -INT "$id"
		wait_for 60 "PostgreSQL to stop" gone postgres
	fi
}

status() {
	local name id
	for name in postgres history1 history2 matching frontend worker; do
		id=$(pid "$name") && echo "$name $id" || echo "$name stopped"
	done
	echo "address 127.0.0.1:$port"
}

kill_one() {
	local id
	id=$(pid "$1") || fail "$1 does not run: $(status | tr '\n' ' ')"
	kill -KILL "$id"
	wait_for 30 "$1 to end" gone "$1"
}

# locked lets one caller at a time change the cluster. What is started must not keep the lock: 9>&- closes it there.
locked() {
	mkdir -p "$home"/{config,log,run}
	exec 9>"$home/lock"
	flock 9
	"$@"
}

case "${1:-}" in
up | down) locked "$1" ;;
status) status ;;
kill) locked kill_one "${2:?which process}" ;;
*) fail "say up, down, status or kill NAME" ;;
esac
