#!/bin/bash
#
# What operators cost the wire: tests/lab.sh tests/bench/operators.sh, or make bench-operators.
#
# FLOWS connections are open through the VIP (200000), a TCP stream crosses the wire as fast as it can, and beside it round
# trips of 64 bytes are timed on the wire, all the while, each with a processor for both its ends, as else it is where they happen to begin that
# is measured. Meanwhile time is cut into slots of SLOT_S seconds (2), and in each somebody does something else, by MODES (all but the last four), in ROUNDS
# rounds (20), each in an order of its own (SEED repeats it); so what is compared is seconds apart, and no program that measures is started in between. p99
# is that of all round trips of a mode together, and how sure its ratio to quiet's is says operators.py.
#
#   quiet     nothing; somebody sleeps, wakes each second, and asks nothing
#   null      the same again: what differs between these two is chance
#   answers   status, metrics, flows (of all, the 20 oldest) and a capture of half a second, each second, by a program that does nothing with the answers
#   programs  the same by tmbridge's own command line
#   burners   programs that have nothing to do with the wire, which take as much processor time as those, and the control thread for them, as often,
#             with the same pause
#   starts    another program with as many libraries (tcpdump) is started and says its version, as often, with that pause
#   listing   all flows are asked for, again and again
#   others    two programs that have nothing to do with the wire make and read as much as a list is (chatters)
#   HOW       the socket is misused as tests/tools/misuse.c says, by somebody who may only look: half, endless, deaf, many, connect, ask, bytes, closing, sip;
#             and nobody, who does as connect does, and reaches none
#   own-HOW   the same by himself alone, at a socket of his own that nobody reads: what tmbridge has no part in
#
# Also: whether a frame was missed; and how many of the turns, one a second, were had in their second. Fewer than TURNS_PERCENT of them (95) are a failure. crowd
# opens the connections, so that a million take no time.
#
# KEEP is a directory for what was counted, for another look by operators.py. With ASKERS_ON=0 whoever does something is kept on the stream's processor, away from the round trips': what these lack then is what tmbridge takes.
source "$(dirname "${BASH_SOURCE[0]}")/../lab.sh"

FLOWS=${FLOWS:-200000}
ROUNDS=${ROUNDS:-20}
SLOT_S=${SLOT_S:-2}
SEED=${SEED:-$RANDOM}
ASKERS_ON=${ASKERS_ON:-}
readonly RUN=/run/tmbridge/eth0-eth1 IPERF=5201 TRIPS_PORT=5202 CAPTURE_SECONDS=0.5 CAPTURE_MS=500
# What others make at a time, as a list of all flows is made: 200 records.
readonly LIST_US=60 LIST_BYTES=55000
readonly LONG_S=7200 # nothing here takes as long
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
	lab_spawn trips-server fe1 taskset -c $TRIPS "$TOOLS/trips" serve 10.0.0.41 $TRIPS_PORT
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

on_its_processor() # PROGRAM...
{
	if [[ -z $ASKERS_ON ]]; then
		"$@"
	else
		taskset -c "$ASKERS_ON" "$@"
	fi
}

REQUESTS=(status metrics "flows --sort age_ms --limit 20")

ask_all()
{
	on_its_processor "$TMBRIDGE" status && on_its_processor "$TMBRIDGE" metrics &&
		on_its_processor "$TMBRIDGE" flows --limit 20 --sort age &&
		on_its_processor "$TMBRIDGE" capture -w - -t $CAPTURE_SECONDS host "$VIP"
}

