# What a pool's administrator tries: who answers, and with which addresses. What he tries first is in transparent.bats.

source "$BATS_TEST_DIRNAME/../lab.sh"

setup_file()
{
	lab_up
	server_tcp fe1 5061
	server_tcp fe2 5061
}

teardown()
{
	[[ ! -e $LAB_DIR/tmbridge.pid ]] || lab_kill tmbridge
}

vip_connect() # OPTION...
{
	in_ns client "$TOOLS/manyconns" connect "$@" "$VIP" 5061
}

# The servers that answered, one a line.
vip_answers() # N
{
	vip_connect -n "$1" -j 1 -c -g | cut -d' ' -f1
}

# bats test_tags=apart
@test "weights 3 and 1 share connect-and-close 3 to 1" {
	lab_ini 'ports = 5061' 'fe1.weight = 3'
	tmbridge_start "$LAB_DIR/lb.ini"
	answers=$(vip_answers 40)
	echo "$answers" | uniq -c
	is_share "$(grep -c fe1 <<<"$answers")" 30
	is_share "$(grep -c fe2 <<<"$answers")" 10
	tmbridge_stop
}

@test "weights 3 and 1 share held connections 3 to 1" {
	lab_ini 'ports = 5061' 'fe1.weight = 3'
	tmbridge_start "$LAB_DIR/lb.ini"
	result=$(vip_connect -n 400)
	echo "$result"
	jq -e "$JQ_SHARE"'.echoed == 400 and (.servers | (.fe1 | is_share(300)) and .fe1 + .fe2 == 400)' <<<"$result"
	tmbridge_stop
}

@test "connections stay on their servers while hundreds of others come and go" {
	lab_ini 'ports = 5061'
	tmbridge_start "$LAB_DIR/lb.ini"
	coproc HELD { vip_connect -n 2 -w 3>&-; }
	read -r -t 60 line <&"${HELD[0]}"
	jq -e '.connected == 2' <<<"$line"
	for _ in 1 2 3; do
		vip_connect -n 300 -c | jq -e '.connected == 300'
		echo >&"${HELD[1]}"
		read -r -t 60 line <&"${HELD[0]}"
		jq -e '.echoed == 2 and .lost == 0' <<<"$line"
	done
	tmbridge_counts '.flows.created' 902
	kill "$HELD_PID"
	tmbridge_stop
}

@test "the server sees the SNAT address and its own, the client sees only the VIP" {
	lab_ini 'ports = 5061' 'snat = 10.0.0.47'
	tmbridge_start "$LAB_DIR/lb.ini"
	lab_spawn capture client tcpdump -i eth0 --immediate-mode -U -w "$LAB_DIR/client.pcap" tcp or udp port 9
	wait_until 20 grep -q listening "$LAB_DIR/capture.err"
	greetings=$(vip_connect -n 4 -j 1 -g)
	echo "$greetings"
	[[ $(grep -cE '^(fe[12]) 10\.0\.0\.47:[0-9]+ 10\.0\.0\.4[12]:5061$' <<<"$greetings") = 4 ]]
	wait_until 10 is_all_captured "$LAB_DIR/client.pcap" client "$VIP"
	lab_signal capture TERM
	[[ $(lab_wait capture 5) = 0 ]]
	[[ $(tcpdump -r "$LAB_DIR/client.pcap" -n tcp 2>/dev/null | wc -l) -ge 24 ]]
	[[ -z $(tcpdump -r "$LAB_DIR/client.pcap" -n not host "$VIP" 2>/dev/null) ]]
	tmbridge_stop
}

@test "hairpin: a server that connects to the VIP gets the other and itself" {
	lab_ini 'ports = 5061'
	tmbridge_start "$LAB_DIR/lb.ini"
	answers=$(in_ns fe1 "$TOOLS/manyconns" connect -n 8 -j 1 -g "$VIP" 5061)
	echo "$answers"
	is_share "$(grep -c '^fe1 10.0.0.40:' <<<"$answers")" 4
	is_share "$(grep -c '^fe2 10.0.0.40:' <<<"$answers")" 4
	in_ns fe1 "$TOOLS/manyconns" connect -n 50 "$VIP" 5061 |
		jq -e "$JQ_SHARE"'.echoed == 50 and (.servers | (.fe1 | is_share(25)) and .fe1 + .fe2 == 50)'
	tmbridge_stats | stats_add_up
	tmbridge_stop
}

@test "the VIP answers ping from both sides" {
	lab_ini 'ports = 5061'
	tmbridge_start "$LAB_DIR/lb.ini"
	in_ns client ping -q -c 3 -i 0.1 "$VIP"
	in_ns fe1 ping -q -c 3 -i 0.1 "$VIP"
	tmbridge_counts '.reasons.echo_reply' 6
	tmbridge_stop
}

@test "TLS through the VIP" {
	server_tls fe1 443
	server_tls fe2 443
	lab_ini 'ports = 443'
	tmbridge_start "$LAB_DIR/lb.ini"
	for _ in 1 2 3 4; do
		in_ns client openssl s_client -connect "$VIP:443" </dev/null 2>/dev/null | grep ^subject
	done >"$LAB_DIR/subjects"
	[[ $(wc -l <"$LAB_DIR/subjects") = 4 ]]
	is_share "$(grep -c 'CN = fe1' "$LAB_DIR/subjects")" 2
	is_share "$(grep -c 'CN = fe2' "$LAB_DIR/subjects")" 2
	tmbridge_stop
}

# bats test_tags=apart
@test "checked servers take connections while their probes succeed" {
	local workers=${WORKERS:-1}

	lab_ini 'ports = 5061' 'check = 5061' 'check_interval = 1s' 'check_timeout = 1s'
	tmbridge_start "$LAB_DIR/lb.ini"
	wait_until 5 tmbridge_is_served 2
	vip_connect -n $((10 * workers)) -j 1 -c | jq -e --argjson w "$workers" '.servers | .fe1 >= 4 * $w and .fe2 >= 4 * $w'
	lab_kill fe1-tcp
	wait_until 10 tmbridge_counts '.farms[0].servers[0].health' '"down"'
	vip_connect -n 10 -j 1 -c | jq -e '.servers == {"fe2": 10}'
	server_tcp fe1 5061
	wait_until 10 tmbridge_is_served 2
	vip_connect -n $((10 * workers)) -j 1 -c | jq -e --argjson w "$workers" '.servers | .fe1 >= 4 * $w and .fe2 >= 4 * $w'
	tmbridge_stop
}
