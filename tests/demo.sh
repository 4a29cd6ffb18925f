#!/bin/bash
#
# Walks through what an OCS 2007 R2 pool asks of its load balancer, in the lab, and fails loudly if
# any of it isn't so. With STAY=1 it stays up in the end, with connections and a console to look at, until Enter or Ctrl-C.
set -euo pipefail

source "$(dirname "${BASH_SOURCE[0]}")/lab.sh"
if [[ -z ${LAB_HOST_NET:-} ]]; then
	exec 8</proc/self/ns/net # where the console is reached, if it stays
	lab_enter "$0" "$@"
fi
STAY=${STAY:-}

BOLD='' DIM='' GREEN='' RED='' PLAIN=''
if [[ -t 1 ]]; then
	BOLD=$'\e[1m' DIM=$'\e[2m' GREEN=$'\e[32m' RED=$'\e[31m' PLAIN=$'\e[0m'
fi
PORTS="135 443 444 5060 5061 5065 5069 5071 5072 5073 5074 8404"
STEP=0

step() # TITLE
{
	STEP=$((STEP + 1))
	printf '\n%s%d. %s%s\n' "$BOLD" "$STEP" "$1" "$PLAIN"
}

doing() # WHAT
{
	printf '   %s%s%s\n' "$DIM" "$1" "$PLAIN"
}

seen() # reads lines
{
	sed 's/^/     /'
}

check() # WHAT COMMAND...
{
	if "${@:2}" >/dev/null; then
		printf '   %sok%s  %s\n' "$GREEN" "$PLAIN" "$1"
	else
		printf '   %sNOT SO%s  %s\n' "$RED" "$PLAIN" "$1"
		exit 1
	fi
}

finish()
{
	local status=$?

	[[ $status = 0 ]] || printf '\n%sThe demo failed at step %d.%s\n' "$RED" "$STEP" "$PLAIN" >&2
	exit "$status"
}

connect() # NAMESPACE ADDRESS N
{
	in_ns "$1" "$TOOLS/manyconns" connect -n "$3" -j 1 -c -g "$2" 5061
}

answer_matches() # PATTERN
{
	grep -qE "$1" <<<"$ANSWER"
}

alternates() # N
{
	[[ $(cut -d' ' -f1 <<<"$ANSWER" | uniq | wc -l) = "$1" && $(wc -l <<<"$ANSWER") = "$1" ]]
}

front_end() # NUMBER
{
	lab_spawn "ocsfe0$1" "fe$1" "$TOOLS/manyconns" serve "ocsfe0$1" $PORTS
	wait_until 5 server_listens "fe$1" 8404
}

scene()
{
	step "The scene"
	cat <<-END | seen
		client 10.0.0.100 ─┐                                     ┌─ ocsfe01 10.0.0.41
		                   ├─ switch ─ eth0 [tmbridge] eth1 ─────┤
		dc     10.0.0.10  ─┘        VIP 10.0.0.40                └─ ocsfe02 10.0.0.42
	END
	lab_up
	front_end 1
	front_end 2
	cat >"$LAB_DIR/lb.ini" <<-END
		[farm ocspool]
		vip = 10.0.0.40
		preset = ocs2007r2
		check_interval = 1s        ; the preset's 5s would make this demo long
		check_timeout = 500ms

		[server ocsfe01]
		farm = ocspool
		address = 10.0.0.41

		[server ocsfe02]
		farm = ocspool
		address = 10.0.0.42
	END
	doing "tmbridge eth0 eth1 -f lb.ini, with this lb.ini:"
	seen <"$LAB_DIR/lb.ini"
	tmbridge_start "$LAB_DIR/lb.ini"
	check "tmbridge is up, and both Front Ends answer its probes" wait_until 10 tmbridge_is_served 2
}

repeated_connects()
{
	step "Repeated connects to the VIP"
	doing "client: ten connects to $VIP:5061, one after the other; which server answered:"
	ANSWER=$(connect client "$VIP" 10)
	cut -d' ' -f1 <<<"$ANSWER" | paste -sd' ' | seen
	check "they alternate between the two servers" alternates 10
	doing "client: a connect to each of the pool's twelve ports"
	ANSWER=$(for port in $PORTS; do
		in_ns client "$TOOLS/manyconns" connect -c -g "$VIP" "$port"
	done)
	check "all twelve are served" all_ports_answer
}

