#!/bin/bash
#
# What checks cost the wire: round trips across it while SERVERS x 16 checks every 5 s are made, and while there are none, in turns.
#
#	tests/lab.sh tests/bench/probes.sh [ROUNDS]
#
# All the servers are one host, which refuses (RST) what isn't listened to: an answer all the same. A line of JSON for each turn: how
# many probes a second there were, and of 2000 pings of the wire, one each 2 ms, the 50th and 99th percentile and the longest, in ms.
source "${BASH_SOURCE[0]%/*}/../lab.sh"

SERVERS=${SERVERS:-4095}

probes_ini() # CHECKS
{
	printf '[bridge]\nmax_connections = 10000\nfast_path = %s\n' "$FAST_PATH"
	awk -v n="$SERVERS" -v checks="$1" 'BEGIN {
		print "[farm many]\nvip = 10.0.0.50\nports = 1-100\ncheck_interval = 5s\non_down = keep"
		if (checks) {
			printf "check = 1"
			for (i = 2; i <= checks; i++)
				printf ", %d", i
			print ""
		}
		for (i = 0; i < n; i++)
			printf "[server s%d]\nfarm = many\naddress = 10.1.%d.%d\n", i, i / 250, 1 + i % 250
	}' >"$LAB_DIR/many.ini"
	cat "$LAB_DIR/many.ini"
}

probes_so_far()
{
	tmbridge_stats | jq '[.farms[].servers[] | .probes_ok + .probes_failed] | add'
}

probes_turn() # CHECKS
{
	local before after at

	probes_ini "$1" >"$LAB_DIR/lb.ini"
	tmbridge_start "$LAB_DIR/lb.ini"
	sleep 6 # the first probes aren't spread yet
	before=$(probes_so_far)
	at=$EPOCHREALTIME
	in_ns client ping -i 0.002 -w 20 -c 2000 -s 56 10.0.0.42 >"$LAB_DIR/pings" || true
	after=$(probes_so_far)
	sed -nE 's/.*time=([0-9.]+) ms$/\1/p' "$LAB_DIR/pings" | sort -n | awk -v checks="$1" \
		-v rate="$(bc <<<"($after - $before) / ($EPOCHREALTIME - $at)")" '{ t[NR] = $1 } END {
		printf "{\"checks\":%d,\"probes_s\":%d,\"pings\":%d,\"p50\":%.3f,\"p99\":%.3f,\"p999\":%.3f,\"longest\":%.3f}\n",
			checks, rate, NR, t[int(NR / 2)], t[int(NR * 0.99)], t[int(NR * 0.999)], t[NR] }'
	tmbridge_stop
}

lab_up ipv6=off
ip -n fe1 route add local 10.1.0.0/16 dev lo
ip -n fe1 addr add 10.1.255.1/16 dev eth0
for ((round = 0; round < ${1:-3}; round++)); do
	probes_turn 0
	probes_turn 16
done
