# What tests of the verbs have in common; lab.sh comes before.

RUN=/run/tmbridge/eth0-eth1

tmb() # VERB...
{
	"$TMBRIDGE" "$@"
}

servers_are_up() # N
{
	[[ $(tmb status -o json | sed -n 1p | jq '[.farms[].servers[] | select(.health == "up")] | length') = "$1" ]]
}

# A client whose connection stays until it is killed, from that port.
hold() # NAME
{
	lab_spawn "$1" client bash -c 'exec 3<>/dev/tcp/'"$VIP"'/5061; echo hello >&3; read -r line <&3; echo "$line"; read -r line <&3; echo "$line"; read -r line <&3; echo over; sleep 100'
	wait_until 5 grep -q hello "$LAB_DIR/$1.out"
}

# Where its client is, as the server says: "fe1 10.0.0.40:PORT ..."
held_server()
{
	head -n 1 "$LAB_DIR/$1.out" | cut -d' ' -f1
}

server_is() # NAME JQ-CONDITION
{
	tmb status -o json | jq -e --arg name "$1" ".farms[].servers[] | select(.name == \$name) | $2"
}

# One instance for all tests of a file.
setup_file()
{
	operators_up
}

operators_up()
{
	lab_up
	server_tcp fe1 5061
	server_tcp fe2 5061
	lab_ini 'ports = 5061' 'check = 5061' 'check_interval = 1s' 'check_timeout = 500ms' 'fall = 2' "connlog = $LAB_DIR/conn.log"
	tmbridge_start "$LAB_DIR/lb.ini"
	wait_until 10 servers_are_up 2
}

teardown_file()
{
	tmbridge_stop
	lab_down
}
