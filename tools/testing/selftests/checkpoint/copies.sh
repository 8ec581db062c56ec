#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Fifty copies of one Redis side by side, from one checkpoint that is kept in the
# kernel: each has its pid and its port, in namespaces of its own, and they share
# the memory that none of them has changed.
set -u

. "$(dirname "$0")/tap.bash"

copies=50
keys=20000
port=6399
dir=$(mktemp -d)
redis=
crid=
pids=()

cleanup() {
	kill -9 $redis "${pids[@]}" 2>/dev/null
	[ -n "$crid" ] && ckpt discard "$crid"
	rm -rf "$dir"
}

# cli PID: commands on standard input, to the one that listens in the network of PID
cli() {
	nsenter -n -t "$1" redis-cli -p $port
}

start_redis() {
	(cd "$dir" && exec setsid redis-server --port $port --hz 1 --save "" --appendonly no \
		</dev/null >"$dir/redis.log" 2>&1) &
	redis=$!
	# The shell need not tell that it was killed.
	disown $redis
	for _ in $(seq 200); do
		[ "$(redis-cli -p $port ping 2>/dev/null)" = PONG ] && return
		sleep 0.1
	done
	die "redis-server does not answer: $(tail -n 1 "$dir/redis.log")"
}

# Every 200th value, and the number of keys.
questions="mget$(printf ' key:%d' $(seq 1 200 $keys))
dbsize"

# restart_all: all at the same time; their pids go to the array
restart_all() {
	local i bad=0 jobs=()

	for ((i = 0; i < copies; i++)); do
		ckpt restart --id "$crid" --pidns --netns --conn-reset \
			>"$dir/pid.$i" 2>"$dir/error.$i" &
		jobs+=($!)
	done
	wait "${jobs[@]}"
	for ((i = 0; i < copies; i++)); do
		if [ -s "$dir/pid.$i" ]; then
			pids+=("$(<"$dir/pid.$i")")
		else
			echo "# copy $i: $(<"$dir/error.$i")"
			bad=1
		fi
	done
	return $bad
}

# Inside, each has the pid that the original has.
same_pid() {
	local pid key numbers inside bad=0

	for pid in "${pids[@]}"; do
		inside=
		while read -r key numbers; do
			[ "$key" = NSpid: ] && inside=${numbers##*[[:space:]]}
		done <"/proc/$pid/status"
		[ "$inside" = "$redis" ] && continue
		echo "# pid $pid: is pid $inside inside"
		bad=1
	done
	return $bad
}

right_values() {
	local pid bad=0

	for pid in "${pids[@]}"; do
		[ "$(cli "$pid" <<<"$questions
set own $pid")" = "$expected
OK" ] && continue
		echo "# pid $pid: wrong values, or no answer"
		bad=1
	done
	return $bad
}

# What one of them was told, no other knows, nor the original.
separate() {
	local pid bad=0

	for pid in "${pids[@]}"; do
		[ "$(cli "$pid" <<<"get own")" = "$pid" ] || bad=1
	done
	[ -z "$(cli "$redis" <<<"get own")" ] || bad=1
	return $bad
}

shared_memory() {
	local rss pss anon pss_anon files

	files=("${pids[@]/#//proc/}")
	read -r rss pss anon pss_anon <<<"$(awk '{ sum[$1] += $2 / 1024 }
		END { printf "%d %d %d %d\n", sum["Rss:"], sum["Pss:"], sum["Anonymous:"],
		      sum["Pss_Anon:"] }' "${files[@]/%//smaps_rollup}")"
	echo "# $copies copies: Rss $rss MiB, Pss $pss MiB; anonymous $anon MiB," \
		"Pss of it $pss_anon MiB"
	[ "$rss" -gt 0 ] && [ $((pss * 2)) -lt "$rss" ]
}

# Is any of them there, or any of their inits?
alive() {
	local pid

	for pid in "${pids[@]}"; do
		kill -0 "$pid" 2>/dev/null && return
	done
	pgrep -x ckpt-init >/dev/null
}

# With the root of each, all that is in its PID namespace.
all_end() {
	kill -9 "${pids[@]}"
	for _ in $(seq 300); do
		alive || return 0
		sleep 0.1
	done
	ps -ef | sed 's/^/# /'
	return 1
}

need ckpt redis-server redis-cli nsenter pgrep
trap cleanup EXIT

echo "TAP version 13"
echo "1..6"
start_redis
redis-cli -p $port eval "for i = 1, $keys do
	redis.call('SET', 'key:' .. i, string.rep(tostring(i), 40)) end" 0 >/dev/null
expected=$(redis-cli -p $port <<<"$questions")
[ "${expected##*$'\n'}" = $keys ] || die "loading keys failed"
crid=$(ckpt checkpoint "$redis" --keep) || die "no checkpoint"

restart_all
result "$copies copies of one kept checkpoint, restarted at the same time"
same_pid
result "each has the pid of the original, in a PID namespace of its own"
right_values
result "each answers on its own loopback, with the right values"
separate
result "what one is told no other knows"
shared_memory
result "unchanged memory is shared: Pss is less than half of Rss"
all_end
result "each PID namespace ends with its root"
pids=()
exit $failed
