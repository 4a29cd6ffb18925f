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
	BULK_SUM=$(sha256sum <"$LAB_DIR/www/big")
	export BULK_SUM
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
	[[ $(in_ns client curl -sS -m 60 "http://$VIP/big" | sha256sum) = "$BULK_SUM" ]]
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
	BULK_SUM=$(head -c 64M "$LAB_DIR/www/big" | sha256sum)
	truncate -s 64M "$LAB_DIR/www/big"
	bulk mtu=9000 offloads=off
}
