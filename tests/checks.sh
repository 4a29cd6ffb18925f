#!/bin/bash
#
# For tests of health checks that speak: to be sourced after lab.sh and failover.sh.

# A farm with one server, fe1, for each NAME=CHECK, whose process has CHECK_MS to answer. It is out within 2 x CHECK_MS + CHECK_MS,
# times LAB_PATIENCE.
CHECK_MS=300

farms() # NAME=CHECK...
{
	local farm n=60 vip ms=$((CHECK_MS * LAB_PATIENCE))

	echo "[bridge]"
	echo "max_connections = $LAB_CONNECTIONS"
	echo "fast_path = $FAST_PATH"
	[[ -z $WORKERS ]] || echo "workers = $WORKERS"
	for farm; do
		vip=10.0.0.$((n++)) address=10.0.0.41
		[[ $farm != *6=* ]] || vip=fd00::$n address=fd00::41
		[[ $farm != nobody=* ]] || address=10.0.0.99
		printf '[farm %s]\nvip = %s\nports = 1\ncheck = %s\ncheck_interval = %sms\n' "${farm%%=*}" "$vip" "${farm#*=}" $ms
		printf 'check_timeout = %sms\nfall = 2\n[server %s]\nfarm = %s\naddress = %s\n' $ms "${farm%%=*}" "${farm%%=*}" "$address"
	done
}

all_are() # HEALTH
{
	tmbridge_stats | jq -e --arg h "$1" '[.farms[].servers[].health == $h] | all'
}

# Stops whatever answers in fe1, which accepts all the same: these servers are down for that in time.
stopped_they_go_down() # NAMES COMMAND...
{
	local pids from changed

	pids=$(ip netns pids fe1)
	from=$EPOCHREALTIME
	kill -STOP $pids
	wait_until 3 "${@:2}"
	changed=$(last_change "$1")
	jq -ne "$changed - $from <= (3 * $CHECK_MS + 200) * $LAB_PATIENCE / 1000" || lab_die "noticed $changed - $from s later" || return 1
	kill -CONT $pids
}

# The log says of the server that it is down for that.
says() # SERVER PATTERN
{
	log_says "server $1: down: $2, after [0-9.]+ s (up|unknown)"
}
