#!/bin/bash
#
# Runs the tests: tests/run.sh [PART...], the parts being unit, rooms, replay, live, fast, vm and fuzz (default:
# all); fast are those of live in which the kernel's fast path takes part, with it; vm are those of the virtual
# machine that no other kernel can stand in for, where one can be had. VARIANTS names the builds to run them
# with, LIVE the files of live (default: all). All must have been built, and the fuzzers, but for those that BUILD
# names: these are made here, beside the tests that don't need them yet.
#
# A job is a part, a build and a file. There are two queues: the live ones, which mostly wait, five at a
# time; and those that compute, one for each processor, which yield to the builds, and these to the live
# ones, as does the virtual machine. The fuzzers have what is left. Each job has a limit of time and ends with the caller, by whatever
# signal. A line says when a job has ended; what it said follows when all have, then what failed once more.
# The last line is the result, "N passed, N failed". What can't be run here is skipped, which counts as
# failed under CI=true.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

VARIANTS=${VARIANTS:-release debug}
BUILD=${BUILD:-}
LIVE=${LIVE:-}
LIMIT_S=${LIMIT_S:-900} # a job, of which others leave the half
FUZZ_S=${FUZZ_S:-60}
LIVE_JOBS=${LIVE_JOBS:-5} # at a time, as are those that compute:
COMPUTE_JOBS=${COMPUTE_JOBS:-$(nproc)}
QUICK=${QUICK:-} # yes: without valgrind, which takes the longest of the replays
SHOWN_LINES=30           # of a failure, in the end
PASSED=0 FAILED=0
BEGUN=${BEGUN:-$EPOCHSECONDS}
export QUICK BUILD LIMIT_S FUZZ_S CONTAINED LOGS BEGUN

# Of the live tests, those that take longest, longest first: begun last, one would run alone in the end.
LONG_LIVE="link edges adopt many addresses failover watched fastpath offloads large downs reload routed pool vlan bulk"

# Likewise of those that compute.
LONG_COMPUTE="unit valgrind balanced"

# Those that run a second time, with fast_path = kernel.
FAST_LIVE="wire balance ipv6 vlan bulk reload workers pool transparent"

# Which builds tell something: rooms are one source. A test, or a file of them, has the tag `plain` where the
# sanitizers have nothing to see that they don't see elsewhere: it waits for time to pass, or is about another program, or runs
# together what other tests run; and `apart` where the fast path has no part in it.
part_variants() # PART
{
	case $1 in
	rooms | vm) echo release ;;
	live | fast) echo release debug tsan ;;
	*) echo release debug ;;
	esac
}

