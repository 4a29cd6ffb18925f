# As a piece of cable, mode = transparent: the walkthrough's steps, one after the other, each with its check.

source "$BATS_TEST_DIRNAME/../lab.sh"
source "$BATS_TEST_DIRNAME/../topologies.sh"
source "$BATS_TEST_DIRNAME/../walkthrough.sh"

setup_file()
{
	transparent_up
	topology_services
}

setup()
{
	MODE=transparent INTERFACES=(eth0 eth1) NET4=10.0.0 NET6=fd00
	SNAT4=10.0.0.40 SNAT6=fd00::40 SNAT4_MORE=10.0.0.50
}

@test "the wire first: before any VIP a Front End reaches Active Directory, and each one is reached" {
	server_tcp dc 135
	printf '[bridge]\nmode = transparent\nmax_connections = 10000\nfast_path = %s\non_exit = cut\n' "$FAST_PATH" >"$LAB_DIR/lb.ini"
	topology_start
	reached_directly
	tmbridge_stop
	run in_ns fe1 ping -c 1 -W 0.3 10.0.0.10 # it was the only way
	[[ $status = 1 ]]
}

@test "VIP: connections alternate, both addresses are rewritten, nothing reaches the host's stack; hairpin, and none in between" {
	topology_ini transparent
	host_probe transparent
	topology_start
	wait_until 10 tmbridge_is_served 4
	served_by_vips
	in_ns client ping -q -c 1 -W 10 10.0.0.40
	in_ns fe1 ping -q -c 1 -W 10 fd00::40
	host_saw_nothing
}

# bats test_tags=plain
@test "a Front End that fails is told of, the other one goes on, and it comes back" {
	fails_and_returns
}

@test "further SNAT addresses; cut-over; drain; decommission; another mode needs a restart" {
	changes_by_reload
	tmbridge_stop
}

# bats test_tags=apart
@test "killed, it keeps nothing from the host, who may serve the VIP by other means" {
	FAST_PATH=off
	topology_ini transparent
	topology_start
	ip -n client neigh replace 10.0.0.40 lladdr 02:00:00:00:00:01 dev eth0
	in_ns client ping -q -c 1 -W 10 10.0.0.40
	lab_kill tmbridge
	ip -n tmb addr add 10.0.0.40/24 dev eth0
	in_ns client ping -q -c 1 -W 10 10.0.0.40
	in_ns tmb "$TMBRIDGE" wire release eth0 eth1
	[[ -z $(in_ns tmb tc filter show dev eth0 ingress) && -z $(in_ns tmb tc qdisc show dev eth1 clsact) ]]
}
