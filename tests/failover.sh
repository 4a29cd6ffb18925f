#!/bin/bash
#
# For tests of what happens when servers come and go: to be sourced after lab.sh.

OCS_PORTS="135 443 444 5060 5061 5065 5069 5071 5072 5073 5074 8404"

# Fast checks, so that a server is out within 2 x 500 ms + 1 s; another one is the machine's.
checked() # [SETTING...]
{
	lab_ini 'ports = 5061' 'check = 5061' 'check_interval = 500ms' 'check_timeout = 300ms' 'fall = 2' "$@"
	tmbridge_start "$LAB_DIR/lb.ini"
	wait_until 5 tmbridge_is_served 2
}
IN_TIME=3

# The latest change of these servers' health, by tmbridge's clock, in s since 1970.
last_change() # NAMES
{
	tmbridge_stats | jq --arg names "$1" '($names | split(" ")) as $names | [.farms[].servers[] | select(.name | IN($names[])) |
		.since | (.[:19] + "Z" | fromdate) + (.[19:23] | tonumber)] | max'
}

# The command takes a server away, and it is out in time.
goes_out() # SERVER COMMAND...
{
	local from=$EPOCHREALTIME changed

	"${@:2}"
	wait_until 2 health_is "$1" down
	changed=$(last_change "$1")
	jq -ne "$changed - $from < $IN_TIME" || lab_die "$1 was out $changed - $from s later"
}

vip_connect() # OPTION...
{
	in_ns client "$TOOLS/manyconns" connect "$@" "$VIP" "${PORT:-5061}"
}

# The servers that answer N connects, one after the other, each with how often.
vip_servers() # N
{
	vip_connect -n "$1" -j 1 -c | jq -c .servers
}

only_from() # SERVER
{
	[[ $(vip_servers 4) = "{\"$1\":4}" ]]
}

# A connection from the client that stays in read(), until its other end says something.
hold() # NAME
{
	lab_spawn "$1" client bash -c "exec 3<>/dev/tcp/$VIP/${PORT:-5061}; exec cat <&3"
	wait_until 5 grep -q fe "$LAB_DIR/$1.out"
}

# Holds a connection on either server, and sets ON_FE1 and ON_FE2 to their names. With one worker the second one is on the other server.
hold_both()
{
	local i other=fe2

	hold held1
	! grep -q '^fe2' "$LAB_DIR/held1.out" || other=fe1
	hold held2
	for ((i = 1; i < 10 * (${WORKERS:-1} - 1); i++)); do
		! grep -q "^$other" "$LAB_DIR/held2.out" || break
		lab_kill held2
		hold held2
	done
	grep -q "^$other" "$LAB_DIR/held2.out"
	ON_FE1=held1 ON_FE2=held2
	[[ $other = fe2 ]] || ON_FE1=held2 ON_FE2=held1
}

health_is() # SERVER HEALTH
{
	tmbridge_stats | jq -e --arg s "$1" --arg h "$2" \
		'[.farms[].servers[] | select(.name == $s) | .health] == [$h]'
}

is_over() # NAME
{
	[[ -s $LAB_DIR/$1.status ]]
}

# A client of the server's that isn't left waiting when it is out.
ends_with() # SERVER NAME
{
	wait_until 1 is_over "$2"
	jq -ne "$(stat -c %.3Y "$LAB_DIR/$2.status") - $(last_change "$1") < 2" || lab_die "$2 was left waiting"
}

# Sockets of a namespace with this peer port or local port, less those in TIME-WAIT.
sockets() # NAMESPACE FILTER
{
	in_ns "$1" ss -Htn state connected exclude time-wait "$2"
}

# What an earlier test has left: its last FINs, or their ACKs, may have been under way when tmbridge ended.
no_sockets_of_before()
{
	in_ns fe1 ss -HKtn state connected >/dev/null
	in_ns fe2 ss -HKtn state connected >/dev/null
}

no_sockets() # NAMESPACE FILTER
{
	[[ -z $(sockets "$@") ]]
}

# created = open + all that ended, and each that ended has a line.
books_balance()
{
	tmbridge_stats | jq -e '.flows | .created == .open + .closed + .idle_expired + .server_down + .reload + .evicted'
}

log_says() # PATTERN
{
	grep -qE "$1" "$LAB_DIR/tmbridge.err"
}
