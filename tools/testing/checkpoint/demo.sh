#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# The demonstration, run as root in the guest: a Redis server is checkpointed
# while a client writes to it, killed, and restarted from the image; then it is
# looked for every single write. It ends with a report, and fails if anything
# that was verified is not as it should be. No time is ever verified.
#
# RESULTS: directory that the report is copied to.
set -u

port=6379
runs=5
dir=$(mktemp -d /tmp/demo.XXXXXX)
failures=0
redis=
client=

say() { printf '%s\n' "== $*"; }

# check WHAT EXPECTED SEEN
check() {
	if [ "$2" = "$3" ]; then
		echo "  ok: $1"
	else
		echo "  FAILED: $1: expected $2, seen $3"
		failures=$((failures + 1))
	fi
}

die() {
	echo "demo: $*" >&2
	[ -s "$dir/redis.log" ] && tail -n 20 "$dir/redis.log" >&2
	exit 1
}

cleanup() {
	[ -n "$client" ] && kill "$client" 2>/dev/null
	[ -n "$redis" ] && kill -9 "$redis" 2>/dev/null
	wait 2>/dev/null
	rm -rf "$dir"
}
trap cleanup EXIT

cli() { timeout 120 redis-cli -p $port "$@"; }

# number KEY FILE: the value of a "key: value" line that ckpt -v printed
number() { sed -n "s/^$1: *//p" "$2"; }

# Of numbers on standard input: "median min max".
median() { sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)], v[1], v[NR] }'; }

ms() { awk -v ns="$1" 'BEGIN { printf "%.2f", ns / 1e6 }'; }

# "median (min - max)" in ms, of nanoseconds on standard input.
spread() { median | awk '{ printf "%.2f ms (%.2f - %.2f)", $1 / 1e6, $2 / 1e6, $3 / 1e6 }'; }

start_redis() {
	cd "$dir" || exit 1
	setsid redis-server --port $port --save "" --appendonly no --protected-mode no \
		--daemonize no --dir "$dir" --enable-debug-command yes \
		</dev/null >"$dir/redis.log" 2>&1 &
	redis=$!
	cd / || exit 1
	for _ in $(seq 300); do
		[ "$(cli ping 2>/dev/null)" = PONG ] && return
		sleep 0.1
	done
	die "redis-server does not answer"
}

# load KEYS PREFIX COMMAND: COMMAND is Lua that makes key k from number i
load() {
	local from

	for ((from = 1; from <= $1; from += 10000)); do
		cli eval "for i = $from, $((from + 9999)) do local k = '$2:' .. i; $3 end" 0 \
			>/dev/null || die "loading keys failed"
	done
}

load_keys() {
	load 120000 str "redis.call('SET', k, string.rep(tostring(i), 12))"
	load 30000 hash "redis.call('HSET', k, 'a', i, 'b', i * 2, 'c', 'text ' .. i)"
	load 20000 list "redis.call('RPUSH', k, i, i + 1, i + 2, 'four', string.rep('x', i % 50))"
	load 20000 set "redis.call('SADD', k, i, i + 7, 'member', 'other' .. i)"
	load 20000 zset "redis.call('ZADD', k, i, 'one', i * 0.5, 'two', -i, 'three')"
}

# A checksum over a digest of every key that was loaded.
digest() {
	local kind count

	while read -r kind count; do
		seq -f "$kind:%.0f" "$count" | xargs -n 2000 echo DEBUG DIGEST-VALUE
	done <<-END | cli | sha1sum
		str 120000
		hash 30000
		list 20000
		set 20000
		zset 20000
	END
}

# How many of the client's keys $1 .. $2 are there with the value they should have?
count_keys() {
	cli eval "local n = 0; for i = ARGV[1], ARGV[2] do
		if redis.call('GET', 'k:' .. string.format('%d', i)) == string.format('%d', i)
		then n = n + 1 end end; return n" 0 "$1" "$2"
}

fork_times() {
	local i

	for ((i = 0; i < runs; i++)); do
		cli bgsave >/dev/null
		while cli info persistence | grep -q 'rdb_bgsave_in_progress:1'; do
			sleep 0.2
		done
		cli info stats | tr -d '\r' |
			awk -F: '/^latest_fork_usec/ { print $2 * 1000 }'
	done >"$dir/fork"
	rm -f "$dir/dump.rdb"
}

# Frozen times in ns go to $dir/criu; what hindered it to $dir/criu.log.
criu_times() {
	local i log

	: >"$dir/criu"
	if ! command -v criu >/dev/null; then
		echo "criu is not installed here" >"$dir/criu.log"
		return
	fi
	for ((i = 0; i < runs; i++)); do
		mkdir "$dir/criu.d"
		log=$(timeout 120 criu dump --leave-running -t "$redis" -D "$dir/criu.d" \
			--display-stats -o dump.log 2>&1)
		if ! awk '/Frozen time/ { print $3 * 1000; found = 1 } END { exit !found }' \
			<<<"$log" >>"$dir/criu"; then
			(echo "$log"; grep Error "$dir/criu.d/dump.log" 2>/dev/null) |
				tail -n 2 >"$dir/criu.log"
		fi
		rm -rf "$dir/criu.d"
	done
}

# start_client LOG FIRST
start_client() {
	demo_client write $port "$1" "$2" &
	client=$!
}

# checkpoint N: image $dir/N.img, what the kernel reports in $dir/N.ckpt
checkpoint() {
	ckpt checkpoint "$redis" -v -o "$dir/$1.img" >/dev/null 2>"$dir/$1.ckpt" ||
		die "$(tail -n 1 "$dir/$1.ckpt")"
}

kill_redis() {
	kill -9 "$redis"
	wait "$redis" 2>/dev/null
	while kill -0 "$redis" 2>/dev/null; do
		sleep 0.05
	done
}

