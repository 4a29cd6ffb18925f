# Health checks of real servers, not scripted ones: what the presets take of each for an answer, and what not.

# bats file_tags=plain
source "$BATS_TEST_DIRNAME/../lab.sh"
source "$BATS_TEST_DIRNAME/../failover.sh"
source "$BATS_TEST_DIRNAME/../checks.sh"

POSTGRES=/usr/lib/postgresql/15/bin
UP="http http6 tls tls12 smtp ldap redis locked pgsql pgsql_user pgsql_free"

setup_file()
{
	local program database

	for program in nginx openssl redis-server slapd "$POSTGRES/postgres"; do
		command -v "$program" >/dev/null || skip "there is no $program"
	done
	lab_up
	in_ns fe1 sysctl -q net.ipv4.ip_unprivileged_port_start=0
	serve_postgres & # takes longest
	database=$!
	serve_http
	serve_others
	serve_ldap 389 ''
	serve_ldap 390 'require authc'
	wait $database
	for port in 25 80 389 390 443 444 5432 6379 6380; do
		wait_until 20 server_listens fe1 $port
	done
}

# As nobody, in a folder of its own.
serve() # NAME COMMAND...
{
	lab_spawn "$1" fe1 setpriv --reuid nobody --regid nogroup --clear-groups "${@:2}"
}

own_folder() # NAME
{
	install -d -o nobody -g nogroup "$LAB_DIR/$1"
	echo "$LAB_DIR/$1"
}

serve_http()
{
	lab_file big 1
	server_http fe1 80
}

serve_others()
{
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=fe1 -days 2 \
		-keyout "$LAB_DIR/key" -out "$LAB_DIR/crt" 2>/dev/null
	chown nobody "$LAB_DIR/key"
	serve tls openssl s_server -accept 443 -www -quiet -tls1_3 -key "$LAB_DIR/key" -cert "$LAB_DIR/crt"
	serve tls12 openssl s_server -accept 444 -www -quiet -tls1_2 -key "$LAB_DIR/key" -cert "$LAB_DIR/crt"
	serve smtp /usr/bin/python3 -W ignore -m smtpd -n -c DebuggingServer 0.0.0.0:25
	serve redis redis-server --port 6379 --save '' --protected-mode no --dir "$(own_folder redis)"
	serve locked redis-server --port 6380 --save '' --protected-mode no --requirepass secret --dir "$LAB_DIR/redis"
}

serve_ldap() # PORT LINE
{
	local folder

	folder=$(own_folder "ldap-$1")
	printf 'pidfile %s/pid\nargsfile %s/args\n%s\ndatabase ldif\nsuffix cn=example\ndirectory %s\n' \
		"$folder" "$folder" "$2" "$folder" >"$folder/slapd.conf"
	serve "ldap-$1" slapd -d 0 -f "$folder/slapd.conf" -h "ldap://0.0.0.0:$1"
}

serve_postgres()
{
	local folder

	folder=$(own_folder pgsql)
	setpriv --reuid nobody --regid nogroup --clear-groups "$POSTGRES/initdb" -D "$folder/data" -U admin -A trust \
		--no-sync --no-instructions --locale=C >"$folder/initdb.log"
	printf 'host all free all trust\nhost all stranger all reject\nhost all all all scram-sha-256\n' >"$folder/data/pg_hba.conf"
	serve pgsql "$POSTGRES/postgres" -D "$folder/data" -p 5432 -F -c listen_addresses=0.0.0.0 \
		-c "unix_socket_directories=$folder"
}

# Each is what it should be: those of UP up, all others down.
all_are_known()
{
	tmbridge_stats | jq -e --arg up "$UP" '($up | split(" ")) as $up | [.farms[].servers[] |
		.health == if .name | IN($up[]) then "up" else "down" end] | all'
}

up_are() # HEALTH REASON
{
	tmbridge_stats | jq -e --arg up "$UP" --arg h "$1" --arg r "$2" '($up | split(" ")) as $up | [.farms[].servers[] |
		select(.name | IN($up[])) | .health == $h and (.failed_reason == $r or $r == "")] | length == ($up | length) and all'
}

@test "right answers and wrong ones; who hangs is out within fall x check_interval + check_timeout" {
	local CHECK_MS=1000 # PostgreSQL begins a process for each

	{
		farms 'http=80 http /name fe1, 80 http /nowhere 404' 'tls=443 tls, 443 tls fe1' 'tls12=444 tls' smtp='25 smtp' \
			'http6=80 http /big' ldap='389 ldap' redis='6379 redis' locked='6380 locked' pgsql='5432 pgsql' \
			'pgsql_user=5432 pgsql monitor' 'pgsql_free=5432 pgsql free' \
			'nowhere=80 http /nowhere' 'plain=80 tls' 'mute=6379 smtp' 'auth=6380 redis' 'bound=390 ldap' \
			'stranger=5432 pgsql stranger' 'web=443 http'
		printf '[check locked]\nsend = PING\\r\\n\nexpect = -NOAUTH\n'
	} >"$LAB_DIR/lb.ini"
	tmbridge_start "$LAB_DIR/lb.ini"
	wait_until 10 all_are_known
	says nowhere 'port 80 http: unexpected answer "HTTP/1.1 404 Not Found.*"'
	says plain 'port 80 tls: unexpected answer "HTTP/1.1 400 Bad Request.*"'
	says mute "port 6379 smtp: accepts connections, but doesn't answer"
	says auth 'port 6380 redis: unexpected answer "-NOAUTH Authentication required.*"'
	says bound 'port 390 ldap: unexpected answer ".*authentication required"'
	says stranger 'port 5432 pgsql: unexpected answer "E.*"'
	says web 'port 443 http: closes the connection without an answer'
	wait_until 10 eval 'tmbridge_stats | jq -e "[.farms[].servers[] | select(.health == \"up\") | .probes_ok >= 3 and .probes_failed == 0] | all"'

	stopped_they_go_down "$UP" up_are down silent
	wait_until 10 up_are up ''
	tmbridge_stop
}
