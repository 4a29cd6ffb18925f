#!/bin/bash
#
# What the virtual machine runs: a job for each line of .build/vm.jobs, two at a time, their results to the
# second serial port as they end, and "the end" when all have. The job "shell" is a shell on the first one.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

RESULT=/dev/ttyS1
LIMIT_S=${LIMIT_S:-600} # for a job; twenty times what it takes without emulation
export HOME=/root TERM=${TERM:-vt100} LAB_PATIENCE=4 CAPTURES=$PWD/.build/captures

# A file of tests/vm that needs systemd's own machine, not a lab's namespaces, has this line.
of_the_machine() # FILE
{
	grep -q '^# vm: no lab$' "$1"
}

# unit:SUITE is one suite of the units, unit:K/N one of N parts of them, fast:FILE a file of tests with the kernel's fast path, short:FILE those of a file that have the tag `short`.
job_command() # JOB
{
	local tags=()

	[[ -z ${SHORT:-} ]] || tags=(--filter-tags short)
	case $1 in
	unit) # each test's own limit of time is for a real machine
		CK_DEFAULT_TIMEOUT=120 CK_FORK=no .build/release/unit
		;;
	unit:*/*) SUITES=${1#unit:} job_command unit ;;
	unit:*) CK_RUN_SUITE=${1#unit:} job_command unit ;;
	demo) tests/demo.sh ;;
	fast:*) FAST_PATH=kernel job_command "${1#fast:}" ;;
	short:*) SHORT=yes job_command "${1#short:}" ;;
	tests/live/*) tests/lab.sh bats --tap --timing "$1" ;;
	tests/vm/*)
		if of_the_machine "$1"; then
			bats --tap --timing "${tags[@]}" "$1"
		else
			tests/lab.sh bats --tap --timing "${tags[@]}" "$1"
		fi
		;;
	*) # but for what takes tshark, which is as large as all else in here
		bats --tap --timing -f '^[^t]' "$1"
		;;
	esac
}

# What isn't told in TAP or by Check is one test.
report() # JOB STATUS SECONDS LOG
{
	local verdict=ok

	[[ $2 = 0 ]] || verdict="not ok"
	echo "# $1: $3 s"
	cat "$4"
	if [[ $1 = demo ]] || [[ $2 != 0 ]] && ! grep -q '^not ok' "$4"; then
		echo "$verdict $1, status $2"
	fi
}

run_job() # JOB
{
	local log status=0

	log=$(mktemp)
	SECONDS=0
	timeout -k 5 "$LIMIT_S" "$0" --command "$1" >"$log" 2>&1 </dev/null || status=$?
	exec 9>/run/vm.lock
	flock 9
	report "$1" "$status" "$SECONDS" "$log" >$RESULT
}

case ${1:-} in
--command) job_command "$2" ;;
--job) run_job "$2" ;;
*)
	ip link set lo up
	if [[ $(<.build/vm.jobs) = shell ]]; then
		stty sane rows "${ROWS:-40}" columns "${COLUMNS:-120}"
		echo "In $PWD; try: tests/lab.sh bats tests/live/wire.bats. It ends with this shell."
		exec bash -l
	fi
	echo "# Linux $(uname -r), up in $(cut -d' ' -f1 /proc/uptime) s" >$RESULT
	xargs -P 2 -L 1 "$0" --job <.build/vm.jobs
	echo "the end" >$RESULT
	;;
esac