all_ports_answer()
{
	[[ $(sed 's/.*://' <<<"$ANSWER" | paste -sd' ') = "$PORTS" ]]
}

# The SYN of the connection, as ADDRESS:PORT -> ADDRESS:PORT, in a capture's text.
first_syn() # CAPTURE
{
	sed -nE 's/.*IP ([0-9.]+)\.([0-9]+) > ([0-9.]+)\.([0-9]+): Flags \[S\].*/\1:\2 -> \3:\4/p' "$1" | sed -n 1p
}

four_addresses()
{
	step "One connection's four addresses, on both sides of the bridge"
	doing "client: one connect to $VIP:5061, with a capture of the wire at either side of tmbridge:"
	for side in switch segment; do
		lab_spawn "$side-syn" "$side" tcpdump -i tmb -n -l --immediate-mode \
			'tcp port 5061 and tcp[tcpflags] & tcp-syn != 0 and not src host 10.0.0.10'
		wait_until 5 grep -q listening "$LAB_DIR/$side-syn.err"
	done
	# Probes go to 5061 as well: the connection is the one whose server says the same port.
	ANSWER=$(connect client "$VIP" 1)
	snat=$(cut -d' ' -f2 <<<"$ANSWER")
	server=$(cut -d' ' -f3 <<<"$ANSWER")
	wait_until 5 grep -q "${snat##*:} >" "$LAB_DIR/segment-syn.out"
	grep "\.${snat##*:} >" "$LAB_DIR/segment-syn.out" >"$LAB_DIR/segment-syn.own"
	outside=$(first_syn "$LAB_DIR/switch-syn.out")
	inside=$(first_syn "$LAB_DIR/segment-syn.own")
	printf 'outside:  %s\ninside:   %s\n' "$outside" "$inside" | seen
	check "outside: from the client to the VIP" test "${outside%%:*} ${outside##* }" = "10.0.0.100 $VIP:5061"
	check "inside: from the SNAT address to the server that answered" test "$inside" = "$snat -> $server"
	check "source and destination are both rewritten" both_rewritten
}

both_rewritten()
{
	[[ ${inside%%:*} = "$VIP" && $server = 10.0.0.4[12]:5061 ]]
}

direct()
{
	step "A Front End on its own address"
	doing "dc: connects to ocsfe01, 10.0.0.41:5061"
	ANSWER=$(connect dc 10.0.0.41 1)
	seen <<<"$ANSWER"
	check "ocsfe01 sees dc's own address: straight through the wire" \
		answer_matches '^ocsfe01 10\.0\.0\.10:[0-9]+ 10\.0\.0\.41:5061$'
	check "ping, IPv4" in_ns client ping -q -c 2 -i 0.1 10.0.0.42
	check "ping, IPv6" in_ns client ping -q -c 2 -i 0.1 fd00::42
}

among_front_ends()
{
	step "Front End to Front End"
	doing "ocsfe01: connects to ocsfe02, 10.0.0.42:5061"
	ANSWER=$(connect fe1 10.0.0.42 1)
	seen <<<"$ANSWER"
	check "no address is rewritten" answer_matches '^ocsfe02 10\.0\.0\.41:[0-9]+ 10\.0\.0\.42:5061$'
}

hairpin()
{
	step "Front End to the VIP (hairpin)"
	doing "ocsfe01: six connects to $VIP:5061; who answered, whom it saw, and where:"
	ANSWER=$(connect fe1 "$VIP" 6)
	seen <<<"$ANSWER"
	check "all six are answered, alternating" alternates 6
	check "by the other Front End" answer_matches '^ocsfe02 10\.0\.0\.40:[0-9]+ 10\.0\.0\.42:5061$'
	check "and by the very one that asked" answer_matches '^ocsfe01 10\.0\.0\.40:[0-9]+ 10\.0\.0\.41:5061$'
}