# Each second; a turn is had if it is over before the next one is due.
each_second() # COMMAND...
{
	local had=0 turn begun now=${EPOCHREALTIME/[.,]/} good longest=0

	begun=$now
	for ((turn = 0; turn < SLOT_S; turn += 1 + (now - begun - turn * 1000000) / 1000000)); do
		sleep_until $((begun + turn * 1000000))
		good=0
		"$@" >/dev/null 2>"$LAB_DIR/asking.err" && good=1
		now=${EPOCHREALTIME/[.,]/}
		((now - begun - turn * 1000000 >= 1000000)) || had=$((had + good))
		((now - begun - turn * 1000000 <= longest)) || longest=$((now - begun - turn * 1000000))
	done
	echo "{\"had\":$had,\"of\":$SLOT_S,\"longest_ms\":$((longest / 1000))}"
}

# Without a program that is started for it.
sleep_until() # US
{
	local now

	while now=${EPOCHREALTIME/[.,]/} && ((now < $1)); do
		read -rt "$(((${1} - now) / 1000000)).$(printf %06d $(((${1} - now) % 1000000)))" -u "$NAP" || true
	done
}

# Four programs, as long as those of ask_all take (BURN_US), the last of which sleeps as a capture does.
burn_all()
{
	local quarter=$((BURN_US / 4))

	on_its_processor "$TOOLS/burn" $quarter 0 0 && on_its_processor "$TOOLS/burn" $quarter 0 0 &&
		on_its_processor "$TOOLS/burn" $quarter 0 0 &&
		on_its_processor "$TOOLS/burn" $((quarter / 2)) $CAPTURE_MS $((quarter / 2))
}

# Four programs that do nothing but begin and end, which is the kernel's work, and not theirs.
start_all()
{
	on_its_processor tcpdump --version && on_its_processor tcpdump --version && on_its_processor tcpdump --version &&
		read -rt 0.5 -u "$NAP"
	on_its_processor tcpdump --version
}

# What they take, and what the control thread takes for them, when they are warm. (What a worker does for them isn't told from what it does for the wire.)
measure_programs()
{
	local turn of=8

	ask_all >/dev/null 2>&1 || true
	mark calibrate
	for ((turn = 0; turn < of; turn++)); do
		ask_all >/dev/null 2>&1 || true
	done
	mark calibrated
	BURN_US=$(awk -v of=$of '{ us = $4 * 1000 + $6 / 1000 - before; before += us } END { printf "%d", us / of }' "$LAB_DIR/marks")
	: >"$LAB_DIR/marks"
	echo "# a turn of programs takes $BURN_US us of processor time, the control thread's among it"
}

ask() # MODE
{
	case $1 in
	quiet | null) "$TOOLS/asks" $RUN/control "$SLOT_S" "" 0 ;;
	answers) on_its_processor "$TOOLS/asks" $RUN/control "$SLOT_S" "host $VIP" $CAPTURE_MS "${REQUESTS[@]}" ;;
	programs) each_second ask_all ;;
	burners) each_second burn_all ;;
	starts) each_second start_all ;;
	listing) ask_for_all ;;
	others) on_its_processor "$TOOLS/chatters" "$SLOT_S" $LIST_US $LIST_BYTES ;;
	nobody) on_its_processor "$TOOLS/misuse" "$LAB_DIR/nobody" $((SLOT_S - 1)).9 "$1" ;;
	own-*) on_its_processor "$TOOLS/misuse" - $((SLOT_S - 1)).9 "${1#own-}" ;;
	*) on_its_processor "$TOOLS/misuse" $RUN/status $((SLOT_S - 1)).9 "$1" ;;
	esac
}

# Each flow, again and again: what is had are lists.
ask_for_all()
{
	local began=$SECONDS

	while ((SECONDS - began < SLOT_S)); do
		on_its_processor "$TOOLS/asks" $RUN/control 1 "" 0 flows
	done | jq -sc '{had: length, of: length, longest_ms: map(.longest_ms) | max, bytes: map(.bytes) | max}'
}

