#!/bin/bash
#
# What operators cost the wire: tests/lab.sh tests/bench/operators.sh, or make bench-operators.
#
# FLOWS connections are open through the VIP (200000), a TCP stream crosses the wire as fast as it can, and beside it round
# trips of 64 bytes are timed on the wire. In turns, SECONDS_EACH seconds each (8), nobody asks anything, and
# status, flows (all of them), metrics and a capture are asked for each second. ROUNDS of both (8). The result is the median of the
# rounds' p99, and of their ratio, since only what is measured one after the other can be compared; and whether
# a frame was missed, by either. Askers have the lowest priority, as the machine has no processor to spare for them.
source "$(dirname "${BASH_SOURCE[0]}")/../lab.sh"

FLOWS=${FLOWS:-200000}
ROUNDS=${ROUNDS:-8}
SECONDS_EACH=${SECONDS_EACH:-8}
PORTS=(5061 5062 5063 5064)
PROCESSES=12 ADDRESSES=2 # of clients, each with its own addresses: a process may have but 20,000 files
readonly IPERF=5201 SOCKPERF=5202 CAPTURE_SECONDS=0.5

set_up()
{
	local server port

	lab_up addresses=$((PROCESSES * ADDRESSES))
	for server in fe1 fe2; do
		for port in "${PORTS[@]}"; do
			lab_spawn "$server-$port" $server "$TOOLS/manyconns" serve $server "$port"
		done
	done
	lab_spawn iperf fe1 iperf3 -s -p $IPERF -B 10.0.0.41
	lab_spawn sockperf fe1 sockperf server --tcp -i 10.0.0.41 -p $SOCKPERF
	lab_ini "ports = 5061-5064" 'bridge.max_connections = 1000000' "${SETTINGS[@]}"
	tmbridge_start "$LAB_DIR/lb.ini"
}

open_flows()
{
	local i

	for ((i = 0; i < PROCESSES; i++)); do
		mkfifo "$LAB_DIR/go$i"
		in_ns client "$TOOLS/manyconns" connect -n $((FLOWS / PROCESSES)) -w -t 60 -a "10.0.0.$((100 + i * ADDRESSES))" -A $ADDRESSES \
			"$VIP" "${PORTS[i % 4]}" <"$LAB_DIR/go$i" >"$LAB_DIR/many$i" &
		exec {go[i]}>"$LAB_DIR/go$i"
	done
	for ((i = 0; i < PROCESSES; i++)); do
		wait_until 60 test -s "$LAB_DIR/many$i"
	done
	echo "# $(cat "$LAB_DIR"/many* | jq -s 'map(.connected) | add') connected"
}

figure() # JQ
{
	"$TMBRIDGE" status -o json | sed -n 1p | jq "$1"
}

# Frames that had no room when they came, and such as the way out didn't take.
lost()
{
	figure '([.ports[].missed] | add), ([.ports[].send_failed] | add)' | paste -s -d ' '
}

ask_all()
{
	"$TMBRIDGE" status
	"$TMBRIDGE" metrics
	"$TMBRIDGE" flows --limit 20 --sort age
	"$TMBRIDGE" capture -w - -t $CAPTURE_SECONDS host 10.0.0.110 | wc -c
}

# Each second, or when the one before is done, until it is ended.
ask()
{
	local next=$SECONDS asked=0

	trap 'echo $asked >"$LAB_DIR/asked"; exit' TERM
	while true; do
		ask_all >/dev/null 2>&1
		asked=$((asked + 1))
		while ((SECONDS <= next)); do sleep 0.05; done
		next=$SECONDS
	done
}

# In microseconds.
p99()
{
	in_ns client sockperf ping-pong --tcp -i 10.0.0.41 -p $SOCKPERF -m 64 -t "$SECONDS_EACH" --full-rtt 2>/dev/null |
		sed -n 's/.*percentile 99.000 = *\([0-9.]*\).*/\1/p'
}

round() # quiet | asked
{
	local asker before

	before=$(lost)
	in_ns client iperf3 -c 10.0.0.41 -p $IPERF -t $((SECONDS_EACH + 1)) -J >"$LAB_DIR/iperf.json" &
	sleep 0.5
	if [[ $1 = asked ]]; then
		ask &
		asker=$!
		renice -n 19 -p $asker >/dev/null
	fi
	p99
	if [[ $1 = asked ]]; then
		kill $asker
		wait $asker || true
	fi
	wait %?iperf3 2>/dev/null || true
	echo "$before $(lost)" >>"$LAB_DIR/lost.$1"
}

lost_in() # quiet | asked
{
	awk '{ missed += $3 - $1; unsent += $4 - $2 } END { print missed + 0 " missed, " unsent + 0 " not sent" }' "$LAB_DIR/lost.$1"
}

main()
{
	local quiet asked

	mapfile -t SETTINGS < <(tr ';' '\n' <<<"${SETTINGS:-}" | grep . || true)
	set_up
	open_flows
	for ((r = 0; r < ROUNDS; r++)); do
		if ((r % 2)); then
			asked=$(round asked) quiet=$(round quiet)
		else
			quiet=$(round quiet) asked=$(round asked)
		fi
		echo "$quiet $asked $(jq '.end.sum_received.bits_per_second / 1e9' "$LAB_DIR/iperf.json") $(<"$LAB_DIR/asked")" | tee -a "$LAB_DIR/rounds"
	done
	/usr/bin/python3 - "$LAB_DIR/rounds" <<-'END'
		import statistics, sys
		rows = [[float(x) for x in line.split()] for line in open(sys.argv[1])]
		quiet, asked = [r[0] for r in rows], [r[1] for r in rows]
		print(f"p99 of a round trip on the wire: {statistics.median(quiet):.0f} us, asked {statistics.median(asked):.0f} us;"
		      f" ratio {statistics.median([a / q for q, a in zip(quiet, asked)]):.3f}")
	END
	echo "flows: $(figure .flows.open); frames: $(lost_in quiet); asked: $(lost_in asked)"
	tmbridge_stop
	lab_down
}

main