# A connection that stays in read() until somebody ends it.
hold() # NAME
{
	lab_spawn "$1" client bash -c "exec 3<>/dev/tcp/$VIP/5061; exec cat <&3"
	wait_until 5 grep -q ocsfe "$LAB_DIR/$1.out"
}

# What tmbridge has said of ocsfe01 since the log had so many lines.
said_since() # LINES PATTERN
{
	tail -n "+$(($1 + 1))" "$LAB_DIR/tmbridge.err" | grep -E "server ocsfe01: $2"
}

rehearse() # HOW-IT-FAILS HOW-IT-RETURNS
{
	local lines

	lines=$(wc -l <"$LAB_DIR/tmbridge.err")
	doing "client: two connections to $VIP:5061, one on either server, both waiting for an answer"
	hold held1
	hold held2
	on_first=held1 on_second=held2
	grep -q ocsfe01 "$LAB_DIR/held1.out" || on_first=held2 on_second=held1
	"$1"
	check "within 3 failed probes, 1 s apart, ocsfe01 is out; tmbridge says:" wait_until 5 said_since "$lines" down
	said_since "$lines" down | seen
	check "the connection on it is over by then: the client's read() ended with" \
		wait_until 1 test -s "$LAB_DIR/$on_first.status"
	{ grep . "$LAB_DIR/$on_first.err" || echo "end of file: the server's kernel closed it"; } | seen
	check "the other one isn't" test ! -s "$LAB_DIR/$on_second.status"
	ANSWER=$(connect client "$VIP" 4)
	check "who reconnects, by any of four connects, lands on ocsfe02" all_on ocsfe02
	lines=$(wc -l <"$LAB_DIR/tmbridge.err")
	"$2"
	check "after two good probes it is back; tmbridge says:" wait_until 8 said_since "$lines" up
	said_since "$lines" up | seen
	ANSWER=$(connect client "$VIP" 6)
	check "and it gets connections again" answer_matches '^ocsfe01 '
	lab_kill "$on_second"
}

all_on() # SERVER
{
	[[ $(cut -d' ' -f1 <<<"$ANSWER" | sort -u) = "$1" ]]
}

stop_service()
{
	doing "ocsfe01: the service is stopped (SIGKILL)"
	lab_kill ocsfe01
}

start_service()
{
	doing "ocsfe01: the service is started again"
	front_end 1
}

cut_link()
{
	doing "ocsfe01: its cable is pulled"
	ip -n segment link set fe1 down
}

join_link()
{
	doing "ocsfe01: its cable is plugged in again"
	ip -n segment link set fe1 up
}

failures()
{
	step "The failure rehearsal: a service stops"
	rehearse stop_service start_service
	step "The failure rehearsal: a link is cut"
	rehearse cut_link join_link
}

# ---- The operator's hands ----

ask() # VERB...
{
	doing "tmbridge $*"
	ANSWER=$("$TMBRIDGE" "$@")
	seen <<<"$ANSWER"
}

# What a server sees as the held connection's peer: one of ours.
peer_of() # NAME
{
	grep -oE '10\.0\.0\.40:[0-9]+' "$LAB_DIR/$1.out" | sed -n 1p
}

drains() # NAME: its connection, and then the order itself
{
	lab_spawn drain tmb "$TMBRIDGE" server drain ocsfe01 --wait 30s
	wait_until 5 state_is ocsfe01 drain
	ANSWER=$(connect client "$VIP" 4)
	all_on ocsfe02 && [[ ! -s $LAB_DIR/drain.status ]] || return 1
	lab_kill "$1"
	wait_until 10 grep -qx 0 "$LAB_DIR/drain.status"
}

state_is() # SERVER STATE
{
	"$TMBRIDGE" status -o json | sed -n 1p |
		jq -e --arg name "$1" --arg state "$2" '.farms[].servers[] | select(.name == $name) | .state == $state'
}

