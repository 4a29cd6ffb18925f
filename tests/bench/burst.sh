#!/bin/bash
#
# Many connections that all speak at once, through tmbridge and through the kernel's bridge in its place:
#
#	tests/lab.sh tests/bench/burst.sh [ROUNDS] [SUBJECT...]      subjects: bridge off kernel, off:rush=no off:nice=-20 off:fifo off:apart and the like
#
# Each round makes CONNECTIONS of them (124,000), over one SNAT address, and has each send a line in the same moment, which its
# server answers. A line of JSON for each: how long the last answer took, what was sent again in all, and what tmbridge's ports missed.
source "${BASH_SOURCE[0]%/*}/../lab.sh"

PROCESSES=8 ADDRESSES=10 CONNECTIONS=${CONNECTIONS:-124000}

burst_lines() # LINES-EACH
{
	[[ $(cat "$LAB_DIR"/burst? | wc -l) = $(($1 * PROCESSES)) ]]
}

# What the hosts have sent again so far.
burst_resent()
{
	local ns n=0

	for ns in client fe1 fe2; do
		n=$((n + $(in_ns $ns awk '/^Tcp: [0-9]/ { print $13 }' /proc/net/snmp)))
	done
	echo $n
}

burst_round() # ADDRESS-OF-EVEN-PROCESSES ADDRESS-OF-ODD-ONES
{
	local i go=() before

	for ((i = 0; i < PROCESSES; i++)); do
		rm -f "$LAB_DIR/go$i" "$LAB_DIR/burst$i"
		mkfifo "$LAB_DIR/go$i"
		in_ns client "$TOOLS/manyconns" connect -n $((CONNECTIONS / PROCESSES)) -w -b -t 60 -a 10.0.0.$((100 + i * ADDRESSES)) \
			-A $ADDRESSES "${@:1 + i % 2:1}" 5061 <"$LAB_DIR/go$i" >"$LAB_DIR/burst$i" &
		exec {go[i]}>"$LAB_DIR/go$i"
	done
	wait_until 60 burst_lines 1 || { cat "$LAB_DIR"/burst? "$LAB_DIR"/tmbridge.err; ls -la "$LAB_DIR"; exit 1; }
	before=$(burst_resent)
	for i in "${go[@]}"; do
		echo all >&"$i"
	done
	wait_until 120 burst_lines 2
	for i in "${go[@]}"; do
		exec {i}>&-
	done
	tail -qn 1 "$LAB_DIR"/burst? | jq -cs --arg subject "$SUBJECT" --argjson resent $(($(burst_resent) - before)) \
		'{subject: $subject, connected: (map(.connected) | add), echoed: (map(.echoed) | add), lost: (map(.lost) | add), longest_s: (map(.longest) | max), resent: $resent}'
}

# How its workers, and what else isn't its first thread, are scheduled by somebody else.
burst_schedule() # [nice=N|fifo|apart|...]
{
	local pid task

	read -r pid <"$LAB_DIR/tmbridge.pid"
	for task in "/proc/$pid/task"/*; do
		task=${task##*/}
		[[ $task != "$pid" ]] || continue
		case ${1:-} in
		nice=*) renice -n "${1#*=}" -p "$task" >/dev/null ;;
		fifo) chrt --fifo -p 1 "$task" ;;
		apart) taskset -p 1 "$task" >/dev/null ;;
		esac
	done
}

# The hosts' and switches' receiving is done by the second processor: not by that of the worker which sends to them, as on one machine.
burst_apart()
{
	local ns

	for ns in client fe1 fe2 switch segment; do
		in_ns $ns unshare --mount sh -c 'mount -t sysfs sysfs /sys
			for queue in /sys/class/net/*/queues/rx-0/rps_cpus; do
				case $queue in */lo/*) ;; *) echo 2 >"$queue" ;; esac
			done'
	done
}

for ((round = 0; round < ${1:-3}; round++)); do
	for SUBJECT in "${@:2}"; do
		lab_up addresses=$((PROCESSES * ADDRESSES)) ipv6=off
		[[ $SUBJECT != *:apart ]] || burst_apart
		server_tcp fe1 5061
		server_tcp fe2 5061
		if [[ $SUBJECT = bridge ]]; then
			lab_plain_wire
			wait_until 5 in_ns client ping -c 1 -W 1 10.0.0.41
			burst_round 10.0.0.41 10.0.0.42
		else
			rush=yes
			[[ $SUBJECT != *:rush=no ]] || rush=no
			lab_ini 'ports = 5061' 'bridge.max_connections = 200000' "bridge.fast_path = ${SUBJECT%%:*}" "bridge.rush = $rush"
			tmbridge_start "$LAB_DIR/lb.ini"
			[[ $SUBJECT != *:* ]] || burst_schedule "${SUBJECT#*:}"
			burst_round "$VIP" "$VIP"
			tmbridge_stats | jq -c '{rushes: .workers.rushes, missed: [.ports[].missed], send_failed: [.ports[].send_failed], received: [.ports[].received]}'
		fi
		lab_down
	done
done
