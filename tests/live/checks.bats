# Health checks that speak: what a server must answer, and what is said of one that doesn't.

source "$BATS_TEST_DIRNAME/../lab.sh"
source "$BATS_TEST_DIRNAME/../failover.sh"
source "$BATS_TEST_DIRNAME/../checks.sh"

setup_file()
{
	lab_up
}

teardown()
{
	lab_kill_all
	ip netns exec fe1 nft flush ruleset
}

peer() # PEER-OPTION... PORT WANT REPLY
{
	lab_spawn "peer-${*: -3:1}" fe1 "$TOOLS/peer" "$@"
	wait_until 20 server_listens fe1 "${*: -3:1}"
}

# Each has had several good probes, and no other.
all_are_good()
{
	tmbridge_stats | jq -e '[.farms[].servers[] | .probes_ok >= 3 and .probes_failed == 0] | all'
}

@test "each preset takes the answer that is right, whole or in pieces, and leaves nothing behind" {
	local CHECK_MS=2000 # none may be late

	server_http fe1 80
	server_tls fe1 443
	peer -p 25 '' '220-mail.example.com ESMTP\r\n220 ready\r\n'
	peer -p 389 objectClass '\x30\x84\x00\x00\x00\x10\x02\x01\x01\x64\x84\x00\x00\x00\x07\x04\x00\x30\x84\x00\x00\x00\x00'
	peer 5060 '\r\n\r\n' 'SIP/2.0 405 Method Not Allowed\r\nContent-Length: 0\r\n\r\n'
	peer 135 '\x08\x83\xaf\xe1' '\x05\x00\x0c\x03\x10\x00\x00\x00'
	peer 1433 '\xff\x0b\x00' '\x04\x01\x00\x2b'
	peer -c 6379 'PING\r\n' '+PONG\r\n'
	peer 5432 '\x04\xd2\x16\x2f' N
	peer 5433 'user\x00monitor\x00\x00' 'R\x00\x00\x00\x08'
	peer -p 9 'hello \xff' 'so many bytes, and then 42, which is it'
	{
		farms 'http=80 http /name fe1 200, 80 http /nowhere 404, 80' 'tls=443 tls, 443 tls fe1' 'http6=80 http /name' \
			smtp='25 smtp' ldap='389 ldap' sip='5060 sip' rpc='135 rpc' mssql='1433 mssql' \
			redis='6379 redis' pgsql='5432 pgsql, 5433 pgsql monitor' own='9 own'
		printf '[check own]\nsend = "hello \\xff"\nexpect = \\{20}t\\?\\m656fn\\{20}\nmatch = substring\nnumber = 42\n'
	} >"$LAB_DIR/lb.ini"
	tmbridge_start "$LAB_DIR/lb.ini"
	wait_until 10 all_are up
	wait_until 10 all_are_good
	wait_until 5 no_probes
	tmbridge_stop
}

# None that is underway at this moment, or left over. TIME-WAIT is no fault: some servers close first.
no_probes()
{
	[[ -z $(in_ns fe1 ss -Htn 'dport >= :1008 and dport <= :1023') ]]
}

