#!/bin/bash
#
# Runs the tests: tests/run.sh [PART...], the parts being unit, rooms, replay, live, fast and fuzz (default:
# all); fast are those of live in which the kernel's fast path takes part, with it. VARIANTS names the
# builds to run them with; all must have been built, and the fuzzers.
#
# A job is a part, a build and a file. Those of all parts but live and fast run first, two at a time; then the
# live ones, which mostly wait, four at a time, and beside these the fuzzers at idle priority. Each
# job has a limit of time and ends with the caller, by whatever signal. What a job says is shown when
# its turn comes. The last line is the result, "N passed, N failed". What can't be run here is
# skipped, which counts as failed under CI=true.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

VARIANTS=${VARIANTS:-release debug fuzz}
LIMIT_S=${LIMIT_S:-600}
FUZZ_S=${FUZZ_S:-60}
PASSED=0 FAILED=0
export LIMIT_S FUZZ_S CONTAINED

# Of the live tests, those that take longest, longest first: begun last, one would run alone in the end.
LONG_LIVE="edges link vlan failover reload pool bulk"

# Those that run a second time, with fast_path = kernel.
FAST_LIVE="wire balance ipv6 vlan bulk reload workers pool"

# Which builds tell something: rooms are one source, and clang's sanitizers find in live and in
# replay what gcc's do. A live test, or a file of them, has the tag `plain` where the sanitizers have nothing to see that they don't
# see elsewhere: it waits for time to pass, or is about another program, or runs together what other tests run; and `apart` where
# the fast path has no part in it.
part_variants() # PART
{
	case $1 in
	unit) echo release debug fuzz ;;
	rooms) echo release ;;
	*) echo release debug ;;
	esac
}

part_files() # PART VARIANT
{
	local file

	case $1 in
	unit) echo ".build/$2/unit" ;;
	rooms) ls tests/rooms/*.bats ;;
	replay) # the sanitizers' builds don't run under valgrind, and balanced.bats has the captures for them
		for file in tests/replay/*.bats; do
			[[ $2 != release && $file = */@(valgrind|captures).bats ]] || echo "$file"
		done
		;;
	fast) [[ $2 != release ]] || printf 'tests/live/%s.bats\n' $FAST_LIVE ;;
	live)
		for file in $(printf 'tests/live/%s.bats\n' $LONG_LIVE) tests/live/*.bats; do
			[[ $2 != release ]] && grep -q '^# bats file_tags=plain' "$file" || echo "$file"
		done | awk '!seen[$0]++'
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

	[[ $CONTAINED = no ]] || own=(unshare --mount --pid --fork --kill-child --mount-proc)
	setpriv --pdeathsig KILL timeout -k 5 "$LIMIT_S" setpriv --pdeathsig KILL "${own[@]}" "$@"
}

run_job() # PART VARIANT FILE
{
	local tags

	export VARIANT=$2
	case $1 in
	unit) # a fork for each test takes a sanitized process most of its time
		[[ $2 = release ]] || export CK_FORK=no
		bounded "$3"
		;;
	fast) FAST_PATH=kernel bounded tests/lab.sh bats --tap --timing --filter-tags '!apart' "$3" ;;
	live)
		tags=()
		[[ $2 = release ]] || tags=(--filter-tags '!plain')
		bounded tests/lab.sh bats --tap --timing "${tags[@]}" "$3"
		;;
	fuzz)
		bounded chrt --idle 0 tests/fuzz/run.sh "$FUZZ_S" frame sequence ini adopt check request
		;;
	*) bounded bats --tap --timing "$3" ;;
	esac
}

failed() # WHAT
{
	FAILED=$((FAILED + 1))
	echo "failed: $1"
}

skipped() # WHAT
{
	if [[ ${CI:-} = true ]]; then
		failed "$1 (a skip, under CI)"
	else
		echo "skipped: $1"
	fi
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
			skipped "${line#ok }"
		elif [[ $line = "ok "* ]]; then
			PASSED=$((PASSED + 1))
		elif [[ $line = "not ok "* ]]; then
			FAILED=$((FAILED + 1))
		fi
		printf '  %s\n' "$line"
	done <"$2"
	[[ $3 = 0 || $FAILED -gt $before ]] || failed "$1 ended with status $3"
}

# Runs the jobs, read as lines.
run_jobs() # AT-A-TIME
{
	local jobs log

	jobs=$(cat)
	setpriv --pdeathsig KILL xargs -r -P "$1" -L 1 setpriv --pdeathsig KILL bash -c 'log=$0/$(tr "/ " __ <<<"$*")
		SECONDS=0
		setpriv --pdeathsig KILL tests/run.sh --job "$@" >"$log" 2>&1
		echo "$? $SECONDS" >"$log.status"' "$LOGS" <<<"$jobs" || true
	while IFS= read -r job; do
		[[ -n $job ]] || continue
		log=$LOGS/$(tr "/ " __ <<<"$job")
		read -r status seconds <"$log.status" || status=1 seconds=?
		echo "$job: $seconds s"
		count "$job" "$log" "$status"
	done <<<"$jobs"
}

FUZZERS_PID=
start_fuzzers()
{
	setpriv --pdeathsig KILL tests/run.sh --job fuzz fuzz all >"$LOGS/fuzz" 2>&1 &
	FUZZERS_PID=$!
}

run_fuzz()
{
	local status=0

	wait "$FUZZERS_PID" || status=$?
	echo "fuzz"
	count fuzz "$LOGS/fuzz" "$status"
}

run_live() # PART
{
	if [[ $CONTAINED = no ]]; then
		skipped "$1: it takes root, and the right to make namespaces"
	else
		run_jobs 4 < <(part_jobs "$1") # not behind a pipe, where what is counted would be lost
	fi
}

if [[ ${1:-} = --job ]]; then
	run_job "${@:2}"
	exit
fi
[[ $# -gt 0 ]] || set -- unit rooms replay live fast fuzz
for part; do
	[[ " unit rooms replay live fast fuzz " = *" $part "* ]] || {
		echo "tests/run.sh: no such part: $part (unit, rooms, replay, live, fast, fuzz)" >&2
		exit 2
	}
done
CONTAINED=yes # labs can be built
tests/lab.sh true 2>/dev/null || CONTAINED=no
LOGS=$(mktemp -d)
trap 'rm -rf "$LOGS"' EXIT
for part; do
	[[ $part = live || $part = fast || $part = fuzz ]] || part_jobs "$part"
done >"$LOGS/jobs"
run_jobs 2 <"$LOGS/jobs"
[[ " $* " != *" fuzz "* ]] || start_fuzzers
[[ " $* " != *" live "* ]] || run_live live
[[ " $* " != *" fast "* ]] || run_live fast
[[ " $* " != *" fuzz "* ]] || run_fuzz
echo "$PASSED passed, $FAILED failed"
[[ $FAILED = 0 && $PASSED -gt 0 ]]
