#!/bin/bash
#
# Coverage of lb/ and cfg/ by the unit and golden tests: tests/coverage.sh, after `make coverage` has
# built them. Prints lines and branches by file, and fails below 95 % of the lines or 90 % of the
# branches of both rooms together. Inline functions count in their header.
#
# A branch is an outcome of a condition in the source: of each operand of && and ||, of a case.
# Asserts are compiled out, as no input makes them fail. What was missed, line by line, is in
# .build/coverage/missed.
#
# What stays is of these kinds:
# - parse.c reaches into frames only through at(), which checks bounds also where an earlier step has
#   seen that the bytes are there;
# - each switch over an enum names all of it, also what its caller rules out (a free flow's timeout);
# - ticks saturate after 13.6 years, hashes of 64 zero bits don't come;
# - reading lb.ini fails, is interrupted, or finds another file than a moment before;
# - headers are put together over all their users, and their lines that only end a function that is
#   always inlined count as missed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

DIR=.build/coverage
LINES_MIN=95 BRANCHES_MIN=90

rm -rf "$DIR/raw"
mkdir -p "$DIR/raw"
export LLVM_PROFILE_FILE=$PWD/$DIR/raw/%p.profraw
CK_FORK=no "$DIR/unit" >"$DIR/unit.log" 2>&1 || {
	cat "$DIR/unit.log"
	exit 1
}
VARIANT=coverage bats --tap tests/replay/golden.bats >"$DIR/golden.log" 2>&1 || {
	cat "$DIR/golden.log"
	exit 1
}
llvm-profdata merge -o "$DIR/profile" "$DIR"/raw/*.profraw

llvm_cov() # COMMAND OPTION...
{
	llvm-cov "$1" "$DIR/unit" -object "$DIR/tmbridge" -instr-profile="$DIR/profile" "${@:2}" lb cfg
}

llvm_cov show -show-branches=count >"$DIR/missed"
llvm_cov export -summary-only | jq -r --argjson lines "$LINES_MIN" --argjson branches "$BRANCHES_MIN" '
	def row: [.lines.count, .lines.count - .lines.covered, (.lines.percent * 10 | floor / 10),
		.branches.count, .branches.notcovered, (.branches.percent * 10 | floor / 10)];
	["file", "lines", "missed", "%", "branches", "missed", "%"],
	(.data[0].files | sort_by(.filename)[] | select(.summary.lines.count > 0)
		| [.filename | sub(".*/(?<room>lb|cfg)/"; "\(.room)/")] + (.summary | row)),
	(.data[0].totals | ["all"] + row),
	if .data[0].totals.lines.percent < $lines or .data[0].totals.branches.percent < $branches
	then ["below \($lines) % of lines or \($branches) % of branches"] else empty end
	| @tsv' | tee "$DIR/table" | column -t -s $'\t'
! grep -q '^below' "$DIR/table"