# Of files of live, those that LIVE names.
asked_for() # <FILES
{
	local file name

	while read -r file; do
		name=${file##*/}
		[[ -z $LIVE || " $LIVE " = *" ${name%.bats} "* ]] && echo "$file"
	done || true
}

part_files() # PART VARIANT
{
	local file

	case $1 in
	unit) printf '%s\n' ".build/$2/unit "{1,2}/2 ;; # in two parts, which overlap
	rooms) ls tests/rooms/*.bats ;;
	replay) # the sanitizers' builds don't run under valgrind, and balanced.bats has the captures for them; that the benchmark works is seen with these
		for file in tests/replay/*.bats; do
			case $2/$file in
			release/*/engine.bats) [[ " $VARIANTS " = *" debug "* ]] || echo "$file" ;;
			release/*/valgrind.bats) [[ $QUICK ]] || echo "$file" ;;
			release/*) echo "$file" ;;
			*/valgrind.bats | */captures.bats) ;;
			*) echo "$file" ;;
			esac
		done
		;;
	vm) echo tests/vm/short.sh ;;
	fast) [[ $2 = debug ]] || printf 'tests/live/%s.bats\n' $FAST_LIVE | asked_for ;;
	live)
		for file in $(printf 'tests/live/%s.bats\n' $LONG_LIVE) tests/live/*.bats; do
			[[ $2 != release ]] && grep -q '^# bats file_tags=plain' "$file" || echo "$file"
		done | awk '!seen[$0]++' | asked_for
		;;
	esac
}

# Those of a part, as "PART VARIANT FILE", in the order in which they begin.
part_jobs() # PART
{
	local variant

	for variant in $(part_variants "$1"); do
		[[ " $VARIANTS " != *" $variant "* ]] || part_files "$1" "$variant" | sed "s|^|$1 $variant |"
	done
}

# The command and all that it starts end with the one that called, or at the limit: where that can be
# had, in a process namespace, which ends with its first process.
bounded() # COMMAND...
{
	local own=()

	# its first process is a shell: a command that gives up rights would outlive its parent
	[[ $CONTAINED = no ]] || own=(unshare --mount --pid --fork --kill-child --mount-proc bash -c '"$@"; exit $?' --)
	setpriv --pdeathsig KILL timeout -k 5 "$LIMIT_S" setpriv --pdeathsig KILL "${own[@]}" "$@"
}

# Makes a variant, and leaves a file that says so: built, or not.
build() # VARIANT
{
	local result=unbuilt

	! bounded make -s -j"$(nproc)" "for-tests-$1" || result=built
	touch "$LOGS/$result.$1"
	[[ $result = built ]]
}

# Waits until what a job needs is built. That of which live tests and replays consist is there from the start, as released.
wait_for_build() # PART VARIANT
{
	[[ " $BUILD " = *" $2 "* && $1 != build && "$1 $2" != @(live|fast|rooms)" release" ]] || return 0
	until [[ -e $LOGS/built.$2 ]]; do
		[[ ! -e $LOGS/unbuilt.$2 ]] || { echo "$2 couldn't be built"; return 1; }
		sleep 0.2
	done
}

run_job() # PART VARIANT FILE [SUITES]
{
	local tags=() apart='!apart'

	export VARIANT=$2
	[[ $2 = release ]] || tags=(--filter-tags '!plain') apart+=',!plain'
	case $1 in
	build) build "$2" ;;
	unit) # a fork for each test takes a sanitized process most of its time
		[[ $2 = release ]] || export CK_FORK=no
		export SUITES=$4
		bounded "$3"
		;;
	fast) FAST_PATH=kernel bounded tests/lab.sh bats --tap --timing --filter-tags "$apart" "$3" ;;
	live) bounded tests/lab.sh bats --tap --timing "${tags[@]}" "$3" ;;
	vm) bounded tests/vm/short.sh ;;
	fuzz)
		AT_ONCE=3 bounded tests/fuzz/run.sh "$FUZZ_S" sequence frame adopt ini check request
		;;
	*) bounded bats --tap --timing "${tags[@]}" "$3" ;;
	esac
}

log_of() # PART VARIANT FILE
{
	echo "$LOGS/$(tr "/ " __ <<<"$*")"
}

# Frames that found the kernel's queues of received ones full: 1000 for each processor of this machine, whichever
# lab they are of. So a test that fills them takes frames from those beside it as well.
queue_drops()
{
	local dropped sum=0

	while read -r _ dropped _; do
		sum=$((sum + 0x$dropped))
	done </proc/net/softnet_stat
	echo "$sum"
}

# Runs a job with its output in its log, and notes how it ended, how long it took, and how many frames the machine
# dropped meanwhile. CPU is that of all that it started.
log_job() # PART VARIANT FILE
{
	local log status=0 cpu waited drops

	log=$(log_of "$@")
	wait_for_build "$@" >"$log" 2>&1 || status=1
	waited=$SECONDS
	drops=$(queue_drops)
	[[ $status != 0 ]] || run_job "$@" >>"$log" 2>&1 || status=$?
	times >"$log.cpu"
	cpu=$(awk -F'[ms ]' 'END { printf "%d", 60 * ($1 + $4) + $2 + $5 }' "$log.cpu")
	echo "$status $((SECONDS - waited)) $cpu $(($(queue_drops) - drops))" >"$log.status"
	echo "$*: $((SECONDS - waited)) s, $cpu s of CPU, status $status; at $((EPOCHSECONDS - BEGUN)) s"
}

# What is said of a failure is repeated in the end.
failed() # WHAT
{
	FAILED=$((FAILED + 1))
	echo "failed: $1"
	echo "failed: $1" >>"$LOGS/failures"
}

skipped() # WHAT
{
	if [[ ${CI:-} = true ]]; then
		failed "$1 (a skip, under CI)"
	else
		echo "skipped: $1"
	fi
}

# The lines of a log that tell of failures: bats' "not ok" with what follows, of much the beginning and the end; Check's; and of
# others the last.
failures_in() # LOG
{
	awk -v most="$SHOWN_LINES" '
		function show(i) {
			for (i = 1; i <= n; i++) {
				if (n > most && i == 7) { print "# ..."; i = n - most + 7 }
				print lines[i]
			}
			n = 0
		}
		/^(not )?ok / { show(); inside = /^not/ }
		inside { lines[++n] = $0; said = 1 }
		/:[FE]:[^:]*:[^:]*:-?[0-9]+: / { print; said = 1 }
		{ last[NR % most] = $0 }
		END { show(); for (i = NR - most + 1; !said && i <= NR; i++) if (i > 0) print last[i % most] }' "$1"
}

# Counts what Check and bats said; a job that ended badly without saying so counts as well.
count() # NAME LOG STATUS
{
	local line before=$FAILED

	while IFS= read -r line; do
		if [[ $line =~ ^[0-9]+%:\ Checks:\ ([0-9]+),\ Failures:\ ([0-9]+),\ Errors:\ ([0-9]+)$ ]]; then
			FAILED=$((FAILED + BASH_REMATCH[2] + BASH_REMATCH[3]))
			PASSED=$((PASSED + BASH_REMATCH[1] - BASH_REMATCH[2] - BASH_REMATCH[3]))
		elif [[ $line =~ ^ok\ .*#\ skip ]]; then
			skipped "$1: ${line#ok }"
		elif [[ $line = "ok "* ]]; then
			PASSED=$((PASSED + 1))
		elif [[ $line = "not ok "* ]]; then
			FAILED=$((FAILED + 1))
		fi
		printf '  %s\n' "$line"
	done <"$2"
	[[ $3 = 0 || $FAILED -gt $before ]] || failed "$1 ended with status $3"
	[[ $3 = 0 && $FAILED = "$before" ]] || { echo "$1:"; failures_in "$2" | sed 's/^/  /'; } >>"$LOGS/failures"
}

# Runs the jobs of a queue, and lets go of them: to be waited for.
start_jobs() # QUEUE AT-A-TIME NICENESS
{
	setpriv --pdeathsig KILL nice -n "$3" xargs -a "$LOGS/$1" -r -P "$2" -L 1 setpriv --pdeathsig KILL tests/run.sh --job &
}

count_jobs() # <JOBS
{
	local job log status seconds cpu drops

	while IFS= read -r job; do
		log=$(log_of "$job")
		read -r status seconds cpu drops 2>/dev/null <"$log.status" || status=1 seconds="?" cpu="?" drops=0
		[[ $drops = 0 ]] || drops="$drops, of all labs"
		echo "$job: $seconds s, $cpu s of CPU; frames dropped by the machine's queues: $drops"
		count "$job" "$log" "$status"
	done
}

# Puts jobs that compute in order: those that need no build first, then by build, and each time the long ones, of which
# the sanitized ones take longer. One that waits for its build holds up others behind it.
order_computing() # <JOBS
{
	local part variant rest name place

	while read -r part variant rest; do
		name=${rest%% *} name=${name##*/} name=${name%.bats}
		place="$(wc -w <<<"${BUILD%%"$variant"*}")"
		[[ " $BUILD " = *" $variant "* && $part != rooms ]] && place=$((place + 1)) || place=0
		[[ " $LONG_COMPUTE " = *" $name "* ]] && place+=$(wc -w <<<"${LONG_COMPUTE%%"$name"*}") || place+=9
		echo "$place $part $variant $rest"
	done | sort -s -k 1,1n -k 3,3 | cut -d' ' -f2-
}

