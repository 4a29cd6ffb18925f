#!/bin/bash
#
# For tests of health checks that speak: to be sourced after lab.sh and failover.sh.

# A farm with one server, fe1, for each NAME=CHECK; fast checks, so that a server is out within
# 2 x 300 ms + 300 ms, times LAB_PATIENCE.
farms() # NAME=CHECK...
{
	local farm n=60 vip ms=$((300 * LAB_PATIENCE))

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

# The log says of the server that it is down for that.
says() # SERVER PATTERN
{
	log_says "server $1: down: $2, after [0-9.]+ s (up|unknown)"
}
