#!/bin/bash
#
# What operators cost the wire: tests/lab.sh tests/bench/operators.sh, or make bench-operators.
#
# FLOWS connections are open through the VIP (200000), a TCP stream crosses the wire as fast as it can, and beside it round
# trips of 64 bytes are timed on the wire, each with a processor for both its ends, as else it is where they happen to begin that
# is measured: somebody who only sleeps makes twice the p99 of it. In turns, SECONDS_EACH seconds each (8), somebody asks nothing (quiet), status, metrics,
# flows (of all, the 20 oldest) and a capture of half a second are asked for each second by a program that does nothing with the
# answers (answers), and the same by tmbridge's own command line (programs): so what answers cost and what it costs to start
# programs that show them, on a machine whose two processors have all been given away, are told apart. ROUNDS of them (8), every
# other one in reverse. The results are medians of the rounds' p99, and of their ratio to the quiet one's in the same round, since only what
# is measured one after the other can be compared; whether a frame was missed; and how many of the turns, one a second, were had
# in their second. Fewer than TURNS_PERCENT of them (95) are a failure. MODES are which of them (quiet answers programs); one more
# is listing, in which all flows are asked for again and again; and others, in which two programs that have nothing to do with the wire
# make and read as much as a list is (chatters): what that does is what any use of these processors does. crowd opens the connections, so that a million take no time.
source "$(dirname "${BASH_SOURCE[0]}")/../lab.sh"

FLOWS=${FLOWS:-200000}
ROUNDS=${ROUNDS:-8}
SECONDS_EACH=${SECONDS_EACH:-8}
readonly IPERF=5201 SOCKPERF=5202 CAPTURE_SECONDS=0.5 CAPTURE_MS=500
# What others make at a time, as a list of all flows is made: 200 records.
readonly LIST_US=60 LIST_BYTES=55000
# Processors: of the stream's two ends, and of the round trips'.
readonly LOAD=0 TRIPS=1

# Whose servers are at addresses that no host has, as crowd answers for them.
write_ini() # SETTING...
{
	local server mac

	mac=$(in_ns fe2 cat /sys/class/net/eth0/address)
	{
		printf '[bridge]\nmax_connections = %s\nfast_path = %s\non_exit = cut\n' $((FLOWS + FLOWS / 5)) "$FAST_PATH"
		[[ -z $WORKERS ]] || echo "workers = $WORKERS"
		printf '%s\n' "$@"
		printf '[farm pool]\nvip = %s\nports = 5061-5064\nsnat = %s, 10.0.0.51-10.0.0.52\n' "$VIP" "$VIP"
		for server in 1 2; do
			printf '[server fe%s]\nfarm = pool\naddress = 10.0.0.6%s\nmac = %s\n' $server $server "$mac"
		done
	} >"$LAB_DIR/lb.ini"
}

set_up()
{
	lab_up
	lab_spawn iperf fe1 taskset -c $LOAD iperf3 -s -p $IPERF -B 10.0.0.41
	lab_spawn sockperf fe1 taskset -c $TRIPS sockperf server --tcp -i 10.0.0.41 -p $SOCKPERF
	write_ini "${SETTINGS[@]}"
	tmbridge_start "$LAB_DIR/lb.ini"
	echo "# $("$TOOLS/crowd" client/eth0 fe2/eth0 02:00:00:00:00:01 "$VIP" 5061 4 "$FLOWS") connections"
}

figure_of() # VERB JQ
{
	"$TMBRIDGE" "$1" -o json | sed -n 1p | jq "$2"
}

figure() # JQ
{
	figure_of status "$1"
}

# Frames that had no room when they came, and such as the way out didn't take.
lost()
{
	figure '([.ports[].missed] | add), ([.ports[].send_failed] | add)' | paste -s -d ' '
}

REQUESTS=(status metrics "flows --sort age_ms --limit 20")

ask_all()
{
	"$TMBRIDGE" status && "$TMBRIDGE" metrics && "$TMBRIDGE" flows --limit 20 --sort age &&
		"$TMBRIDGE" capture -w - -t $CAPTURE_SECONDS host "$VIP"
}

# Each second; a turn is had if it is over before the next one is due.
ask_by_programs()
{
	local had=0 turn begun now=${EPOCHREALTIME/[.,]/} good longest=0

	begun=$now
	for ((turn = 0; turn < SECONDS_EACH; turn += 1 + (now - begun - turn * 1000000) / 1000000)); do
		while now=${EPOCHREALTIME/[.,]/} && ((now < begun + turn * 1000000)); do
			sleep "$(printf '0.%06d' $((begun + turn * 1000000 - now)))"
		done
		good=0
		ask_all >/dev/null 2>"$LAB_DIR/asking.err" && good=1
		now=${EPOCHREALTIME/[.,]/}
		((now - begun - turn * 1000000 < 1000000)) && ((had += good))
		((now - begun - turn * 1000000 > longest)) && longest=$((now - begun - turn * 1000000))
	done
	echo "{\"had\":$had,\"of\":$SECONDS_EACH,\"longest_ms\":$((longest / 1000))}"
}