# Counters, at the begin of a slot: see operators.py. None of it starts a program.
mark() # MODE
{
	local stat line times bytes=0 process asked control turns task others=0

	read -r line <"/proc/$PID/stat"
	read -ra stat <<<"${line##*) }"
	process=$(((stat[11] + stat[12]) * 10))
	times >"$LAB_DIR/times" # of who was started here
	{ read -r _ && read -ra times; } <"$LAB_DIR/times"
	asked=$(($(ms "${times[0]}") + $(ms "${times[1]}")))
	while read -r line; do
		[[ $line != eth0:* ]] || read -r bytes _ <<<"${line#eth0:}"
	done <"/proc/$SERVER_PID/net/dev"
	for task in "/proc/$PID/task"/*; do
		read -r _ _ turns <"$task/schedstat" # ns on a processor, waiting for one, and how often it got one
		others=$((others + turns))
	done
	read -r control _ turns <"/proc/$PID/task/$PID/schedstat"
	echo "$1 ${EPOCHREALTIME/[.,]/} $process $asked $bytes $control $turns $((others - turns))" >>"$LAB_DIR/marks"
}

# 1m2.003s
ms() # TIME
{
	local minutes=${1%m*} seconds=${1#*m}

	seconds=${seconds%s}
	echo $(((minutes * 60 + ${seconds%[.,]*}) * 1000 + 10#${seconds#*[.,]}))
}

# The next slot is the first one that begins when the one before is over.
slot() # MODE ROUND
{
	local number=$((${EPOCHREALTIME/[.,]/} / SLOT_US + 1))

	sleep_until $((number * SLOT_US))
	mark "$1"
	echo "$number $1 $2" >>"$LAB_DIR/slots"
	ask "$1" >>"$LAB_DIR/turns.$1"
}

# In an order of its own.
round() # ROUND MODE...
{
	local mode

	while read -r mode; do
		slot "$mode" "$1"
	done < <(printf '%s\n' "${@:2}" | shuf --random-source=<(yes "$SEED $1"))
}

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
	local mode modes before status=0

	mapfile -t SETTINGS < <(tr ';' '\n' <<<"${SETTINGS:-}" | grep . || true)
	read -r -a modes <<<"${MODES:-quiet null answers programs burners}"
	SLOT_US=$((SLOT_S * 1000000))
	exec {NAP}<> <(:)
	set_up
	PID=$(figure_of version .pid)
	read -r SERVER_PID <"$LAB_DIR/iperf.pid"
	lab_spawn load client taskset -c $LOAD iperf3 -c 10.0.0.41 -p $IPERF -t $LONG_S
	lab_spawn trips client taskset -c $TRIPS "$TOOLS/trips" 10.0.0.41 $TRIPS_PORT $LONG_S $((SLOT_S * 1000))
	measure_programs
	before=$(lost)
	for ((r = 0; r < ROUNDS; r++)); do
		round $r "${modes[@]}"
	done
	sleep_until $(((${EPOCHREALTIME/[.,]/} / SLOT_US + 1) * SLOT_US))
	mark end
	echo "frames: $(echo "$before $(lost)" | awk '{ print $3 - $1 " missed, " $4 - $2 " not sent" }'); flows: $(figure .flows.open); SEED=$SEED"
	lab_signal trips TERM
	lab_wait trips 10 >/dev/null
	[[ -z ${KEEP:-} ]] || cp "$LAB_DIR/slots" "$LAB_DIR/trips.out" "$LAB_DIR/marks" "$KEEP"
	/usr/bin/python3 "${BASH_SOURCE[0]%.sh}.py" "$LAB_DIR/slots" "$LAB_DIR/trips.out" "$LAB_DIR/marks"
	for mode in "${modes[@]}"; do
		case $mode in
		quiet | null) ;;
		answers | programs | burners | starts | listing | others) tell_turns "$mode" || status=1 ;;
		*) jq -rsc --arg mode "$mode" '"\($mode): connected \(map(.connected) | add) times, takes \(map(.cpu_ms_s) | add / length | round) ms of a second himself"' "$LAB_DIR/turns.$mode" ;;
		esac
	done
	tmbridge_stop
	lab_down
	return $status
}

main
