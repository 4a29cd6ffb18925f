# Trunks: VIPs work on whichever VLAN the client's and the server's frames carry.

source "$BATS_TEST_DIRNAME/../lab.sh"

setup_file()
{
	lab_file big 8
}

setup()
{
	lab_up
}

teardown()
{
	mv "$LAB_DIR/www" /run/www # spare it
	lab_down
	mv /run/www "$LAB_DIR/www"
}

# Captures what tmbridge sends, on both sides, as "SIDE ETHERTYPES" lines once stopped.
watch_tags()
{
	local side

	for side in switch segment; do
		lab_spawn "watch-$side" "$side" tcpdump -U --immediate-mode -Q in -i tmb -s 200 -w "$LAB_DIR/$side.pcap"
		wait_until 20 grep -q listening "$LAB_DIR/watch-$side.err"
	done
}

# Of what was captured on the side, and matches, the first EtherType and the IDs of all tags, the outer one first, each with how often it was: by
# tcpdump, as tshark takes longer to start than all the rest. But for tmbridge's announcements, to all, which go out on both sides with the farm's
# tags, twice, and the second time may be now.
tags_of() # SIDE PATTERN
{
	lab_signal "watch-$1" TERM
	lab_wait "watch-$1" 5 >/dev/null
	tcpdump -enn -r "$LAB_DIR/$1.pcap" 2>/dev/null | awk -v pattern="$2" '$0 ~ pattern && !/ > ff02::1: / {
		tags = ""
		for (i = 1; i < NF && $i !~ /^(Flags|ICMP)/; i++) {
			if ($i == "ethertype" && tags == "") tags = substr($(i + 2), 2, 6)
			if ($i == "vlan") tags = tags " " $(i + 1) + 0
		}
		print tags
	}' | sort | uniq -c | tee "$LAB_DIR/tags"
	[[ -s $LAB_DIR/tags ]]
}

# Each frame of TCP or ICMP, and each answer to a solicitation, that tmbridge sent on the side had these tags.
check_tags() # SIDE TPID ID...
{
	local want=${*:2} n

	tags_of "$1" 'Flags|ICMP [a-z]|neighbor advertisement'
	n=$(sed -E 's/^ *[0-9]+ //; s/ +$//' "$LAB_DIR/tags" | sort -u)
	[[ $n = "$want" ]] || lab_die "on $1 the tags are not $want but $n"
}

served() # SETTING...
{
	lab_ini 'ports = 80, 5061' "$@"
	tmbridge_start "$LAB_DIR/lb.ini"
}

# tmbridge_start() pings fe1 from dc to see if tmbridge is up, so fe1 keeps its address untagged where dc is.
transfers() # NAMESPACE
{
	in_ns "$1" ping -q -c 2 -W 10 "$VIP"
	in_ns "$1" "$TOOLS/manyconns" connect -n 20 "$VIP" 5061 | jq -e '.echoed == 20'
	if [[ $VIP = *:* ]]; then
		in_ns "$1" curl -gsS -m 60 "http://[$VIP]/big" | cmp - "$LAB_DIR/www/big"
	else
		in_ns "$1" curl -sS -m 60 "http://$VIP/big" | cmp - "$LAB_DIR/www/big"
	fi
	tmbridge_stats | stats_add_up
}

serve_all()
{
	server_tcp fe1 5061
	server_tcp fe2 5061
	server_http fe1 80
	server_http fe2 80
}

@test "client tagged, servers not" {
	lab_tag client 0x8100:10
	serve_all
	served
	watch_tags
	transfers client
	check_tags switch "0x8100 10"
	check_tags segment "0x0800"
	tmbridge_stop
}

@test "each side in a VLAN of its own, and the hairpin" {
	lab_tag client 0x8100:10
	for ns in fe1 fe2 dc; do
		lab_tag $ns 0x8100:20
	done
	serve_all
	served 'fe1.vlan = 20' 'fe2.vlan = 20' 'check = 5061' # the farm is in any VLAN
	wait_until 5 tmbridge_is_served 2
	watch_tags
	transfers client
	check_tags switch "0x8100 10"
	check_tags segment "0x8100 20"
	transfers fe1
	tmbridge_stop
}

