# The console: what it says, to whom, and who misuses it. (How it looks is for a browser and its user.)

source "$BATS_TEST_DIRNAME/../lab.sh"

TOKEN=0123456789abcdef0123
URL=http://127.0.0.1:8642

setup_file()
{
	lab_up
	server_tcp fe1 5061
	server_tcp fe2 5061
	lab_ini 'ports = 5061' 'check = 5061' 'check_interval = 1s' 'check_timeout = 500ms'
	ip link set lo up
	echo $TOKEN >"$LAB_DIR/token"
	tmbridge_start "$LAB_DIR/lb.ini"
	wait_until 10 tmbridge_is_served 2
	console_start --token-file "$LAB_DIR/token" --admin
}

teardown_file()
{
	console_stop
	tmbridge_stop
	lab_down
}

# In the lab itself, as what it asks is a socket in /run.
console_start() # OPTION...
{
	lab_spawn console lab "$CONSOLE" "$@"
	wait_until 10 grep -q 'console: http' "$LAB_DIR/console.err"
}

console_stop()
{
	lab_signal console TERM
	lab_wait console 10
	[[ -z $(grep -v 'console: http' "$LAB_DIR/console.err") ]] || cat "$LAB_DIR/console.err" >&2
	never grep -q Sanitizer "$LAB_DIR/console.err"
}

# The status, then the body.
get() # PATH [OPTION...]
{
	curl -sS -m 20 -w '%{stderr}%{http_code}' "${@:2}" "$URL$1" 2>"$BATS_TEST_TMPDIR/status" >"$BATS_TEST_TMPDIR/body"
	cat "$BATS_TEST_TMPDIR/status"
	echo
	cat "$BATS_TEST_TMPDIR/body"
}

ask() # PATH [OPTION...]
{
	get "$1" -H "Authorization: Bearer $TOKEN" "${@:2}"
}

says() # STATUS COMMAND...
{
	run "${@:2}"
	head -c 300 <<<"$output"
	[[ ${lines[0]} = "$1" ]]
}

body()
{
	cat "$BATS_TEST_TMPDIR/body"
}

post() # BODY [OPTION...]
{
	ask /api/do -H 'Content-Type: application/json' -d "$1" "${@:2}"
}

@test "the page and its parts are there for anybody, with a strict policy" {
	local path

	for path in / /console.js /console.css /dygraph.js /dygraph.css; do
		says 200 get $path -D "$BATS_TEST_TMPDIR/headers"
		grep -qi "^content-security-policy: default-src 'none'; script-src 'self'" "$BATS_TEST_TMPDIR/headers"
		grep -qi '^x-content-type-options: nosniff' "$BATS_TEST_TMPDIR/headers"
		grep -qi '^cache-control: no-store' "$BATS_TEST_TMPDIR/headers"
	done
	says 200 get /
	cmp "$LAB_ROOT/bridge/console/page/index.html" "$BATS_TEST_TMPDIR/body"
	never grep -E '(src|href)="(https?:)?//' "$BATS_TEST_TMPDIR/body"
	says 200 get /api/needs
	[[ $(body) = '{"token":true,"admin":true}' ]]
}

@test "figures take the token, and are the same as those of status" {
	says 401 get /api/status
	says 401 get /api/stream
	says 401 get /metrics
	says 401 get /api/status -H 'Authorization: Bearer 0123456789abcdef012'
	says 401 get /api/status -H 'Authorization: Bearer '
	in_ns client "$TOOLS/manyconns" connect -n 4 -t 20 "$VIP" 5061 | jq -e '.echoed == 4'
	says 200 ask /api/status
	[[ $(body | sed -n 1p | jq -c '[.farms[].servers[] | [.name, .health, .connections_total]]') = \
		"$("$TMBRIDGE" status -o json | sed -n 1p | jq -c '[.farms[].servers[] | [.name, .health, .connections_total]]')" ]]
	[[ $(body | tail -n 1) = '{"end":true,"exit":0}' ]]
	says 200 ask /metrics
	body | seek '^tmbridge_server_up{farm="pool",server="fe1"} 1$'
	[[ $(body | tail -n 1) = '# EOF' ]]
	says 404 ask /api/nothing
	says 404 ask /../etc/passwd
	says 400 ask /api/who
	says 400 ask '/api/flows?q=no+such+word'
	says 400 ask '/api/flows?q=a%0Areload'
	says 405 ask / -X DELETE
}

history_has() # NAME
{
	ask "/api/history?names=$1" >/dev/null
	body | jq -e --arg name "$1" '.step == 1 and (.series[$name] | length == 3600 and (map(select(. != null)) | length > 1))'
}

has_streamed() # FIGURES
{
	[[ $(grep -c '^event: figures$' "$LAB_DIR/stream.out") -ge $1 ]]
}

@test "a stream, and what the figures were" {
	wait_until 10 history_has open
	history_has pool/fe1:flows
	says 200 ask '/api/history?range=week&names=open,nothing'
	body | jq -e '.step == 60 and (.series.open | length == 10080) and (.series | has("nothing") | not)'
	ask "/api/history?names=open,open,new,open"
	[[ $(body | grep -o '"[a-z]*":\[' | sort | tr -d '\n') = '"new":["open":[' ]] # each once
	lab_spawn stream lab curl -sS -N -H "Authorization: Bearer $TOKEN" $URL/api/stream
	wait_until 4 has_streamed 3
	lab_kill stream
	cp "$LAB_DIR/stream.out" "$BATS_TEST_TMPDIR/stream"
	sed -n 's/^data: //p' "$BATS_TEST_TMPDIR/stream" | sed -n 1p | jq -e '.frames.received > 0'
}

