# A pool of IPv6: whatever the others show of IPv4, with real stacks.

source "$BATS_TEST_DIRNAME/../lab.sh"

setup_file()
{
	lab_up
	VIP=$VIP6
	server_tcp fe1 5061
	server_tcp fe2 5061
	server_http fe1 80
	server_http fe2 80
	lab_file big "$(lab_is_slow && echo 32 || echo 256)"
	lab_ini 'ports = 80, 5061' 'check = 5061' 'check_interval = 1s' 'check_timeout = 500ms' 'fall = 2' \
		"connlog = $LAB_DIR/connlog"
	tmbridge_start "$LAB_DIR/lb.ini"
	wait_until 5 tmbridge_is_served 2
}

setup()
{
	VIP=$VIP6
}

teardown_file()
{
	tmbridge_stats | stats_add_up
	tmbridge_stop
}

vip_connect() # NAMESPACE OPTION...
{
	in_ns "$1" "$TOOLS/manyconns" connect "${@:2}" "$VIP" 5061
}

@test "ten connects alternate, and the servers see the SNAT address" {
	vip_connect client -n 10 -j 1 -c -g | tee "$LAB_DIR/answers"
	[[ ${WORKERS:-1} -gt 1 || $(cut -d' ' -f1 "$LAB_DIR/answers" | uniq | wc -l) = 10 ]] # each worker for itself
	[[ $(grep -cE '^fe[12] \[fd00::40\]:[0-9]+ \[fd00::4[12]\]:5061$' "$LAB_DIR/answers") = 10 ]]
}

@test "a thousand connections at a time" {
	vip_connect client -n 1000 | jq -e "$JQ_SHARE"'.echoed == 1000 and (.servers | (.fe1 | is_share(500)) and .fe1 + .fe2 == 1000)'
}

@test "a large file arrives whole, to and from either side" {
	for ns in client dc fe1 fe2; do
		in_ns $ns curl -gsS -m 60 "http://[$VIP]/big" | cmp - "$LAB_DIR/www/big"
	done
}

@test "hairpin, also to itself" {
	vip_connect fe1 -n 10 -j 1 -c | jq -e "$JQ_SHARE"'.connected == 10 and (.servers | (.fe1 | is_share(5)) and (.fe2 | is_share(5)))'
}

@test "the VIP answers pings and is resolved, from either side" {
	for ns in client fe1; do
		ip -n $ns -6 neigh flush dev eth0
		in_ns $ns ping -q -c 2 -W 10 -s 1000 "$VIP"
	done
	ip -n client -6 neigh show "$VIP" | tee /dev/stderr | seek 02:00:00:00:00:01
	ip -n fe1 -6 neigh show "$VIP" | tee /dev/stderr | seek 02:00:00:00:00:02
}

@test "what is past the VIP crosses" {
	in_ns client ping -q -c 2 -W 10 fd00::41
	in_ns client curl -gsS -m 10 "http://[fd00::41]/name" | grep '^fe1 fd00::100:'
}

@test "no checksum is wrong, and nothing else is rewritten" {
	local side

	for side in switch segment; do
		lab_spawn "$side" "$side" tcpdump -U --immediate-mode -i tmb -w "$LAB_DIR/$side.pcap" 'ip6 and (tcp port 5061 or udp port 9)'
		wait_until 20 grep -q listening "$LAB_DIR/$side.err"
	done
	in_ns client ethtool -K eth0 tx off >/dev/null
	vip_connect client -n 5 -c
	for side in switch segment; do
		wait_until 10 is_all_captured "$LAB_DIR/$side.pcap" client fd00::41
		lab_signal "$side" TERM
		lab_wait "$side" 5
	done
	in_ns client ethtool -K eth0 tx on >/dev/null
	# The client's own checksums are full, so they are on both sides.
	for f in switch:fd00::100 segment:fd00::40; do
		tshark -r "$LAB_DIR/${f%%:*}.pcap" -o tcp.check_checksum:TRUE -Y "ipv6.src == ${f#*:} and tcp.dstport == 5061" \
			-T fields -e tcp.checksum.status -e ipv6.hlim 2>/dev/null | sort | uniq -c | tee "$LAB_DIR/verdicts"
		grep -qE '^ *[0-9]+ 1	64$' "$LAB_DIR/verdicts"
		[[ $(grep -cvE ' 1	(64|255)$' "$LAB_DIR/verdicts") = 0 ]]
	done
}

@test "the connection log has IPv6 addresses" {
	local snat

	snat=$(vip_connect client -n 1 -c -g | sed -n 1p | cut -d' ' -f2)
	wait_until 5 grep -qF "\"snat\":\"$snat\"" "$LAB_DIR/connlog"
	grep -F "\"snat\":\"$snat\"" "$LAB_DIR/connlog" | jq -e '(.client | startswith("[fd00::100]:")) and .vip == "[fd00::40]:5061" and (.snat | startswith("[fd00::40]:")) and
		(.server | test("^\\[fd00::4[12]\\]:5061$"))'
	tmbridge_stats | jq -e '.farms[0] | .vip == "fd00::40" and .servers[1].address == "fd00::42"'
}

@test "a dead server's connections are reset, and the farm lives on" {
	lab_spawn held client "$TOOLS/manyconns" connect -n 20 -w "$VIP" 5061
	wait_until 5 grep -q connected "$LAB_DIR/held.out" || true
	lab_kill fe1-tcp
	wait_until 5 tmbridge_counts '.farms[0].servers[0].health' '"down"'
	vip_connect client -n 10 -j 1 -c | jq -e '.servers == {"fe2": 10}'
	server_tcp fe1 5061
	wait_until 5 tmbridge_is_served 2
	lab_kill held
}

@test "a port that isn't served is refused at once" {
	in_ns client "$TOOLS/manyconns" connect -n 1 "$VIP" 81 | tee "$LAB_DIR/said"
	jq -e '.refused == 1 and .seconds < 1' "$LAB_DIR/said" # when its SYN would come again
}

@test "somebody else has the VIP: said at start and while running" {
	tmbridge_stop
	ip -n dc addr add "$VIP/64" dev eth0 nodad
	lab_spawn second tmb "$TMBRIDGE" eth0 eth1 -f "$LAB_DIR/lb.ini"
	[[ $(lab_wait second 10) = 1 ]]
	grep 'eth0: fd00::40 belongs to 02:00:00:00:00:10 already' "$LAB_DIR/second.err"
	ip -n dc addr del "$VIP/64" dev eth0
	tmbridge_start "$LAB_DIR/lb.ini"
	lab_sysctl dc net.ipv6.conf.eth0.accept_dad=1 net.ipv6.conf.eth0.dad_transmits=1
	ip -n dc addr add "$VIP/64" dev eth0
	wait_until 5 grep -q 'eth0: fd00::40 is claimed by 02:00:00:00:00:10' "$LAB_DIR/tmbridge.err"
	wait_until 5 dc_gave_up # duplicate address detection hears tmbridge
	ip -n dc addr del "$VIP/64" dev eth0
}

dc_gave_up()
{
	ip -n dc -6 addr show dev eth0 | seek 'fd00::40/64.*dadfailed'
}
