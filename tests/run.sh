#!/bin/bash
#
# Runs the tests: tests/run.sh [PART...], the parts being unit, rooms, replay and live (default: all).
# VARIANTS names the builds to run them with; all must have been built.
#
# Each part of each build has a limit of time and ends with the caller, by whatever signal. The last
# line is the result, "N passed, N failed". What can't be run here is skipped, which counts as
# failed under CI=true.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

VARIANTS=${VARIANTS:-release debug clang-debug}
LIMIT_S=${LIMIT_S:-600}
PASSED=0 FAILED=0

# Which builds tell something: rooms are one source, and clang's sanitizers find in live and in
# replay what gcc's do.
part_variants() # PART
{
	case $1 in
	unit) echo release debug clang-debug ;;
	rooms) echo release ;;
	*) echo release debug ;;
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

# Each lab is a world of its own, so two run side by side: they mostly wait. Their output is kept until
# it is their turn.
run_live()
{
	local file logs

	if [[ $(id -u) != 0 ]] || ! tests/lab.sh true 2>/dev/null; then
		skipped "live: it takes root, and the right to make namespaces"
		return
	fi
	logs=$(mktemp -d)
	printf '%s\n' tests/live/*.bats |
		bounded xargs -P 2 -I FILE bash -c 'log=$2/$(basename "$1")
			tests/lab.sh bats --tap --timing "$1" >"$log" 2>&1
			echo $? >"$log.status"' _ FILE "$logs" || true
	for file in tests/live/*.bats; do
		echo " $(basename "$file" .bats)"
		count "$file" bash -c 'cat "$1"; exit "$(cat "$1.status")"' _ "$logs/$(basename "$file")"
	done
	rm -rf "$logs"
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
	*)
		echo "tests/run.sh: no such part: $1 (unit, rooms, replay, live)" >&2
		exit 2
		;;
	esac
}

[[ $# -gt 0 ]] || set -- unit rooms replay live
for part; do
	for VARIANT in $(part_variants "$part"); do
		[[ " $VARIANTS " = *" $VARIANT "* ]] || continue
		export VARIANT
		echo "$part, $VARIANT"
		run_part "$part"
	done
done
echo "$PASSED passed, $FAILED failed"
[[ $FAILED = 0 && $PASSED -gt 0 ]]
