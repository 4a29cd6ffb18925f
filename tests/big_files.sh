#!/bin/bash
#
# Sections of lb.ini for tests of the largest files: to be sourced after lab.sh. All of them are somebody's whom nobody asks for anything.

# A farm of servers at addresses of nobody, each checked on 16 ports.
servers_of_nobody() # SERVERS
{
	awk -v n="$1" 'BEGIN {
		print "[farm many]\nvip = 10.0.0.50\nports = 1-100\ncheck_interval = 5s"
		printf "check = 1"
		for (i = 2; i <= 16; i++)
			printf ", %d", i
		print ""
		for (i = 0; i < n; i++)
			printf "[server s%d]\nfarm = many\naddress = 10.1.%d.%d\n", i, i / 250, 1 + i % 250
	}'
}

# Farms with a log and an SNAT address of their own.
farms_with_logs() # FARMS
{
	awk -v n="$1" -v dir="$LAB_DIR" 'BEGIN {
		for (i = 0; i < n; i++) {
			printf "[farm f%d]\nvip = 10.2.%d.%d\nports = 80\nsnat = 10.3.%d.%d\n", i, i / 250, 1 + i % 250, i / 250, 1 + i % 250
			printf "connlog = %s/log%d\n[server f%d]\nfarm = f%d\naddress = 10.4.%d.%d\n", dir, i, i, i, i / 250, 1 + i % 250
		}
	}'
}

# Farms with 250 SNAT addresses each; of 128 the very last one is 10.2.127.251.
farms_of_250_addresses() # FARMS
{
	awk -v n="$1" 'BEGIN {
		for (f = 0; f < n; f++) {
			printf "[farm f%d]\nvip = 10.2.%d.1\nports = 80\nsnat = 10.2.%d.2-10.2.%d.251\n", f, f, f, f
			printf "[server s%d]\nfarm = f%d\naddress = 10.4.0.%d\n", f, f, f + 1
		}
	}'
}