# The kernel leaves their segmentation to whoever is last, and only the offsets tell it where (PACKET_VNET_HDR).
@test "frames longer than the MTU keep their tags, both ways, with ECN" {
	local ns

	lab_tag client 0x8100:10
	for ns in fe1 fe2 dc; do
		lab_tag $ns 0x8100:20
	done
	for ns in client fe1 fe2; do
		lab_sysctl $ns net.ipv4.tcp_ecn=1
	done
	serve_all
	served 'vlan = 10' 'fe1.vlan = 20' 'fe2.vlan = 20'
	watch_tags
	transfers client
	in_ns client curl -sS -m 60 -T "$LAB_DIR/www/big" "http://$VIP/up/big"
	cmp "$LAB_DIR/www/up/big" "$LAB_DIR/www/big"
	check_tags switch "0x8100 10"
	check_tags segment "0x8100 20"
	for side in switch segment; do
		tcpdump -r "$LAB_DIR/$side.pcap" 'greater 3001 and vlan and ip[1] & 3 = 2' 2>/dev/null | wc -l | tee "$LAB_DIR/long"
		[[ $(<"$LAB_DIR/long") -gt 10 ]]
	done
	tmbridge_stop
}

@test "a client without a tag, one with, one with two, at a time" {
	lab_tag client 0x8100:10
	lab_tag dc 0x88a8:100 0x8100:10
	lab_host plain switch 77
	serve_all
	lab_ini 'ports = 80, 5061'
	lab_spawn tmbridge tmb "$TMBRIDGE" eth0 eth1 -f "$LAB_DIR/lb.ini" -s "$LAB_DIR/stats.json"
	wait_until 10 in_ns plain ping -c 1 -W 1 10.0.0.41
	for ns in client dc plain; do
		lab_spawn "get-$ns" $ns curl -sS -m 60 "http://$VIP/big"
	done
	for ns in client dc plain; do
		[[ $(lab_wait "get-$ns" 60) = 0 ]]
		cmp "$LAB_DIR/get-$ns.out" "$LAB_DIR/www/big"
	done
	watch_tags
	transfers dc
	check_tags switch "0x88a8 100 10"
	check_tags segment "0x0800"
	tmbridge_stop
	ip netns del plain
}

@test "a server behind two tags is found by its own ARP" {
	lab_tag fe2 0x88a8:200 0x8100:20
	serve_all
	served
	in_ns fe2 arping -c 1 -w 1 -I eth0 10.0.0.40 >/dev/null || true # as it would by itself, sooner or later
	watch_tags
	in_ns client "$TOOLS/manyconns" connect -n 20 "$VIP" 5061 | jq -e "$JQ_SHARE"'.echoed == 20 and (.servers | (.fe1 | is_share(10)) and (.fe2 | is_share(10)))'
	tags_of segment '> 10[.]0[.]0[.]42[.][0-9]+: Flags'
	grep -qE '^ *[0-9]+ 0x88a8 200 20$' "$LAB_DIR/tags"
	[[ $(wc -l <"$LAB_DIR/tags") = 1 ]]
	tmbridge_stop
}

@test "IPv6, each side in a VLAN of its own" {
	VIP=$VIP6
	lab_tag client 0x8100:10
	lab_tag dc 0x8100:20
	lab_tag fe1 0x8100:20
	lab_tag fe2 0x8100:20
	serve_all
	served 'vlan = 10' 'fe1.vlan = 20' 'fe2.vlan = 20' 'check = 5061'
	wait_until 5 tmbridge_is_served 2
	watch_tags
	transfers client
	check_tags switch "0x8100 10"
	check_tags segment "0x8100 20"
	tmbridge_stop
}
