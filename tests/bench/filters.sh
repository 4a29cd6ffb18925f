#!/bin/bash
#
# What filters cost the wire that match none of its frames: FILTERS of them (64) of some 50 instructions each, by the kernel's path and
# by the process. tests/lab.sh bash tests/bench/filters.sh, or make bench-filters.
#
# Kinds (KINDS):
#	hosts	IPv4 addresses that the frames aren't from or to, 47 in each filter
#	ports	TCP and UDP ports that the frames don't have, 22 in each, from nets that they aren't from
#	mixed	half of either, IPv6, VLANs, ICMP and ARP
#	worst	sums of bytes, of which nothing can be known before: each frame runs all instructions of all filters
#
# Figures, all past the VIP, between client and fe1:
#	bulk	TCP in one stream, Gbit/s
#	trips	round trips of 64 bytes on one TCP connection, a second
#	small	UDP of 16 bytes, as many as can be sent: thousands a second. How many of them are read in the end is up to the other
#		processor, and isn't counted
#
# Everything is on processor 0, but what receives the small ones, and tmbridge without the fast path: so each rate is one over the time that
# a unit of work takes. One tmbridge runs; a reload brings filters or takes them away, in turns, the order turned each of RUNS rounds (5) of
# SECONDS_EACH seconds (1) for each figure. What is printed are the medians, and of the rounds' ratios median and range: with filters, of
# without.
source "$(dirname "${BASH_SOURCE[0]}")/../lab.sh"

RUNS=${RUNS:-5} SECONDS_EACH=${SECONDS_EACH:-1} FILTERS=${FILTERS:-64}
PATHS=${PATHS:-kernel off} KINDS=${KINDS:-hosts ports mixed worst} FIGURES=${FIGURES:-bulk trips small}
IPERF=5201 IPERF_SMALL=5203 SOCKPERF=5202
RESULTS=$LAB_DIR/results

several() # COUNT TEXT FIRST: "TEXT or TEXT or ...", & in which is a number
{
	seq "$3" $(($3 + $1 - 1)) | sed "s/.*/$2/" | paste -sd'|' | sed 's/|/ or /g'
}

# An expression of about 50 instructions.
expression() # KIND NUMBER
{
	case $1 in
	hosts) echo "ip and tcp and (src host 192.168.1.$2 or dst host $(several 42 '192.168.2.&' 1))" ;;
	ports) echo "src net 172.16.$2.0/24 and (tcp or udp) and ($(several 17 'port 20&' 10))" ;;
	worst) echo "ip[8] + ip[9] = $((600 + $2)) or $(several 28 'ip[8] + ip[9] + ip[1] = 1&' 100)" ;;
	mixed)
		case $(($2 % 8)) in
		0 | 1 | 2) expression hosts "$2" ;;
		3 | 4) expression ports "$2" ;;
		5) echo "ip6 and (dst host $(several 40 'fd99::&' 10))" ;;
		6) echo "icmp and ($(several 40 'icmp[0] = &' 100))" ;;
		7) echo "arp and (arp host $(several 15 '172.17.2.&' 1)) or vlan $2 and tcp dst port 25" ;;
		esac
		;;
	esac
}

filters_ini() # PATH KIND
{
	local i

	lab_ini 'ports = 80' "bridge.fast_path = $1"
	[[ $2 != none ]] || return 0
	for ((i = 0; i < FILTERS; i++)); do
		printf '[filter f%s]\nmatch = %s\naction = drop\n' $i "$(expression "$2" $i)"
	done >>"$LAB_DIR/lb.ini"
}

# Whatever it was before, these filters are in use when this ends, and where they should be.
use() # PATH KIND
{
	local before n=$FILTERS

	[[ $2 != none ]] || n=0
	cp "$LAB_DIR/$1-$2.ini" "$LAB_DIR/lb.ini"
	before=$(grep -c 'reloaded' "$LAB_DIR/tmbridge.err" || true)
	lab_signal tmbridge HUP
	wait_until 20 eval "[[ \$(grep -c 'reloaded' $LAB_DIR/tmbridge.err) -gt $before ]]"
	tmbridge_counts '[.fast_path.active, (.filters | length)]' "[$([[ $1 = kernel ]] && echo true || echo false),$n]"
}

