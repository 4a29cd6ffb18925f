#!/bin/bash
#
# Runs the tests: tests/run.sh [PART...], the parts being unit, rooms, replay, live and fuzz (default:
# all). VARIANTS names the builds to run them with; all must have been built, and `make fuzzers`.
#
# Each part of each build has a limit of time and ends with the caller, by whatever signal. The last
# line is the result, "N passed, N failed". What can't be run here is skipped, which counts as
# failed under CI=true.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

VARIANTS=${VARIANTS:-release debug clang-debug}
LIMIT_S=${LIMIT_S:-600}
FUZZ_S=${FUZZ_S:-60}
PASSED=0 FAILED=0

# Which builds tell something: rooms are one source, and clang's sanitizers find in live and in
# replay what gcc's do. live takes its builds together, and the fuzzers are builds of their own.
part_variants() # PART
{
	case $1 in
	unit) echo release debug clang-debug ;;
	replay) echo release debug ;;
	*) echo release ;;
	esac
}

# The command and all that it starts end with the one that called, or at the limit.
bounded() # COMMAND...
{
	setpriv --pdeathsig KILL timeout -k 5 "$LIMIT_S" "$@"
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

# Counts what Check and bats say; a run that ends badly without saying so counts as well.
count() # NAME COMMAND...
{
	local line status=1 before=$FAILED

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
		elif [[ $line =~ ^exit\ status\ ([0-9]+)$ ]]; then
			status=${BASH_REMATCH[1]}
			continue
		fi
		printf '  %s\n' "$line"
	done < <(
		set +e
		bounded "${@:2}" 2>&1
		echo "exit status $?"
	)
	[[ $status = 0 || $FAILED -gt $before ]] || failed "$1 ended with status $status"
}

# Files that take longest, longest first: begun last, one would run alone in the end.
LONG_LIVE="failover pool narrow"

# Files in which tmbridge does nothing under load or over time that it doesn't do elsewhere: what the
# sanitizers could find there they find in the others.
RELEASE_ONLY_LIVE=""

live_files() # VARIANT
{
	local file name

	for file in $(printf 'tests/live/%s.bats\n' $LONG_LIVE) tests/live/*.bats; do
		name=$(basename "$file" .bats)
		[[ $1 = release || " $RELEASE_ONLY_LIVE " != *" $name "* ]] && echo "$file"
	done | awk '!seen[$0]++'
}

# As "VARIANT FILE", in the order in which they begin.
live_jobs()
{
	local variant

	paste -d '\n' <(live_files release | sed 's/^/release /') <(live_files debug | sed 's/^/debug /') |
		while read -r variant file; do
			[[ " $VARIANTS " != *" $variant "* ]] || echo "$variant $file"
		done
}

# Each lab is a world of its own, so two run side by side: they mostly wait. Their output is kept until
# it is their turn.
run_live()
{
	local variant file log logs

	if [[ $(id -u) != 0 ]] || ! tests/lab.sh true 2>/dev/null; then
		skipped "live: it takes root, and the right to make namespaces"
		return
	fi
	logs=$(mktemp -d)
	live_jobs | bounded xargs -P 2 -L 1 bash -c 'log=$0/$1-$(basename "$2")
		VARIANT=$1 tests/lab.sh bats --tap --timing "$2" >"$log" 2>&1
		echo $? >"$log.status"' "$logs" || true
	while read -r variant file; do
		log=$logs/$variant-$(basename "$file")
		echo " $(basename "$file" .bats), $variant"
		count "$file" bash -c 'cat "$1"; exit "$(cat "$1.status")"' _ "$log"
	done < <(live_jobs | sort)
	rm -rf "$logs"
}

# The fuzzers get what processor time the live tests leave, which mostly wait.
FUZZ_LOG=""
start_fuzz()
{
	FUZZ_LOG=$(mktemp)
	(
		set +e
		bounded chrt --idle 0 setpriv --pdeathsig KILL tests/fuzz/run.sh "$FUZZ_S" frame sequence ini
		echo $? >"$FUZZ_LOG.status"
	) >"$FUZZ_LOG" 2>&1 &
}

run_fuzz()
{
	[[ -n $FUZZ_LOG ]] || start_fuzz
	wait
	count fuzz bash -c 'cat "$1"; exit "$(cat "$1.status")"' _ "$FUZZ_LOG"
	rm -f "$FUZZ_LOG" "$FUZZ_LOG.status"
}

run_part() # PART
{
	case $1 in
	unit) # a fork for each test takes a sanitized process most of its time
		[[ $VARIANT = release ]] || export CK_FORK=no
		count unit ".build/$VARIANT/unit"
		;;
	rooms | replay) count "$1" bats --tap --timing "tests/$1" ;;
	live) run_live ;;
	fuzz) run_fuzz ;;
	*)
		echo "tests/run.sh: no such part: $1 (unit, rooms, replay, live, fuzz)" >&2
		exit 2
		;;
	esac
}

[[ $# -gt 0 ]] || set -- unit rooms replay live fuzz
for part; do
	[[ $part != live || " $* " != *" fuzz "* ]] || start_fuzz
	for VARIANT in $(part_variants "$part"); do
		[[ $part = live || $part = fuzz || " $VARIANTS " = *" $VARIANT "* ]] || continue
		export VARIANT
		echo "$part, $VARIANT"
		run_part "$part"
	done
done
echo "$PASSED passed, $FAILED failed"
[[ $FAILED = 0 && $PASSED -gt 0 ]]
