# Results of tests/bench/live.sh (one object for each load) to a summary: --argjson machine.

def median: sort | if length % 2 == 1 then .[length / 2 | floor]
	else (.[length / 2 - 1] + .[length / 2]) / 2 end;
def spread: {min: min, median: median, max: max, runs: .};

def unit($figure): {latency: "us", wirelatency: "us", conns: "conn/s", packets: "req/s", wirepackets: "kpps"}[$figure] // "Gbit/s";

# Of CPU time for each unit of work.
def cpu_unit($figure): {latency: "us/trip", wirelatency: "us/trip", conns: "us/conn", packets: "us/req",
	wirepackets: "us/packet"}[$figure] // "s/GB";

def is_tmbridge: startswith("tmbridge") or startswith("routed");

# What tmbridge with its fast path is to reach, against whom; the sign says which way is good.
def target($name; $to): {
	bulk1: {nft: ">= 1.1", router: ">= 1.0"}, bulk4: {nft: ">= 1.1", router: ">= 1.0"}, bulk16: {nft: ">= 1.1"},
	"bulk1 cpu": {nft: "<= 0.85"}, "bulk4 cpu": {nft: "<= 0.85"}, "bulk16 cpu": {nft: "<= 0.85"},
	wire4: {bridge: ">= 1.1"}, "wirelatency p50": {bridge: "<= 0.9"},
	conns: {nft: ">= 1.2", router: ">= 1.0"}, "conns cpu": {nft: "<= 0.9"},
	"latency p50": {nft: "<= 0.85", bridge: "<= 1.0", router: "<= 1.0"}, "latency p99": {nft: "<= 0.8"}
}[$name][$to];

def reached($target; $ratio): if $target == null then null
	else ($target | split(" ")) as [$sign, $limit] |
		if $sign == ">=" then $ratio >= ($limit | tonumber) else $ratio <= ($limit | tonumber) end
	end;

def distinct: reduce .[] as $x ([]; if index([$x]) then . else . + [$x] end);

# One list for each figure, or each percentile of one.
def figures: map(. as $r | (.values + {cpu: (.machine_s / .work)}) | to_entries[] |
		$r + {name: ($r.figure + if .key == "" then "" else " " + .key end), value}) |
	. as $all | map(.name) | distinct | map(. as $name | $all | map(select(.name == $name)));

def contenders: map(.contender) | distinct;

def ratio($of; $to): . as $all | [.[] | select(.contender == $of) as $a |
	$all[] | select(.contender == $to and .round == $a.round) | $a.value / .value];

def ratios: . as $all | .[0].name as $name | contenders as $c |
	[$c[] | select(is_tmbridge) as $of | $c[] | select(. != $of) as $to |
		($all | ratio($of; $to)) | select(length > 0) | spread |
		target($name; $to) as $target |
		{$of, $to, ratio: ., $target, reached: reached($target; .median)}];

def contender($name): map(select(.contender == $name)) |
	{contender: $name, value: map(.value) | spread, machine_cpu: map(.machine_s / .work) | spread,
		process_cpu: map(.process_s / .work) | spread, stolen_s: (map(.stolen_s) | add)};

def figure: .[0] as $first | {name: $first.name,
	unit: (if $first.name | endswith(" cpu") then cpu_unit($first.figure) else unit($first.figure) end), cpu_unit: cpu_unit(.[0].figure),
	contenders: [contenders[] as $c | contender($c)], ratios: ratios};

{live: {$machine, figures: (figures | map(figure))}}