# restart N: from $dir/N.img
restart() {
	local pid

	pid=$(ckpt restart --conn-reset -v "$dir/$1.img" 2>"$dir/$1.restart") ||
		die "$(tail -n 1 "$dir/$1.restart")"
	check "restored with the pid it had" "$redis" "$pid"
	check "answers after restart" PONG "$(cli ping)"
}

report() {
	local frozen fork criu

	frozen=$(cat "$dir"/[1-$runs].frozen | median)
	fork=$(median <"$dir/fork")
	echo
	echo "Linux $(uname -r), $(nproc) CPUs, $(redis-server --version | cut -d' ' -f1-3)"
	printf '%-44s %s\n' \
		"keys" "$keys" \
		"image" "$(awk -v b="$(stat -c %s "$dir/$runs.img")" 'BEGIN { printf "%.1f MiB", b / 1048576 }')" \
		"frozen, told by the kernel, $runs checkpoints" "$(cat "$dir"/*.frozen | spread)" \
		"longest gap of the client, no checkpoint" "$(ms "$quiet_gap") ms" \
		"longest gap of the client, checkpoint" "$(spread <"$dir/gaps")" \
		"writing the image" "$(cat "$dir"/*.flush | spread)" \
		"restart" "$(ms $(($(number call_end_ns "$dir/$runs.restart") - $(number call_start_ns "$dir/$runs.restart")))) ms" \
		"fork() of the same process" "$(spread <"$dir/fork")"
	if [ -s "$dir/criu" ]; then
		criu=$(median <"$dir/criu")
		printf '%-44s %s\n' "frozen by CRIU $(criu --version | awk 'NR == 1 { print $2 }')" \
			"$(spread <"$dir/criu")"
		awk -v c="${criu%% *}" -v f="${frozen%% *}" \
			'BEGIN { printf "%-44s %.1f\n", "CRIU frozen / ours", c / f }'
	else
		echo "frozen by CRIU: not measured: $(tr '\n' ' ' <"$dir/criu.log")"
	fi
	awk -v k="${fork%% *}" -v f="${frozen%% *}" \
		'BEGIN { printf "%-44s %.2f\n", "ours frozen / fork()", f / k }'
}

say "redis-server on port $port"
start_redis
load_keys
keys=$(cli dbsize)
check "keys loaded" 210000 "$keys"
before=$(digest)

say "what others take for the same process"
fork_times
criu_times
check "Redis is there after that" PONG "$(cli ping)"

say "a client writes; nothing else happens for 5 s"
start_client "$dir/client.log" 1
sleep 1
quiet_from=$(demo_client now)
sleep 5
quiet_to=$(demo_client now)

say "$runs checkpoints while it writes"
for ((i = 1; i <= runs; i++)); do
	checkpoint $i
	number frozen_ns "$dir/$i.ckpt" >"$dir/$i.frozen"
	number flush_ns "$dir/$i.ckpt" >"$dir/$i.flush"
	[ $i -lt $runs ] && rm "$dir/$i.img"
	sleep 1
done
sed 's/^/  /' "$dir/$runs.ckpt"

say "SIGKILL for Redis"
kill_redis
wait $client
client=

call_start=$(number call_start_ns "$dir/$runs.ckpt")
call_end=$(number call_end_ns "$dir/$runs.ckpt")
read -r acked after sent <<<"$(demo_client edges "$dir/client.log" "$call_start" "$call_end")"
quiet_gap=$(demo_client gap "$dir/client.log" "$quiet_from" "$quiet_to")
for ((i = 1; i <= runs; i++)); do
	demo_client gap "$dir/client.log" "$(number call_start_ns "$dir/$i.ckpt")" \
		"$(number call_end_ns "$dir/$i.ckpt")"
done >"$dir/gaps"
echo "  the client sent $sent keys; $acked were acknowledged before checkpoint() was"
echo "  called, key $after is the first that was sent after it returned"
check "the client wrote before, while and after the image was written" yes \
	"$([ "$acked" -gt 0 ] && [ "$after" -gt "$acked" ] && [ "$sent" -gt "$after" ] &&
	   echo yes || echo no)"

say "restart from the image"
restart $runs
check "every write acknowledged before the checkpoint is there" "$acked" \
	"$(count_keys 1 "$acked")"
check "no write sent after it is there" 0 "$(count_keys "$after" "$sent")"
between=$(count_keys $((acked + 1)) $((after - 1)))
check "DBSIZE" $((keys + acked + between)) "$(cli dbsize)"
check "writes while it was called are there in order, or not" "$between" \
	"$(count_keys $((acked + 1)) $((acked + between)))"
check "all loaded keys are the same" "$before" "$(digest)"

say "a new client on the same port"
start_client "$dir/second.log" 10000001
sleep 1
kill $client
wait $client
client=
read -r _ _ sent <<<"$(demo_client edges "$dir/second.log" 0 0)"
check "it wrote" yes "$([ "$sent" -gt 0 ] && echo yes || echo no)"
check "all it wrote is there" "$sent" \
	"$(count_keys 10000001 $((10000000 + sent)))"

say "the restarted Redis is checkpointed, killed and restarted again"
size=$(cli dbsize)
checkpoint again
kill_redis
restart again
check "DBSIZE" "$size" "$(cli dbsize)"
check "all loaded keys are the same" "$before" "$(digest)"
check "it takes writes" OK "$(cli set last 1)"

report | tee "$dir/report"
if [ -n "${RESULTS:-}" ]; then
	cp "$dir/report" "$RESULTS/demo.txt"
fi
echo
if [ $failures != 0 ]; then
	echo "demo: $failures verifications failed"
	exit 1
fi
echo "demo: everything verified"
