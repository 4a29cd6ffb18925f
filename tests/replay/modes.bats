# The same recorded conversations through all three modes: what servers and clients get of them differs in addresses, MAC
# addresses and TTL only.

source "$BATS_TEST_DIRNAME/../lab.sh"

setup()
{
	cd "$BATS_TEST_TMPDIR"
}

rules() # MODE RECORDING
{
	local net=10.0.0 server

	[[ $1 != routed ]] || net=192.168.0
	printf '[bridge]\nmode = %s\nmax_connections = 1000\noutside_mac = 02:00:00:00:00:01\n' "$1"
	printf 'inside_mac = 02:00:00:00:00:02\n'
	[[ $1 = transparent ]] || echo 'outside_address = 10.0.0.40/24'
	[[ $1 != routed ]] || echo 'inside_address = 192.168.0.40/24'
	printf '[farm pool]\nvip = 10.0.0.40\ncheck = none\nsnat_ports = 1024-65535\n'
	grep '^ports' "$2/lb.ini"
	for server in 1 2; do
		printf '[server fe%s]\nfarm = pool\naddress = %s.4%s\nmac = 02:00:00:00:00:4%s\n' $server $net $server $server
	done
}

through() # MODE RECORDING
{
	local in=out.pcap out=sent-out.pcap

	mkdir "$1" && cd "$1" || return
	rules "$1" "$2" >lb.ini
	/usr/bin/python3 "$BATS_TEST_DIRNAME/modes.py" make "$1" "$2" .
	[[ $1 = one-armed ]] || in=out.pcap,in.pcap out=sent-out.pcap,sent-in.pcap
	"$TMBRIDGE" -r $in -w $out -f lb.ini
	/usr/bin/python3 "$BATS_TEST_DIRNAME/modes.py" tell "$1" sent-*.pcap >sent
	cd ..
}

@test "servers and clients are sent the same in all modes, but for addresses, MAC addresses and TTL" {
	local recording

	for recording in http tls-443; do
		mkdir "$recording" && cd "$recording"
		for mode in transparent routed one-armed; do
			through $mode "$LAB_ROOT/pcaps/$recording"
		done
		[[ $(grep -c ^server transparent/sent) -ge 10 && $(grep -c ^client transparent/sent) -ge 10 ]]
		diff transparent/sent routed/sent
		diff transparent/sent one-armed/sent
		cd ..
	done
}
