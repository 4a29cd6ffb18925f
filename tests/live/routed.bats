# Between two subnets, mode = routed: the walkthrough's steps, one after the other, each with its check. VIP and SNAT address are
# the host's own.

source "$BATS_TEST_DIRNAME/../lab.sh"
source "$BATS_TEST_DIRNAME/../topologies.sh"
source "$BATS_TEST_DIRNAME/../walkthrough.sh"

setup_file()
{
	routed_up
	topology_services
}

setup()
{
	FAST_PATH=${TOPOLOGY_FAST_PATH:-kernel}
	MODE=routed INTERFACES=(eth0 eth1) NET4=192.168.0 NET6=fd01
	SNAT4=192.168.0.40 SNAT6=fd01::40 SNAT4_MORE=192.168.0.50
}

@test "before any VIP: with routing = yes a Front End reaches Active Directory, and is reached; with no it isn't" {
	server_tcp dc 135
	printf '[bridge]\nmode = routed\nmax_connections = 10000\nrouting = yes\non_exit = cut\n' >"$LAB_DIR/lb.ini"
	topology_start
	reached_directly
	sed -i 's/routing = yes/routing = no/' "$LAB_DIR/lb.ini"
	topology_reload
	run in_ns fe1 ping -c 1 -W 1 10.0.0.10
	[[ $status = 1 ]]
	run in_ns client ping -c 1 -W 1 fd01::41
	[[ $status = 1 ]]
	sed -i 's/routing = no/routing = yes/' "$LAB_DIR/lb.ini"
	topology_reload
	in_ns fe1 ping -c 1 -W 10 10.0.0.10
	[[ $(forwarding) = "1 1 1" ]]
	tmbridge_stop
	[[ $(forwarding) = "0 0 0" ]]
}

# What was before is known for as long as it isn't set back, by whatever names.
@test "killed after an interface was put in anew, it leaves no routing to wire release, nor to a cable, nor to who calls it otherwise" {
	topology_start
	ip -n tmb link del eth1
	topology_tmb eth1 02:00:00:00:00:02 segment "$NET4" "$NET6"
	wait_until 8 forwards
	lab_kill tmbridge
	in_ns tmb "$TMBRIDGE" wire release eth0 eth1
	[[ $(forwarding) = "0 0 0" ]]
	ip -n tmb link property add dev eth0 altname lan.0
	INTERFACES=(lan.0 eth1)
	topology_start
	lab_kill tmbridge
	forwards
	INTERFACES=(eth0 eth1)
	printf '[bridge]\nmax_connections = 10000\nmode = transparent\non_exit = cut\n' >"$LAB_DIR/lb.ini"
	topology_start
	grep -q "^tmbridge: the kernel's routing is set back" "$LAB_DIR/tmbridge.err"
	tmbridge_stop
	[[ $(forwarding) = "0 0 0" ]]
	ip -n tmb link property del dev eth0 altname lan.0
}

forwards()
{
	[[ $(forwarding) = "1 1 1" ]]
}

forwarding()
{
	in_ns tmb sysctl -n net.ipv4.conf.eth0.forwarding net.ipv4.conf.eth1.forwarding net.ipv6.conf.all.forwarding | paste -sd' '
}

@test "VIP: connections alternate, both addresses are rewritten, nothing reaches the host's stack; hairpin, and none in between" {
	topology_ini routed
	host_probe
	topology_start
	wait_until 10 tmbridge_is_served 4
	served_by_vips
	[[ $(tmbridge_stats | jq '.reasons.to_host > 0 and .reasons.not_ours == null and .frames.bridged == 0') = true ]]
	run in_ns tmb "$TMBRIDGE" wire bypass
	[[ $status = 6 && $output = *"mode = routed has no wire"* ]]
}

@test "capture --bundle: the replay knows the host's addresses" {
	topology_replays fd00::40 tcp and host fd00::100
}

@test "what is no service is the host's: its own services, and its own connections to the same servers" {
	server_tcp_at tmb 22
	[[ $(connects client 10.0.0.40 22 1) = "tmb 10.0.0.100:"* ]]
	[[ $(connects fe1 192.168.0.40 22 1) = "tmb 192.168.0.41:"* ]]
	[[ $(connects tmb 192.168.0.42 5061 1) = "fe2 192.168.0.40:"* ]]
	in_ns client ping -c 1 -W 10 10.0.0.40
	in_ns client ping -c 1 -W 10 fd00::40
	filters_have_a_say
}

@test "a packet whose TTL ends here is answered, and one less is left of others" {
	capture fe1 'tcp[tcpflags] & tcp-syn != 0 and src host 192.168.0.40 and dst portrange 5060-5061' -v
	connects client 10.0.0.40 5060 2
	wait_until 5 grep -q 'ttl 63' "$LAB_DIR/fe1-dump.out"
	ip -n client route add 10.0.0.40/32 dev eth0 hoplimit 1
	lab_spawn near client bash -c 'exec 3<>/dev/tcp/10.0.0.40/5061'
	wait_until 5 is_told_of_ttl
	lab_kill near
	[[ $(<"$LAB_DIR/near.status") != 0 ]]
	ip -n client route del 10.0.0.40/32
	[[ $(tmbridge_stats | jq '.reasons.ttl_expired') -ge 1 ]]
	lab_kill fe1-dump
}

