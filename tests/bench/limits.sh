#!/bin/bash
#
# What a flood of SYNs from one address does to the others: connect times of an honest client, one connection after the other, while
# nobody floods (none), the same flood goes along another cable (elsewhere), and it goes to the VIP, with a client_rate (limited). Two more rows are
# had by ROWS: past the VIP to a server's own address (past), and to the VIP without a client_rate (unlimited); both last minutes, as
# connects wait for seconds. tests/lab.sh bash tests/bench/limits.sh, or make bench-limits.
#
# The flood comes from processor 1 as fast as it goes; client, servers and tmbridge are on processor 0. Both may be halves of one core, so
# what the flood costs the others by keeping the machine busy is the row elsewhere. The rows take turns in each of RUNS rounds (5), the order
# turned each time; CONNECTS connections (20000) each. SETTINGS: of [bridge], such as bridge.fast_path=kernel.
source "$(dirname "${BASH_SOURCE[0]}")/../lab.sh"

ROWS=${ROWS:-none elsewhere limited} RUNS=${RUNS:-5} CONNECTS=${CONNECTS:-20000} SETTINGS=${SETTINGS:-}
PORT=5061 FLOODER=10.0.0.66

# Prints p50 and p99 in us, and how many weren't answered within 0.9 s, before a SYN is sent again.
connect_times()
{
	in_ns client taskset -c 0 /usr/bin/python3 - "$VIP" "$PORT" "$CONNECTS" <<-END
		import socket, struct, sys, time
		times = []
		for i in range(int(sys.argv[3])):
		    s = socket.socket()
		    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
		    s.settimeout(30)
		    t = time.perf_counter()
		    s.connect((sys.argv[1], int(sys.argv[2])))
		    times.append(time.perf_counter() - t)
		    s.close()
		times.sort()
		print(round(times[len(times) // 2] * 1e6), round(times[len(times) * 99 // 100] * 1e6), sum(t > 0.9 for t in times))
	END
}

flood() # INTERFACE ADDRESS MAC
{
	lab_spawn flood dc taskset -c 1 "$TOOLS/synflood" "$1" "$3" "$2" "$PORT" 60 "$FLOODER"
	sleep 0.3
}

row() # none|elsewhere|past|limited|unlimited
{
	local limits=()

	[[ $1 = unlimited ]] || limits=('client_rate = 20' 'on_limit = drop' 'client_exempt = 10.0.0.100')
	lab_ini "ports = $PORT" "${limits[@]}" $SETTINGS
	lab_spawn tmbridge tmb taskset -c 0 "$TMBRIDGE" eth0 eth1 -f "$LAB_DIR/lb.ini" -s "$LAB_DIR/stats.json"
	wait_until 10 tmbridge_is_up
	case $1 in
	elsewhere) flood away "$VIP" 02:00:00:00:00:01 ;;
	past) flood eth0 10.0.0.42 02:00:00:00:00:42 ;;
	limited | unlimited) flood eth0 "$VIP" 02:00:00:00:00:01 ;;
	esac
	echo "$1 $(connect_times) $(tmbridge_stats | jq -r '"\(.limits.rate) \(.frames.received)"')"
	[[ $1 = none ]] || lab_kill flood
	tmbridge_stop >/dev/null
}

main()
{
	local round rows

	lab_up
	ip -n dc link add away type veth peer name away-end
	ip -n dc link set away up
	ip -n dc link set away-end up
	server_tcp fe1 "$PORT"
	server_tcp fe2 "$PORT"
	for ((round = 0; round < RUNS; round++)); do
		rows=$ROWS
		((round % 2 == 0)) || rows=$(printf '%s\n' $ROWS | tac)
		for kind in $rows; do
			row "$kind"
		done
	done | tee "$LAB_DIR/rows" >&2
	printf '%-10s %8s %8s %12s\n' flood p50_us p99_us late
	for kind in $ROWS; do
		awk -v k="$kind" '$1 == k { print $2, $3, $4 }' "$LAB_DIR/rows" |
			jq -Rrs --arg k "$kind" '[split("\n")[] | select(. != "") | split(" ") | map(tonumber)] |
				def median: sort | .[length / 2 | floor]; [$k, (map(.[0]) | median), (map(.[1]) | median), (map(.[2]) | add)] | @tsv'
	done
}

main
