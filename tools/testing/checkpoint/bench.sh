#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# The benchmark, run as root in the guest: checkpoint and restart of processes
# of several sizes and of trees, beside fork(), CRIU, cp and dd in the same boot.
# Prints a table and some expectations. No time is ever verified; a step that
# fails, or a restored process whose data is not right, makes it fail.
#
# SIZES: MiB of the single processes   TREES: processes of the trees, 1 MiB each
# RUNS: how often each thing is done    RESULTS: directory for bench.csv and bench.txt
set -u

sizes=${SIZES:-16 64 256 1024 4096}
trees=${TREES:-10 100 1000}
runs=${RUNS:-5}
slow_runs=3			# of CRIU, from slow_mib or slow_tasks on
slow_mib=1024
slow_tasks=1000
dir=$(mktemp -d /tmp/bench.XXXXXX)
image=$dir/image
failures=0
pid=

# Everything that is measured, in the order of the table.
measures='
frozen|ns|frozen, told by the kernel
checkpoint|ns|checkpoint(), whole call
flush|ns|  writing the image, part of it
image|bytes|image
restart|ns|restart() from the image
kept_frozen|ns|frozen, checkpoint kept in memory
recall|ns|restart() from memory
rollback|ns|rollback
fork|ns|fork() by the processes themselves
criu_frozen|ns|frozen by CRIU
criu_dump|ns|criu dump, whole command
criu_restore|ns|criu restore, whole command
cp|ns|cp of as many bytes
dd|ns|dd bs=1M of as many bytes'

trap 'rm -rf "$dir"' EXIT

# add MEASURE NUMBER
add() { echo "$2" >>"$dir/case/$1"; }

# note MEASURES WORDS: why there is no number, or what is special about it
note() {
	local m

	for m in $1; do
		echo "$2" >"$dir/case/$m.note"
	done
}

# fail MEASURES: with the last words of what was tried
fail() {
	local why

	why=$(tail -n 1 "$dir/err" | tr ',' ';')
	note "$1" "FAILED: $why"
	failures=$((failures + 1))
	end
	return 1
}

# try COMMAND...: output in $dir/out, complaints in $dir/err
try() { "$@" >"$dir/out" 2>"$dir/err"; }

# told KEY: the value of a "KEY: value" line of $dir/out
told() { sed -n "s/^$1: *//p" "$dir/out"; }

now_us() { echo "${EPOCHREALTIME/[.,]/}"; }

# clock MEASURE COMMAND...: its wall clock time
clock() {
	local from m=$1

	shift
	from=$(now_us)
	try "$@" || return
	add "$m" $((($(now_us) - from) * 1000))
}

begin() {
	try bench_proc start "$mib" "$pages" "$tasks" || return
	read -r pid sum huge_mib <"$dir/out"
	if [ "$pages" = huge ] && [ "$huge_mib" -lt $((mib * 9 / 10)) ]; then
		note frozen "only $huge_mib MiB are in huge pages"
	fi
}

end() {
	[ -n "$pid" ] && try bench_proc end "$pid"
	pid=
}

# Is what runs now, with pid $1, what it was?
verify() {
	local seen

	pid=$1
	seen=$(bench_proc ask "$pid" sum 2>"$dir/err") || return
	[ "$seen" = "$sum" ] && return
	echo "the restored data is wrong" >"$dir/err"
	return 1
}

time_fork() {
	try bench_proc ask "$pid" touch && try bench_proc ask "$pid" fork || return
	add fork "$(cat "$dir/out")"
}

take_image() {
	rm -f "$image"
	try bench_proc ask "$pid" touch && try bench_call checkpoint "$pid" "$image" || return
	add frozen "$(told frozen_ns)"
	add checkpoint "$(told whole_ns)"
	add flush "$(told flush_ns)"
	add image "$(stat -c %s "$image")"
}

restart_image() {
	try bench_call restart "$image" || return
	add restart "$(told whole_ns)"
	verify "$(told result)"
}

ours_and_fork() {
	local i

	begin || { fail "frozen checkpoint flush image restart fork"; return; }
	for ((i = 0; i < runs; i++)); do
		time_fork || { fail fork; return; }
		take_image || { fail "frozen checkpoint flush image"; return; }
	done
	verify "$pid" || { fail checkpoint; return; }
	end
	for ((i = 0; i < runs; i++)); do
		restart_image || { fail restart; return; }
		end
	done
}