is_told_of_ttl()
{
	[[ $(in_ns client nstat -asz IcmpInTimeExcds | awk '/IcmpInTimeExcds/ { print $2 }') -ge 1 ]]
}

@test "MTUs may differ: who sends what is too long is told, IPv4 and IPv6, merged frames too" {
	local vip

	ip -n tmb link set eth1 mtu 1400
	wait_until 8 mtu_is 1400
	for vip in 10.0.0.40 fd00::40; do
		head -c 3M /dev/zero | in_ns client timeout 20 bash -c "exec 3<>/dev/tcp/$vip/8404; cat >&3; read -t 10 -r n <&3; echo \$n" >"$LAB_DIR/sent" &
		wait_until 10 path_mtu_is "$vip" 1400
		wait $! || true
	done
	[[ $(tmbridge_stats | jq '.reasons.too_big') -ge 2 ]]
	ip -n tmb link set eth1 mtu 1500
	ip -n client route flush cache
	wait_until 8 mtu_is 1500
}

mtu_is() # MTU
{
	[[ $(tmbridge_stats | jq .ports.inside.mtu) = "$1" ]]
}

path_mtu_is() # ADDRESS MTU
{
	in_ns client ip route get "$1" | seek "mtu $2"
}

# Connections that go on and on, by a farm of its own.
talks_begin()
{
	printf '[farm talks]\nvip = 10.0.0.40\nports = 9000\ncheck = none\n[server talker]\nfarm = talks\naddress = 192.168.0.41\n' >>"$LAB_DIR/lb.ini"
	topology_reload
	lab_spawn talkers fe1 "$TOOLS/talks" serve 9000
	wait_until 20 server_listens fe1 9000
	lab_spawn talking client "$TOOLS/talks" connect 10.0.0.40 9000 20 2000 20
	wait_until 10 tmbridge_counts '[.farms[] | select(.name == "talks") | .servers[0].connections]' '[20]'
}

@test "ports that a reload or restart leaves to the host are tmbridge's while connections have them" {
	gives_ports_to_the_host 10.0.0.40
	[[ $FAST_PATH != kernel ]] || gives_ports_to_the_host 10.0.0.40 restart
}

@test "kill -9: open connections go on without a process, the next one takes over; wire release gives the host's settings back" {
	[[ $FAST_PATH = kernel ]] || skip
	host_probe
	sed -i 's/^mode = .*/&\nrouting = yes/' "$LAB_DIR/lb.ini"
	talks_begin
	tmbridge_stats | jq -e '.fast_path | .active and .forwarded > 0'
	lab_kill tmbridge
	[[ $(forwarding) = "1 1 1" ]]
	topology_start
	grep -q '^tmbridge: 20 connections of an earlier process go on$' "$LAB_DIR/tmbridge.err"
	tmbridge_stop # it leaves the kernel's part, and routing
	[[ $(forwarding) = "1 1 1" ]]
	[[ $(connects client 192.168.0.42 444 1) = "fe2 10.0.0.100:"* ]]
	topology_start
	grep -q '^tmbridge: 20 connections of an earlier process go on$' "$LAB_DIR/tmbridge.err"
	lab_signal talking TERM
	[[ $(lab_wait talking 20) = 0 ]]
	host_saw_nothing
	lab_kill tmbridge
	in_ns tmb "$TMBRIDGE" wire release eth0 eth1
	[[ $(forwarding) = "0 0 0" ]]
	[[ -z $(in_ns tmb tc filter show dev eth0 ingress) && -z $(in_ns tmb tc qdisc show dev eth0 clsact) ]]
	run in_ns tmb "$TMBRIDGE" wire release eth0 eth1
	[[ $status = 1 && $output = *"nothing was left"* ]]
	sed -i '/^\[farm talks\]/,$d; /^routing = /d' "$LAB_DIR/lb.ini"
	topology_start
	host_probe # after a time in which nobody kept from the host what servers send again
	wait_until 10 tmbridge_is_served 4
}

@test "a Front End that fails is told of, the other one goes on, and it comes back" {
	fails_and_returns
}

@test "further SNAT addresses; cut-over; drain; decommission; another mode needs a restart" {
	changes_by_reload
	sed -i 's/^mode = .*/mode = routed\non_exit = cut/' "$LAB_DIR/lb.ini"
	topology_reload
	tmbridge_stop
	[[ -z $(in_ns tmb tc filter show dev eth0 ingress) ]]
}

@test "two workers" {
	WORKERS=2
	topology_ini routed
	topology_start
	host_probe # which has nothing left over from before: a server may still say something to an earlier test's
	wait_until 10 tmbridge_is_served 4
	served_by_vips
	tmbridge_counts '[.fast_path.active, .workers.running, .workers.handed_over]' "[$([[ $FAST_PATH = kernel ]] && echo true || echo false),2,0]"
	tmbridge_stop
}
