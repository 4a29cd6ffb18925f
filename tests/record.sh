#!/bin/bash
#
# Records real connections through tmbridge in the lab, on all four points, to pcaps/NAME/:
# what comes in and what goes out, on either side, with the lb.ini of it and the reason why it's kept.
# Each recording is replayed at once, and kept only if the replay sends what was recorded.
#
#	tests/record.sh [NAME...]        those only
set -euo pipefail

source "$(dirname "${BASH_SOURCE[0]}")/lab.sh"
source "$(dirname "${BASH_SOURCE[0]}")/topologies.sh"
[[ -n ${LAB_HOST_NET:-} ]] || lab_enter "$0" "$@"

NAMES=("$@")
PCAPS=$LAB_ROOT/pcaps
PIECES="outside-in outside-out inside-in inside-out"
ATTEMPTS=3

record_start() # LB-INI-SETTING...
{
	local piece interface

	lab_ini "bridge.outside_mac = 02:00:00:00:00:01" "bridge.inside_mac = 02:00:00:00:00:02" \
		"bridge.max_connections = 1000" "$@"
	for piece in $PIECES; do
		interface=eth0
		[[ $piece = outside-* ]] || interface=eth1
		# Less the probes by which tmbridge asks at its start whether a VIP is taken (RFC 5227).
		lab_spawn "$piece" tmb tcpdump -i $interface -Q "${piece#*-}" -s 0 -B 32768 -U --nano \
			--immediate-mode -w "$LAB_DIR/$piece.pcap" 'not (arp and arp[14:4] = 0)'
		wait_until 5 grep -q listening "$LAB_DIR/$piece.err"
	done
	lab_spawn tmbridge tmb "$TMBRIDGE" eth0 eth1 -f "$LAB_DIR/lb.ini" -s "$LAB_DIR/stats.json" \
		-k 00000000000000000000000000000000
	wait_until 10 servers_are_known
}

servers_are_known()
{
	tcpdump -n -r "$LAB_DIR/inside-in.pcap" 'arp[6:2] = 2' 2>/dev/null | seek 10.0.0.42
}

record_stop()
{
	local piece

	sleep 0.5
	tmbridge_stop
	for piece in $PIECES; do
		lab_signal "$piece" TERM
		[[ $(lab_wait "$piece" 5) = 0 ]] || lab_die "tcpdump: $piece"
		grep -q '^0 packets dropped' "$LAB_DIR/$piece.err" || lab_die "tcpdump dropped frames: $piece"
	done
}

replays() # prints where it doesn't
{
	local side

	"$TMBRIDGE" -r "$LAB_DIR/outside-in.pcap,$LAB_DIR/inside-in.pcap" \
		-w "$LAB_DIR/outside-again.pcap,$LAB_DIR/inside-again.pcap" -f "$LAB_DIR/lb.ini" || return 1
	for side in outside inside; do
		"$TOOLS/pcapcmp" "$LAB_DIR/$side-out.pcap" "$LAB_DIR/$side-again.pcap" >"$LAB_DIR/$side.cmp" || {
			cat "$LAB_DIR/$side.cmp"
			return 1
		}
	done
}

record_keep() # NAME WHY
{
	local piece to=$PCAPS/$1

	mkdir -p "$to"
	for piece in $PIECES; do
		[[ $(stat -c %s "$LAB_DIR/$piece.pcap") -lt 614400 ]] || lab_die "$1: $piece is too large"
		cp "$LAB_DIR/$piece.pcap" "$to/"
	done
	cp "$LAB_DIR/lb.ini" "$to/"
	echo "$2" >"$to/WHY"
	echo "$1: $(du -sh "$to" | cut -f1), replays"
}

# SETUP starts the servers, TRAFFIC is what is recorded. Two frames that arrive on both sides in the
# same moment may be handled in another order than their times say: then it is recorded anew.
record() # NAME WHY LAB-OPTION SETTING SETUP TRAFFIC
{
	local attempt