# Needs an image, and no process, so that both copies have room.
copies() {
	local i

	[ -s "$image" ] || return
	for ((i = 0; i < runs; i++)); do
		clock cp cp "$image" "$image.copy" || { fail cp; return; }
		rm "$image.copy"
		try env LC_ALL=C dd if="$image" of="$image.copy" bs=1M || { fail dd; return; }
		# dd's own figure: "... bytes (...) copied, 0.123 s, ..."
		add dd "$(sed -n 's/.* copied, \([0-9.e-]*\) s.*/\1/p' "$dir/err" |
			awk '{ printf "%.0f", $1 * 1e9 }')"
		rm "$image.copy"
	done
}

# kept CALL ID MEASURES: 0 done; 1 not in this kernel, or failed
kept() {
	try bench_call "$1" "$2" && return
	if [ $? = 3 ] && [ ! -s "$dir/case/${3%% *}" ]; then
		note "$3" "not in this kernel ($(tail -n 1 "$dir/err" | tr ',' ';'))"
		end
		return 1
	fi
	fail "$3"
}

go_back() {
	local i

	for ((i = 0; i < runs; i++)); do
		try bench_proc ask "$pid" spoil || { fail rollback; return; }
		kept rollback "$1" rollback || return
		add rollback "$(told whole_ns)"
		verify "$pid" || { fail rollback; return; }
	done
}

recall() {
	local i

	for ((i = 0; i < runs; i++)); do
		kept recall "$1" recall || return
		add recall "$(told whole_ns)"
		verify "$(told result)" || { fail recall; return; }
		end
	done
}

in_memory() {
	local crid='' i

	begin || { fail "kept_frozen recall rollback"; return; }
	for ((i = 0; i < runs; i++)); do
		[ -z "$crid" ] || kept discard "$crid" kept_frozen || return
		try bench_proc ask "$pid" touch || { fail kept_frozen; return; }
		kept keep "$pid" "kept_frozen recall rollback" || return
		crid=$(told result)
		add kept_frozen "$(told frozen_ns)"
	done
	go_back "$crid"
	end
	recall "$crid"
	kept discard "$crid" kept_frozen
}

# criu COMMAND...: what it says in $dir/out; its error, if any, in $dir/err
run_criu() {
	try timeout 1800 criu "$@" -D "$dir/criu" -o "$dir/criu.log" && return
	{ cat "$dir/out"; grep Error "$dir/criu.log"; } 2>/dev/null | tail -n 1 >>"$dir/err"
	return 1
}

# CRIU is not ours: the reason is told, and nothing counts as failed.
no_criu() {
	note "$1" "not measured: $(tail -n 1 "$dir/err" | tr ',' ';')"
	end
}

criu_dump() {
	local from

	rm -rf "$dir/criu"
	mkdir "$dir/criu"
	try bench_proc ask "$pid" touch || return
	from=$(now_us)
	run_criu dump --leave-running -t "$pid" --display-stats || return
	add criu_dump $((($(now_us) - from) * 1000))
	add criu_frozen "$(awk '/Frozen time/ { printf "%.0f\n", $3 * 1000 }' "$dir/out" "$dir/err")"
}

criu_restore() {
	local from was=$1

	from=$(now_us)
	run_criu restore -d || return
	add criu_restore $((($(now_us) - from) * 1000))
	verify "$was"
}

with_criu() {
	local i n=$runs was

	if ! command -v criu >/dev/null; then
		note "criu_frozen criu_dump criu_restore" "not measured: criu is not installed"
		return
	fi
	if [ "$mib" -ge $slow_mib ] || [ "$tasks" -ge $slow_tasks ]; then
		[ "$n" -gt $slow_runs ] && n=$slow_runs
		note "criu_frozen criu_dump criu_restore" "$n runs"
	fi
	begin || { fail "criu_frozen criu_dump criu_restore"; return; }
	for ((i = 0; i < n; i++)); do
		criu_dump || { no_criu "criu_frozen criu_dump criu_restore"; return; }
	done
	was=$pid
	end
	for ((i = 0; i < n; i++)); do
		criu_restore "$was" || { no_criu criu_restore; return; }
		end
	done
}

# Of numbers on standard input: "count median min max".
statistics() { sort -n | awk '{ v[NR] = $1 } END { print NR, v[int((NR + 1) / 2)], v[1], v[NR] }'; }

