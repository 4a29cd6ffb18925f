#!/bin/bash
#
# An attack: raw frames from both sides against HELD connections that go on talking, while rules are reloaded every
# second, for ATTACK_S seconds. None of them may be lost, or stand still for longer than PATIENCE_MS; no flow ends, and
# none is left in the end. FAST_PATH=kernel, FAMILY=6 (of IP) and WORKERS=2 in the environment are other forms.
set -euo pipefail

source "$(dirname "${BASH_SOURCE[0]}")/lab.sh"
[[ -n ${LAB_HOST_NET:-} ]] || lab_enter "$0" "$@"

ATTACK_S=${ATTACK_S:-20}
HELD=50
PATIENCE_MS=${PATIENCE_MS:-2000}

export ATTACK_S FAMILY=${FAMILY:-4}
more=10.0.0.39
if [[ $FAMILY = 6 ]]; then
	VIP=$VIP6 more=fd00::39
	lab_up
else
	lab_up ipv6=off
fi
for server in fe1 fe2; do
	lab_spawn $server $server "$TOOLS/talks" serve 5061
	wait_until 5 server_listens $server 5061
done
lab_ini 'ports = 5061' 'check = 5061' 'check_interval = 2s' "snat = $VIP"
tmbridge_start "$LAB_DIR/lb.ini"
wait_until 10 tmbridge_is_served 2
lab_spawn talks client "$TOOLS/talks" connect "$VIP" 5061 $HELD 200 20
wait_until 20 grep -q open "$LAB_DIR/talks.out"
python3 "$(dirname "${BASH_SOURCE[0]}")/attack.py" "$ATTACK_S" >"$LAB_DIR/attack.json" &
attack=$!
for ((i = 0; i < ATTACK_S; i++)); do
	sleep 1
	lab_ini 'ports = 5061' 'check = 5061' 'check_interval = 2s' "snat = $VIP$([[ $((i % 2)) = 0 ]] || echo ", $more")" "fe1.weight = $((1 + i % 3))"
	lab_signal tmbridge HUP
done
wait $attack
during=$(tmbridge_stats | jq -c '.flows | {open, created, closed, reset, revived, server_down, reload, evicted}')
lab_signal talks TERM
status=$(lab_wait talks 60)
cat "$LAB_DIR/attack.json" "$LAB_DIR/talks.out"
echo "$during"
tmbridge_stats | jq -c '{dropped: .frames.dropped, reasons: (.reasons | with_entries(select(.value > 0)))}'
tmbridge_stats | stats_add_up
[[ $status = 0 ]] || lab_die "connections were lost"
jq -e --argjson held $HELD '.open == $held and .created == $held and (del(.open, .created) | add) == 0' <<<"$during" >/dev/null ||
	lab_die "a flow was ended, or begun"
longest=$(tail -1 "$LAB_DIR/talks.out" | jq .longest_ms)
((longest < PATIENCE_MS)) || lab_die "one stood still for $longest ms"
wait_until 5 tmbridge_counts .flows.open 0
tmbridge_stop
echo "attack: nothing was lost"