@test "each failure has its own reason in the log and the statistics" {
	local CHECK_MS=2000 # to be late is another

	ip netns exec fe1 nft -f - <<-END
		table inet t {
			chain in {
				type filter hook input priority 0
				tcp dport 7001 drop
				tcp dport 7002 reject with icmpx admin-prohibited
			}
		}
	END
	peer 25 '' '554 "no"\x00\r\n'
	peer 26 never ''
	peer -c 27 '' ''
	peer 28 '' '22'
	farms refused='7000 smtp' dropped='7001 smtp' rejected='7002 smtp' rejected6='7002' nobody=25 silent='26 tls' closed='27 smtp' \
		unexpected='25 smtp' short='28 smtp' >"$LAB_DIR/lb.ini"
	tmbridge_start "$LAB_DIR/lb.ini"
	wait_until 10 all_are down
	says refused 'port 7000 smtp: connection refused'
	says dropped 'port 7001 smtp: no answer'
	says rejected 'port 7002 smtp: ICMP says that it can.t be reached \(prohibited\)'
	says rejected6 'port 7002: ICMP says that it can.t be reached \(prohibited\)'
	says nobody 'port 25: no ARP reply'
	says silent "port 26 tls: accepts connections, but doesn't answer"
	says closed 'port 27 smtp: closes the connection without an answer'
	says unexpected 'port 25 smtp: unexpected answer "554 .x22no.x22.x00.r.n"'
	says short 'port 28 smtp: unexpected answer "22"'
	tmbridge_stats | jq -e '[.farms[].servers[] | {(.name): .failed_reason}] | add == {
		refused: "refused", dropped: "no_answer", rejected: "unreachable", rejected6: "unreachable", nobody: "no_arp",
		silent: "silent", closed: "closed_early", unexpected: "unexpected", short: "unexpected"}'
	tmbridge_stats | jq -e '.farms[-2].servers[0] | .failed_why == "unexpected answer \"554 \\x22no\\x22\\x00\\r\\n\""
		and .failed_check == "smtp" and .failed_port == 25'
	tmbridge_stats | jq -e '[.farms[].servers[] | .probes_failed >= 2 and .probes_failed == (.failures | add)] | all'
	tmbridge_stop
}

hung()
{
	tmbridge_stats | jq -e '[.farms[].servers[] | .health == "down" and .failed_reason == "silent"] | all'
}

@test "a server that accepts and hangs is out within fall x check_interval + check_timeout" {
	server_http fe1 80
	server_tls fe1 443
	peer 25 '' '220 ready\r\n'
	farms 'http=80 http /name' 'tls=443 tls' 'smtp=25 smtp' >"$LAB_DIR/lb.ini"
	tmbridge_start "$LAB_DIR/lb.ini"
	wait_until 10 all_are up
	stopped_they_go_down 'http tls smtp' hung
	wait_until 10 all_are up
	tmbridge_stop
}

@test "all servers at once: kept with all_down = keep; an agent takes its server out, and lets it have less" {
	peer 25 '' '220 ready\r\n'
	peer -c 9999 '' 'drain\n'
	farms kept='25 smtp' out='25 smtp' agent=none | sed -e '/^\[farm kept/a all_down = keep' -e '/^\[farm agent/a agent = 9999' >"$LAB_DIR/lb.ini"
	tmbridge_start "$LAB_DIR/lb.ini"
	wait_until 10 all_are up
	wait_until 10 agent_is drain false
	lab_kill peer-25
	wait_until 10 health_is out down
	wait_until 10 log_says 'farm kept: all its servers fail: those that are up stay so'
	health_is kept up
	peer 25 '' '220 ready\r\n'
	wait_until 10 log_says 'farm kept: checks count again'
	lab_kill peer-9999
	wait_until 10 log_says 'server agent: port 9999 agent: [^:]*: what it has said last counts on'
	agent_is drain false
	peer -c 9999 '' 'down#no disk\n'
	wait_until 10 agent_is down false
	log_says 'server agent: down: port 9999 agent: the agent says that it is down'
	lab_kill peer-9999
	peer -c 9999 '' 'up ready 50%\n'
	wait_until 10 agent_is up true
	tmbridge_stop
}

agent_is() # WORD FARM-IS-UP
{
	tmbridge_stats | jq -e --arg w "$1" --argjson up "$2" '.farms[] | select(.name == "agent") |
		.up == $up and .servers[0].agent_says == $w'
}

@test "observe: two clients that a server refuses have it probed at once" {
	local CHECK_MS=10000 # its one probe may not be late

	peer 25 '' '220 ready\r\n'
	farms seen='25 smtp' | sed -e '/^\[farm seen/a observe = 2' -e 's/^check_interval = .*/check_interval = 1h/' >"$LAB_DIR/lb.ini"
	tmbridge_start "$LAB_DIR/lb.ini"
	wait_until 10 all_are up
	in_ns client "$TOOLS/manyconns" connect -n 2 -j 1 -t 10 10.0.0.60 1 | jq -e '.refused == 2'
	wait_until 5 log_says 'server seen: 2 connections in a row without an answer: probed at once'
	wait_until 5 probed_again
	tmbridge_stop
}

probed_again()
{
	tmbridge_stats | jq -e '.farms[0].servers[0].probes_ok == 2'
}