# The rows of the case that is complete, to the terminal and to the CSV file.
rows() {
	local m unit label n med min max words

	while IFS='|' read -r m unit label; do
		[ -n "$m" ] || continue
		words=$(cat "$dir/case/$m.note" 2>/dev/null)
		n=0 med='' min='' max=''
		[ -s "$dir/case/$m" ] && read -r n med min max <<<"$(statistics <"$dir/case/$m")"
		echo "$pages,$mib,$tasks,$m,$unit,$n,$med,$min,$max,$words" >>"$dir/bench.csv"
		[ "$n$words" = 0 ] && words="not reached"
		awk -v label="$label" -v unit="$unit" -v n="$n" -v med="$med" -v min="$min" \
			-v max="$max" -v words="$words" 'BEGIN {
			div = unit == "ns" ? 1e6 : 1048576
			name = unit == "ns" ? "ms" : "MiB"
			if (n)
				text = sprintf("%12.2f %-3s  (%.2f - %.2f)", med / div, name, min / div, max / div)
			printf "  %-34s %s%s\n", label, text, words ? "  " words : "" }'
	done <<<"$measures"
}

# one_case PAGES MIB TASKS
one_case() {
	local title need room

	pages=$1 mib=$2 tasks=$3
	case $pages in
	small)	title="$mib MiB in 4 KiB pages" ;;
	huge)	title="$mib MiB in huge pages" ;;
	*)	title="$tasks processes of $mib MiB each" ;;
	esac
	[ "$pages" = tree ] && pages=small
	rm -rf "$dir/case"
	mkdir "$dir/case"
	echo
	echo "$title, median (min - max) of $runs runs"
	# A process and an image of it, or two images, and everything else.
	need=$((2 * mib * tasks + mib * tasks / 8 + 512))
	room=$(awk '/^MemAvailable/ { print int($2 / 1024) }' /proc/meminfo)
	if [ "$need" -gt "$room" ]; then
		echo "  skipped: needs $need MiB of memory, there are $room"
		return
	fi
	ours_and_fork
	copies
	rm -f "$image" "$image.copy"
	in_memory
	with_criu
	end
	rm -rf "$dir/criu"
	[ "$1" = tree ] && pages=tree
	rows
}

# Of the largest process that was measured, 1024 MiB if that was.
expectations() {
	awk -F, '
	$1 == "small" && $6 > 0 { v[$2, $4] = $7; size[$2] = 1 }
	function ratio(what, a, b) {
		if (a && b)
			printf "  expected %-58s measured %.3g\n", what ":", a / b
		else
			printf "  expected %-58s not measured\n", what ":"
	}
	END {
		for (s in size)
			if (s + 0 > mib && mib != 1024 || s == 1024)
				mib = s + 0
		printf "\nAt %d MiB in 4 KiB pages%s:\n", mib, mib == 1024 ? "" : " (1024 MiB was not measured)"
		ratio("frozen <= 1.3 x fork()", v[mib, "frozen"], v[mib, "fork"])
		ratio("frozen <= 0.025 x CRIU (1/40)", v[mib, "frozen"], v[mib, "criu_frozen"])
		ratio("rate of writing to tmpfs >= 1.0 x dd", v[mib, "dd"], v[mib, "flush"])
		ratio("restart from tmpfs <= 0.333 x CRIU (1/3)", v[mib, "restart"], v[mib, "criu_restore"])
		ratio("restart from memory <= 1.5 x fork()", v[mib, "recall"], v[mib, "fork"])
	}' "$dir/bench.csv"
}

machine() {
	echo "$(date -u +%F), Linux $(uname -r), $(nproc) CPUs," \
		"$(awk '/^MemTotal/ { print int($2 / 1024) }' /proc/meminfo) MiB," \
		"$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)," \
		"$(criu --version 2>/dev/null | awk 'NR == 1 { print "CRIU " $2 }')"
	echo "all images on tmpfs; every page is written to before each fork() and checkpoint"
}

bench() {
	local n

	machine
	for n in $sizes; do
		one_case small "$n" 1
		one_case huge "$n" 1
	done
	for n in $trees; do
		one_case tree 1 "$n"
	done
	expectations
	echo "$failures" >"$dir/failures"
}

mount -o remount,size=95% /tmp || exit 1
echo "pages,mib,tasks,measure,unit,runs,median,min,max,note" >"$dir/bench.csv"
bench | tee "$dir/bench.txt"
if [ -n "${RESULTS:-}" ]; then
	cp "$dir/bench.csv" "$dir/bench.txt" "$RESULTS/" || exit 1
fi
failures=$(cat "$dir/failures")
if [ "$failures" != 0 ]; then
	echo "bench: $failures steps failed"
	exit 1
fi
