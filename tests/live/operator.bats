# Operators: the sockets, the verbs, and who misuses them.

source "$BATS_TEST_DIRNAME/../lab.sh"

setup_file()
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

RUN=/run/tmbridge/eth0-eth1

tmb() # VERB...
{
	"$TMBRIDGE" "$@"
}

servers_are_up() # N
{
	[[ $(tmb status -o json | head -n 1 | jq '[.farms[].servers[] | select(.health == "up")] | length') = "$1" ]]
}

# A client with a connection that stays, until crowd_ends.
connect() # NAME [N]
{
	lab_spawn "$1" client "$TOOLS/manyconns" connect -n "${2:-1}" -t 1 -w "$VIP" 5061
}

@test "status: a record whose figures add up" {
	run tmb status -o json
	[[ $status = 0 && ${#lines[@]} = 1 ]]
	stats_add_up <<<"${lines[0]}"
	jq -e '.ports.outside.link == "up" and .farms[0].servers[0].since and .flows.capacity == 10000' <<<"${lines[0]}"
}

@test "status, for people" {
	run tmb status
	echo "$output"
	[[ $status = 0 && $output = *"farm pool  10.0.0.40  up"* && $output = *"fe1"*"10.0.0.41"*"active"*"up"* ]]
	[[ -z $(awk 'length > 100' <<<"$output") ]]
	tmb version | grep -q '^tmbridge [0-9.]*, process [0-9]*, .*lb.ini$'
	tmb events | grep -q 'balancing$'
	tmb server list -o csv | grep -q '^pool,fe1,10.0.0.41,active,up,'
	tmb farm list | grep -qE '^pool +10.0.0.40 +true +2 +2 +0$'
}

# What somebody else's parser makes of the metrics: "NAME{LABELS} VALUE" a line.
parsed() # FILE
{
	/usr/bin/python3 - "$1" <<-'END'
		import sys
		from prometheus_client.openmetrics.parser import text_string_to_metric_families
		for family in text_string_to_metric_families(open(sys.argv[1]).read()):
		    for sample in family.samples:
		        labels = ",".join(f"{k}={v}" for k, v in sorted(sample.labels.items()))
		        print(f"{sample.name}{{{labels}}} {sample.value:g}")
	END
}

metric_is() # LINE
{
	tmb metrics >"$LAB_DIR/metrics"
	parsed "$LAB_DIR/metrics" | grep -xF "$1"
}

@test "metrics: valid by another's parser, and the same as the statistics" {
	in_ns client "$TOOLS/manyconns" connect -n 4 -t 5 "$VIP" 5061 | jq -e '.echoed == 4'
	connections=$(tmb status -o json | jq '[.farms[].servers[].connections_total] | add')
	wait_until 10 metric_is "tmbridge_flow_duration_seconds_count{farm=pool} $connections"
	metric_is "tmbridge_connect_seconds_count{farm=pool} $connections"
	metric_is 'tmbridge_server_up{farm=pool,server=fe1} 1'
	metric_is 'tmbridge_frames_total{act=answered,reason=no_server} 0'
	metric_is 'tmbridge_port_up{side=outside} 1'
	parsed "$LAB_DIR/metrics" | grep -qE '^tmbridge_burst_seconds_count\{\} [1-9]'
	tmb status -o json | jq -e '.farms[0].servers[0].connect_p99_ms > 0'
}
