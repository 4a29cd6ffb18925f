# bats file_tags=plain
# The console in a browser: what is shown, by the keyboard, on a phone, to strangers. Screenshots stay in .build/screenshots.

source "$BATS_TEST_DIRNAME/../lab.sh"
source "$BATS_TEST_DIRNAME/../operator.sh"

TOKEN=0123456789abcdef0123

setup_file()
{
	command -v chromium-headless-shell chromium >/dev/null || skip "there is no chromium-headless-shell"
	lab_up
	server_tcp fe1 5061
	server_tcp fe2 5061
	lab_ini 'ports = 5061' 'check = 5061' 'check_interval = 1s' 'check_timeout = 500ms'
	ip link set lo up
	echo $TOKEN >"$LAB_DIR/token"
	tmbridge_start "$LAB_DIR/lb.ini"
	wait_until 10 servers_are_up 2
	lab_spawn console lab "$CONSOLE" --token-file "$LAB_DIR/token" --admin
	wait_until 10 grep -q 'console: http' "$LAB_DIR/console.err"
}

teardown_file()
{
	[[ -e $LAB_DIR/console.pid ]] || return 0
	lab_kill console
	tmbridge_stop
	lab_down
}

@test "the console in a browser" {
	local shots=$LAB_ROOT/.build/screenshots

	rm -rf "$shots"
	mkdir -p "$shots"
	in_ns client "$TOOLS/manyconns" connect -n 4 -t 20 "$VIP" 5061 | jq -e '.echoed == 4'
	hold one
	tmb server health fe2 down --why '<img/src=x/onerror=document.title=1>' --for 1h
	run timeout 600 /usr/bin/python3 "$BATS_TEST_DIRNAME/browser.py" http://127.0.0.1:8642/ $TOKEN "$shots"
	rm -rf "$shots/profile"
	echo "$output"
	[[ $status = 0 && $output = *"ok and is told nothing"* && $output != *"not ok"* ]]
	# what it has shown is what status says
	[[ $(sed -n 's/^numbers //p' <<<"$output") = "$(tmb status -o json | sed -n 1p |
		jq -c '[.farms[0].servers[] | [.name, .connections_total, .client_bytes, .server_bytes]]')" ]]
	[[ $(sed -n 's/^shown //p' <<<"$output") = "$(tmb status -o json | sed -n 1p | jq -c '[.farms[0].servers[].connections_total | tostring]')" ]]
	server_is fe1 '.state == "drain"'
}
