# Frames beyond the MTU: those with tags and labels that the kernel's bridge passes, and no others.

source "$BATS_TEST_DIRNAME/../lab.sh"

# What comes behind the addresses, 88b5 last: none, one tag, two, three; MPLS; PPPoE.
HEADS="88b5 8100000588b5 88a8000588b5 9100000588b5 810000058100000688b5 88a800058100000688b5 88a8000588a8000688b5
	81000005810000068100000788b5 884700001140 88470000104000001140 88641100000105de0021 81000005886411000001000a0021"
LENGTHS="1513 1514 1515 1517 1518 1519 1521 1522 1523 1525 1526 1527 1530"

# Only the two ports have the MTU: their neighbours send whatever is given to them. From one bridge to the next the outermost tag
# goes beside the frame, as it does from a network card.
setup_file()
{
	local interface

	lab_up
	for interface in client/eth0 switch/client switch/tmb segment/tmb segment/fe1 fe1/eth0; do
		ip -n "${interface%/*}" link set "${interface#*/}" mtu 1600
	done
}

# Lines "HEAD N N": how many of the LENGTHS cross, inwards and outwards.
crossing()
{
	local head length inwards outwards zeros

	zeros=$(printf '%03200d' 0)
	for head in $HEADS; do
		for length in $LENGTHS; do
			echo "0202020202aa0202020202bb$head${zeros:0:2*length-24-${#head}}"
		done >"$LAB_DIR/frames"
		printf '0202020202aa0202020202bb88b5%092x\n' 1 >>"$LAB_DIR/frames" # one that crosses in any case
		"$TOOLS/rawframe" -e client/eth0 fe1/eth0 <"$LAB_DIR/frames" >"$LAB_DIR/inwards" &
		"$TOOLS/rawframe" -e fe1/eth0 client/eth0 <"$LAB_DIR/frames" >"$LAB_DIR/outwards" || true
		wait $! || true
		jq -rs --arg head "$head" '"\($head) \(.[0].arrived) \(.[1].arrived)"' "$LAB_DIR"/{in,out}wards
	done
}

@test "tags, labels and lengths cross as with the kernel's bridge in the same place" {
	lab_plain_wire
	crossing >"$LAB_DIR/bridge"
	ip -n tmb link del br0
	lab_ini 'ports = 5061'
	tmbridge_start "$LAB_DIR/lb.ini"
	crossing >"$LAB_DIR/tmbridge"
	tmbridge_stats | stats_add_up
	cat "$LAB_DIR/bridge"
	diff "$LAB_DIR/bridge" "$LAB_DIR/tmbridge"
	# 1518 bytes, and 1522 with a tag
	[[ $(sed -n '1p;2p;6p' "$LAB_DIR/tmbridge" | cut -d' ' -f2- | xargs) = "5 5 8 8 8 8" ]]
	tmbridge_stop
}

@test "an MTU that is changed while it runs counts" {
	tmbridge_start "$LAB_DIR/lb.ini"
	for port in eth0 eth1; do
		ip -n tmb link set $port mtu 1504
	done
	wait_until 3 eval "tmbridge_stats | jq -e '[.ports[].mtu] == [1504, 1504]'"
	HEADS="88b5 88a80005810000068100000788b5"
	crossing >"$LAB_DIR/tmbridge"
	cat "$LAB_DIR/tmbridge"
	[[ $(cut -d' ' -f2- "$LAB_DIR/tmbridge" | xargs) = "8 8 11 11" ]]
	tmbridge_stop
}