	[[ ${#NAMES[@]} = 0 || " ${NAMES[*]} " = *" $1 "* ]] || return 0
	for ((attempt = 1; attempt <= ATTEMPTS; attempt++)); do
		lab_up ipv6=off "$3"
		$5
		record_start "$4"
		$6 >/dev/null
		record_stop
		if replays; then
			record_keep "$1" "$2"
			lab_down
			return
		fi
		lab_down
	done
	lab_die "$1: doesn't replay"
}

# ---- Where tmbridge is no cable ----
# What the host sends is in the captures as well; so those that are kept are the replay's own, and of the live ones TCP is compared.

topology_replays() # SIDE...
{
	local side in="$LAB_DIR/outside-in.pcap" again="$LAB_DIR/outside-again.pcap"

	if [[ $# = 2 ]]; then
		in+=",$LAB_DIR/inside-in.pcap"
		again+=",$LAB_DIR/inside-again.pcap"
	fi
	"$TMBRIDGE" -r "$in" -w "$again" -f "$LAB_DIR/lb.ini" || return 1
	for side; do
		tcpdump -n -r "$LAB_DIR/$side-out.pcap" -w "$LAB_DIR/$side-live.pcap" tcp 2>/dev/null
		tcpdump -n -r "$LAB_DIR/$side-again.pcap" -w "$LAB_DIR/$side-replayed.pcap" tcp 2>/dev/null
		"$TOOLS/pcapcmp" "$LAB_DIR/$side-live.pcap" "$LAB_DIR/$side-replayed.pcap" >"$LAB_DIR/$side.cmp" || {
			head -n 3 "$LAB_DIR/$side.cmp"
			return 1
		}
		cp "$LAB_DIR/$side-again.pcap" "$LAB_DIR/$side-out.pcap"
	done
}

record_topology_once() # MODE SETTING...
{
	local piece interface

	topology_services
	topology_ini "$1" "outside_mac = 02:00:00:00:00:01" "inside_mac = 02:00:00:00:00:02" "${@:2}"
	sed -i 's/^max_connections = .*/max_connections = 1000/; s/^preset = .*/&\ncheck = none/; /^check_/d' "$LAB_DIR/lb.ini"
	for piece in $PIECES; do
		interface=eth0
		[[ $piece = outside-* ]] || interface=eth1
		lab_spawn "$piece" tmb tcpdump -i $interface -Q "${piece#*-}" -s 0 -B 32768 -U --nano \
			--immediate-mode -w "$LAB_DIR/$piece.pcap"
		wait_until 5 grep -q listening "$LAB_DIR/$piece.err"
	done
	topology_start -k 00000000000000000000000000000000
	sleep 0.3
	for address in 10.0.0.40 fd00::40; do
		connects client "$address" 5061 2
		connects fe1 "$address" 444 2
	done
	record_stop
}

record_topology() # NAME WHY MODE UP-COMMAND SETTING...
{
	local attempt sides="outside inside" PIECES=$PIECES

	[[ ${#NAMES[@]} = 0 || " ${NAMES[*]} " = *" $1 "* ]] || return 0
	if [[ $3 = one-armed ]]; then
		sides="outside"
		PIECES="outside-in outside-out"
	fi
	for ((attempt = 1; attempt <= ATTEMPTS; attempt++)); do
		$4
		record_topology_once "$3" "${@:5}" >/dev/null
		if topology_replays $sides; then
			record_keep "$1" "$2"
			topology_down
			return
		fi
		topology_down
	done
	lab_die "$1: doesn't replay"
}

tls_servers()
{
	server_tls fe1 "$TLS_PORT"
	server_tls fe2 "$TLS_PORT"
}

tls_traffic()
{
	local i

	for i in 1 2 3; do
		in_ns client openssl s_client -connect "$VIP:$TLS_PORT" </dev/null 2>/dev/null
	done
}

http_servers()
{
	lab_file bulk 1
	truncate -s 256K "$LAB_DIR/www/bulk"
	server_http fe1 80
	server_http fe2 80
}

http_traffic()
{
	in_ns client curl -sS "http://$VIP/name" "http://$VIP/absent"
	in_ns client curl -sS "http://$VIP/name"
	in_ns dc curl -sS "http://$VIP/name"
}

bulk_traffic()
{
	in_ns client curl -sS "http://$VIP/bulk"
}

tcp_servers()
{
	server_tcp fe1 5061
	server_tcp fe2 5061
}

refused_traffic()
{
	in_ns client "$TOOLS/manyconns" connect -n 2 -j 1 "$VIP" 9999
	in_ns fe1 "$TOOLS/manyconns" connect "$VIP" 9999
	in_ns client "$TOOLS/manyconns" connect "$VIP" 5061
}

hairpin_traffic()
{
	in_ns fe1 "$TOOLS/manyconns" connect -n 4 -j 1 "$VIP" 5061
}

failover_traffic()
{
	wait_until 5 tmbridge_is_served 2
	in_ns client "$TOOLS/manyconns" connect -n 2 -j 1 "$VIP" 5061
	lab_spawn held1 client bash -c "exec 3<>/dev/tcp/$VIP/5061; exec cat <&3"
	lab_spawn held2 client bash -c "exec 3<>/dev/tcp/$VIP/5061; exec cat <&3"
	wait_until 5 grep -q fe "$LAB_DIR/held1.out"
	wait_until 5 grep -q fe "$LAB_DIR/held2.out"
	ip -n segment link set fe1 down
	wait_until 5 tmbridge_is_served 1
	wait_until 5 no_more_than_one_is_up
	in_ns client "$TOOLS/manyconns" connect -n 2 -j 1 "$VIP" 5061
	ip -n segment link set fe1 up
	wait_until 8 tmbridge_is_served 2
	in_ns client "$TOOLS/manyconns" connect -n 2 -j 1 "$VIP" 5061
}

# Both servers do the same steps of tests/tools/talk.c.
talk_servers() # STEP...
{
	local fe

	for fe in fe1 fe2; do
		lab_spawn "$fe-talk" $fe "$TOOLS/talk" serve 5061 "$@"
		wait_until 5 server_listens $fe 5061
	done
}

talk_traffic() # STEP...
{
	in_ns client "$TOOLS/talk" connect "$VIP" 5061 "$@"
}

deaf_servers()
{
	local fe

	for fe in fe1 fe2; do
		in_ns $fe nft -f - <<-END
			table ip deaf {
				chain in {
					type filter hook input priority 0;
					tcp dport 5061 tcp flags & rst != 0 drop
				}
			}
		END
	done
	talk_servers recv:10 recv:10 send:10 eof
}

revived_traffic()
{
	talk_traffic send:10 pause:200 forge pause:1500 send:10 recv:10 fin eof
}

reset_servers()
{
	talk_servers recv:10 rst
}

reset_traffic()
{
	talk_traffic send:10 reset
	talk_traffic rst
}

# To the end of a second, which is the same for all.
closing_servers()
{
	CLOSE_AT=$(($(date +%s) + 6))
	talk_servers recv:10 send:10 at:$CLOSE_AT fin eof
}

closing_traffic()
{
	talk_traffic send:10 recv:10 at:$CLOSE_AT fin eof
}

options_servers()
{
	talk_servers recv:10 send:10 eof
}

# Record route, filled in by the client's own kernel.
options_traffic()
{
	talk_traffic ipopt:01070f04000000000000000000000000 send:10 recv:10 fin eof
}

urgent_servers()
{
	talk_servers tos:184 urgent oob eof
}

urgent_traffic()
{
	talk_traffic tos:104 oob urgent fin eof
}

no_more_than_one_is_up()
{
	never tmbridge_is_served 2
}

TLS_PORT=443 record tls-443 \
	"Three TLS connections to port 443, the pool's web services, alternate between the servers." \
	offloads=off "ports = 443" tls_servers tls_traffic
TLS_PORT=5061 record tls-5061 \
	"Three TLS connections to port 5061, SIP over TLS, alternate between the servers." \
	offloads=off "ports = 5061" tls_servers tls_traffic
record http \
	"HTTP from two clients, with two requests over one connection." \
	offloads=off "ports = 80" http_servers http_traffic
record bulk-gso \
	"A file of 256 KiB in frames longer than the MTU, with partial TCP checksums, as offloads leave them." \
	offloads=on "ports = 80" http_servers bulk_traffic
record refused \
	"A port that isn't served is refused by RST on both sides, and one that is works on." \
	offloads=off "ports = 5061" tcp_servers refused_traffic
record hairpin \
	"A server connects to the VIP and gets the other one and itself: both ends are on the inside." \
	offloads=off "ports = 5061" tcp_servers hairpin_traffic
record failover \
	"A server's cable is pulled and plugged in again: its connection is reset, the others go to the second server, then both serve." \
	offloads=off $'ports = 5061\ncheck = 5061\ncheck_interval = 500ms\ncheck_timeout = 300ms\nfall = 2' \
	tcp_servers failover_traffic
record revived \
	"A forged RST ends the flow, which the server has not believed: the client goes on, and with it the flow." \
	offloads=off "ports = 5061" deaf_servers revived_traffic
record reset \
	"A server resets its connection, and a client its own before a word is said: each RST goes through, translated." \
	offloads=off "ports = 5061" reset_servers reset_traffic
record simultaneous-close \
	"Both ends send FIN before they hear of the other's: the flow ends only when both are acknowledged." \
	offloads=off "ports = 5061" closing_servers closing_traffic
record ip-options \
	"A client records the route: its packets have an IP header of 36 bytes, kept as it is." \
	offloads=off "ports = 5061" options_servers options_traffic
record urgent-dscp \
	"Urgent data and classes of service (AF31, EF) go both ways untouched." \
	offloads=off "ports = 5061" urgent_servers urgent_traffic

TOPOLOGY_OFFLOADS=off record_topology one-armed "Beside the others, the VIP being the host's own and the servers behind a router: clients, and a server that is one, IPv4 and IPv6." \
	one-armed "one_armed_up far=on" "outside_address = 10.0.0.40/24, fd00::40/64" "gateway = 10.0.0.99, fd00::99"
TOPOLOGY_OFFLOADS=off record_topology routed "Between two subnets, VIP and SNAT address being the host's own: clients, and a server that is one, IPv4 and IPv6, with one less of the TTL." \
	routed routed_up "outside_address = 10.0.0.40/24, fd00::40/64" "inside_address = 192.168.0.40/24, fd01::40/64"