operator()
{
	local peer

	step "The operator's hands"
	ask status
	check "the farm and both Front Ends are up" answer_matches 'farm ocspool +10.0.0.40 +up'
	doing "client: two connections that stay, one on either server"
	hold held3
	hold held4
	on_first=held3 on_second=held4
	grep -q ocsfe01 "$LAB_DIR/held3.out" || on_first=held4 on_second=held3
	peer=$(peer_of "$on_first")
	ask who "$peer"
	check "$peer, as ocsfe01 sees its peer, is the client 10.0.0.100" answer_matches '10\.0\.0\.100'
	doing "tmbridge server drain ocsfe01 --wait 30s: new connections go to ocsfe02, and it returns when the last one has ended"
	check "so it is" drains "$on_first"
	ask config diff
	check "what was changed is known, beside the file" answer_matches 'ocsfe01'
	ask server enable ocsfe01
	ANSWER=$(connect client "$VIP" 6)
	check "and it gets connections again" answer_matches '^ocsfe01 '
	lab_kill "$on_second"
	doing "tmbridge metrics"
	"$TMBRIDGE" metrics | grep -E '^tmbridge_(server_up|connect_seconds_count|flows_open)' | seen
}

# In the lab, or with STAY where the one who looks is.
console()
{
	local where=lab

	step "The console"
	if [[ -n $STAY ]]; then
		ln -s "/proc/$$/fd/8" /run/netns/host
		where=host
	else
		ip link set lo up
	fi
	lab_spawn console $where "$CONSOLE"
	check "tmbridge-console is up" wait_until 10 grep -q 'console: http' "$LAB_DIR/console.err"
	URL=$(sed -n 's/.*console: //p' "$LAB_DIR/console.err")
	check "it serves the figures" in_ns $where curl -sSf -o "$LAB_DIR/metrics" "${URL}metrics"
	if [[ -n $STAY ]]; then
		doing "look at $URL"
	else
		doing "make demo STAY=1 leaves all this up, with the console at $URL"
	fi
}