measure() # FIGURE
{
	case ${1%%:*} in
	bulk)
		in_ns client taskset -c 0 iperf3 -J -c 10.0.0.41 -p $IPERF -t "$SECONDS_EACH" | jq '.end.sum_received.bits_per_second / 1e9'
		;;
	trips)
		in_ns client taskset -c 0 sockperf ping-pong --tcp -i 10.0.0.41 -p $SOCKPERF -m 64 -t "$SECONDS_EACH" --full-rtt |
			sed -nE 's/.*SentMessages=([0-9]+).*/\1/p' | awk -v s="$SECONDS_EACH" 'NR == 1 { print $1 / s }'
		;;
	small)
		in_ns client taskset -c 0 iperf3 -J -c 10.0.0.41 -p $IPERF_SMALL -u -b 0 -l 16 -t "$SECONDS_EACH" |
			jq '.end.sum | .packets / .seconds / 1e3'
		;;
	esac
}

turn() # ROUND PATH KIND FIGURE
{
	use "$2" "$3"
	echo "$1 $2 $3 $4 $(measure "$4")" | tee -a "$RESULTS" >&2
}

path_rounds() # PATH
{
	local kind figure round pin=0

	[[ $1 = kernel ]] || pin=1
	for kind in none $KINDS; do
		filters_ini "$1" "$kind"
		cp "$LAB_DIR/lb.ini" "$LAB_DIR/$1-$kind.ini"
	done
	filters_ini "$1" none
	lab_spawn tmbridge tmb taskset -c $pin "$TMBRIDGE" eth0 eth1 -f "$LAB_DIR/lb.ini" -s "$LAB_DIR/stats.json"
	wait_until 20 tmbridge_is_up
	for ((round = 0; round < RUNS; round++)); do
		for kind in $KINDS; do
			for figure in $FIGURES; do
				if ((round % 2)); then
					turn $round "$1" "$kind" "$figure"
					turn $round "$1" "none" "$figure:$kind"
				else
					turn $round "$1" "none" "$figure:$kind"
					turn $round "$1" "$kind" "$figure"
				fi
			done
		done
	done
	tmbridge_stop
}

summary()
{
	jq -Rrs --arg kinds "$KINDS" --arg paths "$PATHS" --arg figures "$FIGURES" '
		def median: sort | if length % 2 == 1 then .[length / 2 | floor] else (.[length / 2 - 1] + .[length / 2]) / 2 end;
		def cell: . * 1000 | round / 1000 | tostring;
		[split("\n")[] | select(. != "") | split(" ") | {round: .[0], path: .[1], kind: .[2], figure: .[3], value: (.[4] | tonumber)}] as $all |
		(["path", "filters", "figure", "without", "with", "ratio", "least", "most"],
		($paths | split(" ")[]) as $path | ($kinds | split(" ")[]) as $kind | ($figures | split(" ")[]) as $figure |
		([$all[] | select(.path == $path and .kind == $kind and .figure == $figure)] as $with |
		[$all[] | select(.path == $path and .kind == "none" and .figure == ($figure + ":" + $kind))] as $without |
		[$with[] as $w | $without[] | select(.round == $w.round) | $w.value / .value] as $ratios |
		[$path, $kind, $figure, ($without | map(.value) | median | cell), ($with | map(.value) | median | cell),
			($ratios | median | cell), ($ratios | min | cell), ($ratios | max | cell)])) | @tsv' "$RESULTS" 2>/dev/null |
		column -t -s $'\t'
}

main()
{
	local path kind

	lab_up ipv6=off
	lab_spawn iperf fe1 taskset -c 0 iperf3 -s -p $IPERF
	lab_spawn iperf-small fe1 taskset -c 1 iperf3 -s -p $IPERF_SMALL
	lab_spawn sockperf fe1 taskset -c 0 sockperf server --tcp -i 10.0.0.41 -p $SOCKPERF
	wait_until 5 server_listens fe1 $SOCKPERF
	for kind in $KINDS; do
		echo "$kind: $(tcpdump -y EN10MB -d "$(expression "$kind" 1)" 2>/dev/null | wc -l) instructions, as the second one" >&2
	done
	for path in $PATHS; do
		path_rounds "$path"
	done
	summary
}

main