# Those of the parts, each in its queue. Live ones of a variant that is built meanwhile come last.
queue_jobs() # PART...
{
	local part variant

	for variant in $BUILD; do
		echo "build $variant all" >>"$LOGS/build"
	done
	for part; do
		case $part in
		fuzz) echo "fuzz debug all" >>"$LOGS/fuzz" ;;
		vm) [[ $CONTAINED = no ]] || part_jobs "$part" >>"$LOGS/vm" ;;
		live | fast) [[ $CONTAINED = no ]] || part_jobs "$part" >>"$LOGS/live" ;;
		*) part_jobs "$part" >>"$LOGS/compute" ;;
		esac
	done
	sort -s -r -k 2,2 -o "$LOGS/live" "$LOGS/live" # release before debug
	order_computing <"$LOGS/compute" >"$LOGS/computing"
}

if [[ ${1:-} = --job ]]; then
	log_job "${@:2}"
	exit
fi
[[ $# -gt 0 ]] || set -- unit rooms replay live fast vm fuzz
for part; do
	[[ " unit rooms replay live fast vm fuzz " = *" $part "* ]] || {
		echo "tests/run.sh: no such part: $part (unit, rooms, replay, live, fast, vm, fuzz)" >&2
		exit 2
	}
done
CONTAINED=yes # labs can be built
tests/lab.sh true 2>/dev/null || CONTAINED=no
LOGS=$(mktemp -d)
trap 'rm -rf "$LOGS"' EXIT
touch "$LOGS"/{build,compute,live,vm,fuzz}
queue_jobs "$@"
start_jobs live "$LIVE_JOBS" 0
start_jobs build 1 5
start_jobs computing "$COMPUTE_JOBS" 8
start_jobs vm 1 8
start_jobs fuzz 1 19
wait
for part; do
	[[ $CONTAINED = yes || $part != @(live|fast|vm) ]] || skipped "$part: it takes root, and the right to make namespaces"
done
cat "$LOGS"/{build,compute,live,vm,fuzz} >"$LOGS/all"
count_jobs <"$LOGS/all"
[[ ! -s $LOGS/failures ]] || { echo "what failed:"; cat "$LOGS/failures"; }
echo "$PASSED passed, $FAILED failed"
[[ $FAILED = 0 && $PASSED -gt 0 ]]