# Until Enter, or Ctrl-C. What runs here has its sockets in here, too: so verbs are typed here.
stay()
{
	local words

	step "It stays"
	doing "The console is at $URL. Clients connect and wait and close. Type what tmbridge is to be asked: status, flows,"
	doing "top --once, server drain ocsfe01 --wait 10s, who $VIP:5061, events. Enter alone, or Ctrl-C, ends it all."
	while :; do
		in_ns client "$TOOLS/manyconns" connect -n $((RANDOM % 40 + 5)) -t $((RANDOM % 3 + 1)) "$VIP" 5061 >/dev/null || true
		sleep 0.5
	done &
	while read -r -p "tmbridge " -a words; do
		((${#words[@]})) || return 0
		"$TMBRIDGE" "${words[@]}" || true
	done
	sleep infinity
}

statistics()
{
	step "The statistics"
	doing "kill -USR1, then the file of --stats:"
	STATS=$(tmbridge_stats)
	jq '{frames, reasons, flows, servers: [.farms[].servers[] | {name, health, connections_total}]}' \
		<<<"$STATS" | seen
	check "received = bridged + forwarded + answered + dropped = all reasons" add_up
	check "65 connections were made through the VIP" test "$(jq .flows.created <<<"$STATS")" = 65
	check "one of them was reset because its server was down" test "$(jq .flows.server_down <<<"$STATS")" = 1
	[[ -z $STAY ]] || stay
	tmbridge_stop
	check "SIGTERM ends it with status 0" true
}

add_up()
{
	stats_add_up <<<"$STATS"
}

# ---- MODE=routed, MODE=one-armed ----

topology_scene()
{
	step "The scene: mode = $MODE"
	if [[ $MODE = routed ]]; then
		seen <<-END
			client 10.0.0.100 ─┐          10.0.0.40           192.168.0.40          ┌─ ocsfe01 192.168.0.41
			                   ├─ switch ─ eth0 [tmbridge] eth1 ── segment ─────────┤
			dc     10.0.0.10  ─┘                                                    └─ ocsfe02 192.168.0.42
		END
		routed_up
	else
		seen <<-END
			client 10.0.0.100 ─┐
			                   ├─ switch ─┬─ eth0 10.0.0.40 [tmbridge]
			dc     10.0.0.10  ─┘          └─ router ── segment ─┬─ ocsfe01 10.0.1.41
			                                                    └─ ocsfe02 10.0.1.42
		END
		one_armed_up far=on
	fi
	front_end 1
	front_end 2
	lab_spawn dc dc "$TOOLS/manyconns" serve dc 135
	wait_until 5 server_listens dc 135
}

topology_farm()
{
	step "The farm"
	topology_ini "$MODE" "$@"
	sed -i 's/ fe1/ ocsfe01/; s/ fe2/ ocsfe02/' "$LAB_DIR/lb.ini"
	doing "tmbridge ${INTERFACES[*]} -f lb.ini, with this lb.ini; the VIP is the host's own address:"
	seen <"$LAB_DIR/lb.ini"
	host_probe
	topology_start
	check "tmbridge is up, and both Front Ends answer its probes, IPv4 and IPv6" wait_until 10 tmbridge_is_served 4
}

routing_first()
{
	step "Routing first: before there is a farm"
	if [[ $MODE = routed ]]; then
		printf '[bridge]\nmode = routed\nrouting = yes\nmax_connections = 10000\n' >"$LAB_DIR/lb.ini"
		doing "tmbridge eth0 eth1 -f lb.ini, with this lb.ini:"
		seen <"$LAB_DIR/lb.ini"
		topology_start
	fi
	ANSWER=$(connect_to fe1 10.0.0.10 135)
	seen <<<"$ANSWER"
	check "a Front End reaches Active Directory" answer_matches "^dc ${NET4//./\\.}\.41:"
	ANSWER=$(connect_to client "$NET4.41" 5061)
	check "a client reaches each Front End" answer_matches '^ocsfe01 10\.0\.0\.100:'
	[[ $MODE != routed ]] || tmbridge_stop
}

connect_to() # NAMESPACE ADDRESS PORT
{
	in_ns "$1" "$TOOLS/manyconns" connect -n 1 -j 1 -c -g "$2" "$3"
}

topology_steps()
{
	local snat=10.0.0.40

	[[ $MODE != routed ]] || snat=192.168.0.40
	step "Repeated connects to the VIP"
	ANSWER=$(connect client 10.0.0.40 6)
	seen <<<"$ANSWER"
	check "they alternate" alternates 6
	check "and source and destination are both rewritten" answer_matches "^ocsfe01 ${snat//./\\.}:[0-9]+ ${NET4//./\\.}\.41:5061$"
	ANSWER=$(connect client fd00::40 6)
	check "IPv6 alike" alternates 6
	step "Front Ends"
	ANSWER=$(connect fe1 10.0.0.40 6)
	seen <<<"$ANSWER"
	check "to the VIP: all six are answered, alternating" alternates 6
	ANSWER=$(connect fe1 "$NET4.42" 1)
	check "to each other: no address is rewritten" answer_matches "^ocsfe02 ${NET4//./\\.}\.41:"
	step "What isn't tmbridge's is the host's, and the other way round"
	check "ping to the VIP, which the host answers" in_ns client ping -q -c 2 -i 0.2 10.0.0.40
	check "the host's stack has seen none of the VIP's packets, by a counter of nft's" host_saw_nothing
	STATS=$(tmbridge_stats)
	jq -c .reasons <<<"$STATS" | seen
	check "received = bridged + forwarded + answered + dropped = all reasons" add_up
	tmbridge_stop
	check "SIGTERM ends it with status 0" true
}

topology_demo()
{
	source "$LAB_ROOT/tests/topologies.sh"
	topology_scene
	routing_first
	topology_farm
	topology_steps
}

trap finish EXIT
MODE=${MODE:-transparent}
[[ $MODE = transparent || $MODE = routed || $MODE = one-armed ]] || lab_die "MODE=$MODE: transparent, routed or one-armed"
if [[ $MODE != transparent ]]; then
	topology_demo
	printf '\n%sAll of it is so.%s The lab is gone with its namespaces.\n' "$BOLD" "$PLAIN"
	exit
fi
scene
repeated_connects
four_addresses
direct
among_front_ends
hairpin
failures
operator
console
statistics
printf '\n%sAll of it is so.%s The lab is gone with its namespaces.\n' "$BOLD" "$PLAIN"
