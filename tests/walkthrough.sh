# The steps of a walkthrough that all modes have in common: sourced by their tests, behind topologies.sh. A test's file says
# where it is:
#
#	MODE, INTERFACES	as lb.ini and the command line say them
#	NET4, NET6	the Front Ends' networks: NET4.41 and NET4.42, NET6::41 and NET6::42
#	SNAT4, SNAT6	what they see as their peer
#	SNAT4_MORE	another one
#	FAST_PATH
#
# Outside are client, 10.0.0.100, and Active Directory, dc, 10.0.0.10; the VIPs are 10.0.0.40 and fd00::40.

teardown_file()
{
	topology_down
}

teardown()
{
	[[ -n ${BATS_TEST_COMPLETED:-} ]] || tail -n 40 "$LAB_DIR/tmbridge.err"
}

# As telnet to Active Directory from each Front End, and to each Front End on each of its ports.
reached_directly()
{
	local n port

	for n in 1 2; do
		[[ $(connects "fe$n" 10.0.0.10 135 1) = "dc $NET4.4$n:"* ]]
		[[ $(connects client "$NET6::4$n" 5061 1) = "fe$n [fd00::100]:"* ]]
		for port in $PORTS; do
			[[ $(connects client "$NET4.4$n" "$port" 1) = "fe$n 10.0.0.100:"* ]]
		done
	done
}

# Alternation, seen on both Front Ends, where captures have both addresses rewritten; hairpin; and no NAT in between. None of it
# reaches the host's stack.
served_by_vips()
{
	local fe

	for fe in fe1 fe2; do
		capture $fe 'dst port 5061 and (tcp[tcpflags] & tcp-syn != 0 or (ip6 proto 6 and ip6[53] & 2 != 0))'
	done
	served_by_vip 10.0.0.40 "$SNAT4" "$NET4.4"
	served_by_vip fd00::40 "[$SNAT6]" "[$NET6::4"
	for fe in fe1 fe2; do
		wait_until 5 captured $fe "$SNAT4" "$NET4.4${fe#fe}"
		wait_until 5 captured $fe "$SNAT6" "$NET6::4${fe#fe}"
		lab_kill $fe-dump
		never grep -E ' (10\.0\.0\.100|fd00::100)\.[0-9]+ >' "$LAB_DIR/$fe-dump.out"
	done
	[[ $(connects fe1 "$NET4.42" 5061 1) = "fe2 $NET4.41:"* ]]
	[[ $(connects fe2 "$NET6::41" 5061 1) = "fe1 [$NET6::42]:"* ]]
	host_saw_nothing
	tmbridge_stats | stats_add_up
}

captured() # FRONT-END FROM TO: three connections, of as many as each one gets (probes have ports of their own); of several workers any
{
	local n

	n=$(grep -F " $2." "$LAB_DIR/$1-dump.out" | grep -F " > $3.5061: Flags [S]" | grep -cvE '\.10(0[89]|1[0-9]|2[0-3]) >')
	((n == 3 || (${WORKERS:-1} > 1 && n >= 1)))
}

literally() # STRING, to be part of a pattern
{
	sed 's/[.[]/\\&/g' <<<"$1"
}

# Who answers tells its peer and itself: the servers alternate; hairpin.
served_by_vip() # VIP SNAT-ADDRESS BEGINNING-OF-SERVERS
{
	local answers ours

	ours="^fe([12]) $(literally "$2"):[0-9]+ $(literally "$3")\\1]?:"
	answers=$(connects client "$1" 5061 6)
	echo "$answers"
	[[ -n $WORKERS || $(cut -d' ' -f1 <<<"$answers" | uniq | wc -l) = 6 ]] # each worker for itself
	[[ $(grep -cE "${ours}5061$" <<<"$answers") = 6 ]]
	answers=$(connects fe1 "$1" 444 4)
	[[ $(grep -cE "${ours}444$" <<<"$answers") = 4 ]]
	[[ $(cut -d' ' -f1 <<<"$answers" | sort -u | wc -l) = 2 ]]
}

# A connection on each Front End, that stays: ON_FE1 and ON_FE2.
hold_both() # VIP
{
	local held

	ON_FE1='' ON_FE2=''
	for held in held1 held2 held3 held4 held5 held6; do
		[[ -z $ON_FE1 || -z $ON_FE2 ]] || continue
		lab_spawn $held client bash -c "exec 3<>/dev/tcp/$1/5061; exec cat <&3"
		wait_until 5 grep -q fe "$LAB_DIR/$held.out"
		grep -q fe1 "$LAB_DIR/$held.out" && ON_FE1=$held || ON_FE2=$held
	done
	[[ -n $ON_FE1 && -n $ON_FE2 ]]
}