ask() # MODE
{
	if [[ $1 = quiet ]]; then
		"$TOOLS/asks" /run/tmbridge/eth0-eth1/control "$SECONDS_EACH" "" 0
	elif [[ $1 = listing ]]; then
		ask_for_all
	elif [[ $1 = others ]]; then
		"$TOOLS/chatters" "$SECONDS_EACH" $LIST_US $LIST_BYTES
	elif [[ $1 = answers ]]; then
		"$TOOLS/asks" /run/tmbridge/eth0-eth1/control "$SECONDS_EACH" "host $VIP" $CAPTURE_MS "${REQUESTS[@]}"
	else
		ask_by_programs
	fi
}

# Each flow, again and again: what is had are lists.
ask_for_all()
{
	local began=$SECONDS

	while ((SECONDS - began < SECONDS_EACH)); do
		"$TOOLS/asks" /run/tmbridge/eth0-eth1/control 1 "" 0 flows
	done | jq -sc '{had: length, of: length, longest_ms: map(.longest_ms) | max, bytes: map(.bytes) | max}'
}

# Processor time of the process so far, in ms.
used()
{
	awk '{ print ($14 + $15) * 10 }' "/proc/$PID/stat"
}

# In microseconds.
p99()
{
	in_ns client taskset -c $TRIPS sockperf ping-pong --tcp -i 10.0.0.41 -p $SOCKPERF -m 64 -t "$SECONDS_EACH" --full-rtt 2>/dev/null |
		sed -n 's/.*percentile 99.000 = *\([0-9.]*\).*/\1/p'
}

round() # MODE
{
	local asker before used

	before=$(lost)
	in_ns client taskset -c $LOAD iperf3 -c 10.0.0.41 -p $IPERF -t $((SECONDS_EACH + 1)) -J >"$LAB_DIR/iperf.json" &
	sleep 0.5
	used=$(used)
	ask "$1" >"$LAB_DIR/asked" &
	asker=$!
	p99 >"$LAB_DIR/p99"
	used=$(($(used) - used))
	wait $asker
	wait %?iperf3 2>/dev/null || true
	[[ $1 = quiet ]] || jq -c . "$LAB_DIR/asked" >>"$LAB_DIR/turns.$1"
	echo "$before $(lost)" >>"$LAB_DIR/lost.$1"
	jq -c --arg mode "$1" --arg p99 "$(<"$LAB_DIR/p99")" --arg used $used --arg seconds "$SECONDS_EACH" \
		'{mode: $mode, p99: ($p99 | tonumber), gbits: (.end.sum_received.bits_per_second / 1e9 * 10 | round / 10),
		  process_ms_s: (($used | tonumber) / ($seconds | tonumber) | round)}' "$LAB_DIR/iperf.json" >>"$LAB_DIR/round"
}

lost_in() # MODE
{
	awk '{ missed += $3 - $1; unsent += $4 - $2 } END { print missed + 0 " missed, " unsent + 0 " not sent" }' "$LAB_DIR/lost.$1"
}

# Of rounds, each an array; the turns of each mode come behind.
readonly SUMMARY='
def median: sort | .[(length - 1) / 2 | floor] as $a | .[length / 2 | floor] as $b | ($a + $b) / 2;
def short: . * 1000 | round / 1000;
. as $rounds | [.[0][].mode] | unique[] as $mode |
	[$rounds[] | map(select(.mode == $mode))[0]] as $of |
	[$rounds[] | map(select(.mode == $mode))[0].p99 / map(select(.mode == "quiet"))[0].p99] as $ratios |
	"\($mode): p99 of a round trip on the wire \($of | map(.p99) | median) us, ratio \($ratios | median | short) (\($ratios | min | short)-\($ratios | max | short)); \(
		$of | map(.gbits) | median) Gbit/s; the process has \($of | map(.process_ms_s) | median) ms a second"'

# False if too few were had.
tell_turns() # MODE
{
	jq -rse --arg mode "$1" --arg percent "${TURNS_PERCENT:-95}" '(map(.had) | add) as $had | (map(.of) | add) as $of |
		"\($mode): \($had) of \($of) turns were had, the longest took \(map(.longest_ms) | max) ms",
		($had * 100 >= $of * ($percent | tonumber) or error("too few turns"))' "$LAB_DIR/turns.$1" | grep -v '^true$'
	return "${PIPESTATUS[0]}"
}

main()
{
	local mode modes all reverse=() status=0

	mapfile -t SETTINGS < <(tr ';' '\n' <<<"${SETTINGS:-}" | grep . || true)
	read -r -a modes <<<"${MODES:-quiet answers programs}"
	for mode in "${modes[@]}"; do reverse=("$mode" "${reverse[@]}"); done
	set_up
	PID=$(figure_of version .pid)
	for ((r = 0; r < ROUNDS; r++)); do
		: >"$LAB_DIR/round"
		for mode in "${modes[@]}"; do round "$mode"; done
		jq -cs 'sort_by(.mode)' "$LAB_DIR/round" | tee -a "$LAB_DIR/rounds"
		all=("${modes[@]}") modes=("${reverse[@]}") reverse=("${all[@]}")
	done
	jq -rs "$SUMMARY" "$LAB_DIR/rounds"
	echo "flows: $(figure .flows.open)"
	for mode in "${modes[@]}"; do
		echo "$mode: frames $(lost_in "$mode")"
		[[ $mode = quiet ]] || tell_turns "$mode" || status=1
	done
	tmbridge_stop
	lab_down
	return $status
}

main
