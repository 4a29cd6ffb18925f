# A large file through the VIP arrives whole, whatever the offloads and the MTU.

source "$BATS_TEST_DIRNAME/../lab.sh"

setup_file()
{
	if [[ -z ${BULK_MIB:-} ]]; then
		BULK_MIB=256
		! lab_is_slow || BULK_MIB=64
	fi
	export BULK_MIB
	lab_file big "$BULK_MIB"
}

teardown()
{
	mv "$LAB_DIR/www" /run/www # spare it
	lab_down
	mv /run/www "$LAB_DIR/www"
}

bulk() # LAB-OPTION...
{
	local ns

	lab_up "$@"
	server_http fe1 80
	server_http fe2 80
	lab_ini 'ports = 80'
	tmbridge_start "$LAB_DIR/lb.ini"
	in_ns client curl -sS -m 60 "http://$VIP/big" | cmp - "$LAB_DIR/www/big"
	# Several at a time, from the inside as well.
	for ns in client dc fe1; do
		lab_spawn "bulk-$ns" $ns curl -sS -m 60 -r 0-33554431 "http://$VIP/big"
	done
	for ns in client dc fe1; do
		[[ $(lab_wait "bulk-$ns" 60) = 0 ]]
		cmp -n 33554432 "$LAB_DIR/bulk-$ns.out" "$LAB_DIR/www/big"
	done
	tmbridge_stats | stats_add_up
	tmbridge_stop
}

@test "with the offloads of veth (GSO, partial checksums)" {
	bulk
}

@test "with offloads off" {
	bulk offloads=off
}

@test "with an MTU of 9000" {
	bulk mtu=9000
}

@test "with an MTU of 9000 and offloads off" {
	truncate -s 64M "$LAB_DIR/www/big"
	bulk mtu=9000 offloads=off
}

# The hosts' kernels merge what is in their tunnels, and tmbridge cuts it up again: see offloads.bats.
@test "through a VXLAN of the hosts, which passes tmbridge" {
	local way ns self other number

	lab_up
	server_http fe1 80
	server_http fe2 80
	head -c 16M "$LAB_DIR/www/big" >"$LAB_DIR/www/part"
	lab_ini 'ports = 80'
	tmbridge_start "$LAB_DIR/lb.ini"
	for way in "client 10.0.0.100 10.0.0.41 1" "fe1 10.0.0.41 10.0.0.100 2"; do
		read -r ns self other number <<<"$way"
		ip -n "$ns" link add vx0 mtu 1450 type vxlan id 7 dstport 4789 local "$self" remote "$other" udpcsum
		ip -n "$ns" addr add "192.0.2.$number/24" dev vx0
		ip -n "$ns" link set vx0 up
	done
	in_ns client curl -sS -m 20 http://192.0.2.2/part | cmp - "$LAB_DIR/www/part"
	in_ns client curl -sS -m 20 -T "$LAB_DIR/www/part" http://192.0.2.2/up/part
	cmp "$LAB_DIR/www/part" "$LAB_DIR/www/up/part"
	rm -f "$LAB_DIR/www/part" "$LAB_DIR/www/up/part"
	tmbridge_counts '[.ports[].send_failed]' '[0,0]'
	tmbridge_stats | stats_add_up
	tmbridge_stop
}