# An open connection to the Front End that fails ends at once.
fails_and_returns()
{
	local lines

	lines=$(wc -l <"$LAB_DIR/tmbridge.err")
	hold_both 10.0.0.40
	ip -n fe1 link set eth0 down
	wait_until 20 said_since "$lines" 'server fe1: down'
	wait_until 2 test -s "$LAB_DIR/$ON_FE1.status"
	[[ ! -s $LAB_DIR/$ON_FE2.status ]]
	[[ $(connects client 10.0.0.40 5061 3 | cut -d' ' -f1 | sort -u) = fe2 ]]
	lines=$(wc -l <"$LAB_DIR/tmbridge.err")
	ip -n fe1 link set eth0 up
	ip -n fe1 route add default via "$(front_end_gateway)" 2>/dev/null || true
	ip -n fe1 addr add "$NET6::41/64" dev eth0 nodad 2>/dev/null || true
	ip -n fe1 -6 route add default via "$(front_end_gateway 6)" 2>/dev/null || true
	wait_until 20 said_since "$lines" 'server fe1: up'
	connects client 10.0.0.40 5061 4 | seek '^fe1 '
	lab_kill "$ON_FE1"
	lab_kill "$ON_FE2"
}

front_end_gateway() # [6]
{
	local number=40

	[[ $NET4 != 10.0.0 ]] || return 0 # they need none
	[[ $NET4 != 10.0.1 ]] || number=1
	[[ ${1:-} = 6 ]] && echo "$NET6::$number" || echo "$NET4.$number"
}

# What a walkthrough ends with, all by reloads: further SNAT addresses, cut-over, drain, decommission; and another mode, which needs a
# restart.
changes_by_reload()
{
	sed -i "s/^\[farm pool\]/&\nsnat = $SNAT4, $SNAT4_MORE/" "$LAB_DIR/lb.ini"
	topology_reload
	[[ $(connects client 10.0.0.40 5061 8 | cut -d' ' -f2 | cut -d: -f1 | sort -u | paste -sd' ') = "$SNAT4 $SNAT4_MORE" ]]
	cuts_over
	drains_and_goes
	refuses_another_mode
	host_saw_nothing
}

# An address that another machine has is given up by that one, and is a VIP from then on: who had it in his ARP cache is told, and what is
# open elsewhere goes on.
cuts_over()
{
	ip -n dc addr add 10.0.0.49/32 dev eth0
	lab_spawn old dc "$TOOLS/manyconns" serve old 5061
	wait_until 5 server_listens dc 5061
	[[ $(connects client 10.0.0.49 5061 1) = "old 10.0.0.100:"* ]]
	hold_both 10.0.0.40
	printf '[farm moved]\nvip = 10.0.0.49\nports = 5061\n[server moved1]\nfarm = moved\naddress = %s.41\n' "$NET4" >>"$LAB_DIR/lb.ini"
	printf '[server moved2]\nfarm = moved\naddress = %s.42\n' "$NET4" >>"$LAB_DIR/lb.ini"
	ip -n dc addr del 10.0.0.49/32 dev eth0
	lab_kill old
	topology_reload
	wait_until 5 has_moved
	[[ $(connects client 10.0.0.49 5061 6 | cut -d' ' -f1 | sort -u | paste -sd' ') = "fe1 fe2" ]]
	tmbridge_counts '[.farms[] | select(.name == "moved") | .servers[].connections_total | . > 0]' '[true,true]'
	[[ ! -s $LAB_DIR/$ON_FE1.status && ! -s $LAB_DIR/$ON_FE2.status ]]
}

has_moved()
{
	[[ $(ip -n client neigh show 10.0.0.49) = *"lladdr 02:00:00:00:00:01 "* ]]
}

# A Front End that is drained gets nothing new, keeps what it has, and is taken out when that has ended.
drains_and_goes()
{
	sed -i 's/^\[server \(fe\|moved\)1\]/&\nstate = drain/' "$LAB_DIR/lb.ini"
	topology_reload
	[[ $(connects client 10.0.0.40 5061 4 | cut -d' ' -f1 | sort -u) = fe2 ]]
	[[ $(connects client 10.0.0.49 5061 4 | cut -d' ' -f1 | sort -u) = fe2 ]]
	[[ ! -s $LAB_DIR/$ON_FE1.status ]]
	tmbridge_counts '.farms[0].servers[] | select(.name == "fe1") | .connections' 1
	lab_kill "$ON_FE1"
	wait_until 5 tmbridge_counts '.farms[0].servers[] | select(.name == "fe1") | .connections' 0
	sed -i '/^\[server \(fe\|moved\)1\]/,/^address/d' "$LAB_DIR/lb.ini"
	topology_reload
	tmbridge_counts '[.farms[0].servers[] | select(.removed | not) | .name]' '["fe2"]'
	[[ $(connects client 10.0.0.40 5061 2 | cut -d' ' -f1 | sort -u) = fe2 ]]
	[[ ! -s $LAB_DIR/$ON_FE2.status ]]
	lab_kill "$ON_FE2"
}

refuses_another_mode()
{
	local lines other=transparent

	[[ $MODE != transparent ]] || other=routed
	lines=$(wc -l <"$LAB_DIR/tmbridge.err")
	sed -i "s/^mode = .*/mode = $other/" "$LAB_DIR/lb.ini"
	lab_signal tmbridge HUP
	wait_until 5 said_since "$lines" "mode: is $MODE, and changing it to $other needs a restart"
}