@test "another name, and another page, are refused" {
	says 421 ask /api/status -H 'Host: evil.example:8642'
	says 421 ask /api/status -H 'Host: 127.evil.example:8642' # a name, which anybody may lead here
	says 421 ask /api/status -H 'Host: 127.0.0.1.evil.example:8642'
	says 403 ask /api/status -H 'Origin: http://127.evil.example:8642'
	says 200 ask /api/status -H 'Host: 127.0.0.9:8642'
	says 421 ask / -H 'Host: 127.0.0.1:80'
	says 421 ask / -H 'Host:'
	says 200 ask / -H 'Host: localhost:8642'
	says 200 ask / -H 'Host: [::1]:8642'
	says 403 ask /api/status -H 'Origin: http://evil.example'
	says 403 ask /api/status -H 'Origin: null'
	says 200 ask /api/status -H 'Origin: http://127.0.0.1:8642'
}

@test "a change takes the token, JSON, and a verb that is one" {
	says 401 get /api/do -H 'Content-Type: application/json' -d '{"do":["reload"]}'
	says 415 ask /api/do -H 'Content-Type: text/plain' -d '{"do":["reload"]}'
	says 415 ask /api/do -d '{"do":["reload"]}' # as a form, which is curl's default
	says 400 post '{"do":["status"]}'
	says 400 post '{"do":["server drain fe1"]}'
	says 400 post '{"do":["server","drain","fe1\nreload"]}'
	says 400 post '{"do":"reload"}'
	says 400 post '[[[['
	says 413 post "{\"do\":[\"$(printf 'x%.0s' {1..5000})\"]}"
	says 404 ask /api/nothing -H 'Content-Type: application/json' -d '{}'
}

@test "a server is drained and enabled, and the rest of what the socket has is shown" {
	says 200 post '{"do":["server","drain","fe1"]}'
	says 200 ask /api/status
	body | sed -n 1p | jq -e '.farms[0].servers[0] | .state == "drain" and .state_in_file == "active"'
	says 200 ask /api/diff
	body | sed -n 1p | jq -e '.server == "fe1" and .value == "drain"'
	says 200 post '{"do":["server","enable","fe1"]}'
	says 404 post '{"do":["server","drain","nobody"]}'
	says 200 ask /api/config
	body | jq -se 'map(.text // empty) | any(test("farm pool"))'
	in_ns client "$TOOLS/manyconns" connect -n 4 -t 20 "$VIP" 5061 | jq -e '.echoed == 4'
	says 200 ask '/api/flows?q=state+any&limit=2'
	[[ $(body | tail -n 1) = '{"end":true,"exit":0,"cut":true}' && $(body | wc -l) = 3 ]]
	says 200 ask '/api/flows?q=state+any&limit=0'
	[[ $(body) = '{"end":true,"exit":0,"cut":true}' ]]
	says 400 ask '/api/flows?q=state+any&limit=1001'
	says 400 ask '/api/events?limit=-1'
	says 200 ask "/api/who?q=$VIP:5061"
	body | sed -n 1p | jq -e '.server_name'
}

@test "many who say nothing keep nobody waiting" {
	local fds=() fd i

	for ((i = 0; i < 30; i++)); do
		exec {fd}<>/dev/tcp/127.0.0.1/8642
		printf 'GET / HTTP/1.1\r\nHost: x' >&"$fd"
		fds+=("$fd")
	done
	says 200 ask /api/status
	for fd in "${fds[@]}"; do
		exec {fd}>&-
	done
}

@test "what isn't safe is refused at the start" {
	refused() # PATTERN OPTION...
	{
		run timeout 60 "$CONSOLE" "${@:2}"
		echo "$output"
		[[ $status = 2 && $output = *$1* ]]
	}
	refused 'takes a --certificate' --listen 0.0.0.0:8643
	refused 'takes a --certificate' --listen '[::]:8643' --token-file "$LAB_DIR/token"
	refused '--admin takes a --token-file' --admin
	echo short >"$LAB_DIR/short"
	refused '16 to 128 characters' --token-file "$LAB_DIR/short"
	printf 'x%.0s' {1..129} >"$LAB_DIR/long"
	refused '16 to 128 characters' --token-file "$LAB_DIR/long"
	echo '0123456789 abcdef0123' >"$LAB_DIR/blank"
	refused '16 to 128 characters' --token-file "$LAB_DIR/blank"
	refused 'go together' --certificate "$LAB_DIR/short"
	refused 'not an address' --listen localhost:80
	refused 'takes a --certificate' --listen '[::ffff:127.0.0.1]:8643'
}

@test "by TLS" {
	openssl req -x509 -newkey rsa:2048 -nodes -keyout "$LAB_DIR/key.pem" -out "$LAB_DIR/cert.pem" -days 2 \
		-subj /CN=lb.example -addext 'subjectAltName = DNS:lb.example' 2>/dev/null
	console_stop
	console_start --listen 0.0.0.0:8642 --token-file "$LAB_DIR/token" --certificate "$LAB_DIR/cert.pem" \
		--key "$LAB_DIR/key.pem" --name lb.example
	URL=https://lb.example:8642
	says 200 ask /api/version --cacert "$LAB_DIR/cert.pem" --resolve lb.example:8642:127.0.0.1
	says 403 post '{"do":["reload"]}' --cacert "$LAB_DIR/cert.pem" --resolve lb.example:8642:127.0.0.1
}