# Filters have a say in what goes to the VIPs, and none in what is the host's; in each version of IP. SSH to the host is served.
filters_have_a_say()
{
	local vip

	cp "$LAB_DIR/lb.ini" "$LAB_DIR/lb.ini.kept"
	cat >>"$LAB_DIR/lb.ini" <<-'END'
		[filter syns]
		match = tcp[tcpflags] & tcp-syn != 0 or ip6 proto 6
		side = outside
		action = count
		[filter web]
		match = tcp dst port 444
		side = outside
		action = reset
		[filter ssh]
		match = tcp port 22
		action = drop
	END
	topology_reload
	[[ $(connects client 10.0.0.40 22 1) = "tmb 10.0.0.100:"* ]]
	for vip in 10.0.0.40 fd00::40; do
		[[ $(connects client $vip 5061 2 | wc -l) = 2 ]]
		run in_ns client timeout 60 bash -c "exec 3<>/dev/tcp/$vip/444"
		[[ $status = 1 ]] # and not the time
	done
	tmbridge_stats | jq -e '.filters | .[0].matched >= 6 and .[1].dropped == 2 and .[2].matched == 0'
	tmbridge_counts .reasons.filter_reset 2
	tmbridge_counts .fast_path.active "$([[ $FAST_PATH = kernel ]] && echo true || echo false)"
	tmbridge_stats | stats_add_up
	mv "$LAB_DIR/lb.ini.kept" "$LAB_DIR/lb.ini"
	topology_reload
}

# A reload leaves a service, and the SNAT ports of open connections, to the host, who has these addresses as well, or a restart such
# ports: the connections go on.
gives_ports_to_the_host() # VIP [restart]
{
	local line pid fd lines

	cp "$LAB_DIR/lb.ini" "$LAB_DIR/lb.ini.kept"
	coproc HELD { in_ns client "$TOOLS/manyconns" connect -n 4 -t 10 -w "$1" 5061 3>&-; }
	pid=$HELD_PID
	read -r -t 60 line <&"${HELD[0]}"
	sed -i 's/^preset = .*/&\nsnat_ports = 2000-2100/' "$LAB_DIR/lb.ini"
	lines=$(wc -l <"$LAB_DIR/tmbridge.err")
	if [[ ${2:-} = restart ]]; then
		tmbridge_stop
		topology_start
		lines=0
		grep 'connections of an earlier process go on$' "$LAB_DIR/tmbridge.err"
	else
		sed -i 's/^preset = .*/&\nports = 443, 444\ncheck = 444/' "$LAB_DIR/lb.ini"
		topology_reload
	fi
	wait_until 5 said_since "$lines" 'connections go on by ports that the rules leave to the host'
	echo >&"${HELD[1]}"
	read -r -t 60 line <&"${HELD[0]}"
	jq -e '.echoed == 4 and .lost == 0' <<<"$line"
	fd=${HELD[1]}
	exec {fd}>&-
	wait "$pid"
	mv "$LAB_DIR/lb.ini.kept" "$LAB_DIR/lb.ini"
	topology_reload
}

bundle_goes_on()
{
	[[ -s $LAB_DIR/bundle/capture.pcapng ]] && grep -q ^flow "$LAB_DIR/bundle/state"
}

# Connections of before and of now to the address, of which a bundle is made, and replayed without what it was of: what is
# sent is the same.
topology_replays() # ADDRESS FILTER...
{
	local line

	coproc HELD { in_ns client "$TOOLS/manyconns" connect -n 4 -t 30 -w "$1" 5061 3>&-; }
	read -r -t 60 line <&"${HELD[0]}"
	lab_spawn bundle tmb "$TMBRIDGE" capture --bundle "$LAB_DIR/bundle" "${@:2}"
	wait_until 20 bundle_goes_on
	echo >&"${HELD[1]}"
	read -r -t 60 line <&"${HELD[0]}"
	jq -e '.echoed == 4 and .lost == 0' <<<"$line"
	in_ns client "$TOOLS/manyconns" connect -n 5 -t 10 "$1" 5061 | jq -e '.echoed == 5'
	wait_until 20 bundle_has_ended
	lab_kill bundle
	"$TMBRIDGE" -b "$LAB_DIR/bundle" -w "$LAB_DIR/again-outside.pcap,$LAB_DIR/again-inside.pcap"
	"$TOOLS/pcapcmp" -p "$LAB_DIR/bundle/outside-out.pcap" "$LAB_DIR/again-outside.pcap" \
		"$LAB_DIR/bundle/inside-out.pcap" "$LAB_DIR/again-inside.pcap"
	# four answers, and of each later connection a SYN-ACK, an answer and a FIN: there are others that may go along with these
	[[ $(tcpdump -r "$LAB_DIR/again-outside.pcap" tcp 2>/dev/null | wc -l) -ge 19 ]]
	rm -r "$LAB_DIR/bundle"
}

# The five later connections have closed, both ways.
bundle_has_ended()
{
	[[ $(tcpdump -r "$LAB_DIR/bundle/outside-in.pcap" 'dst port 5061 and (tcp[13] & 5 != 0 or ip6[53] & 5 != 0)' 2>/dev/null | wc -l) -ge 5 ]]
}
