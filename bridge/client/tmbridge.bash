# Completion of tmbridge's command line for bash: names are asked of the one that runs.

_tmbridge_names() # server|farm [-i INSTANCE]
{
	tmbridge "$1" list "${@:2}" -o csv --no-header 2>/dev/null | cut -d, -f"$([[ $1 = server ]] && echo 2 || echo 1)"
}

_tmbridge()
{
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} words="" said=() of=() i
	local all="-i -o --watch --sort --limit --no-header"

	# the words of the request, without the options that say of whom it is asked and how it is shown
	for ((i = 1; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		-i) of=(-i "${COMP_WORDS[++i]}") ;;
		-o | --sort | --limit) ((++i)) ;;
		--watch | --no-header) ;;
		*) said+=("${COMP_WORDS[i]}") ;;
		esac
	done
	case ${#said[@]},${said[*]},$prev in
	*,-o) words="text wide json csv" ;;
	*,-i) words=$(cd /run/tmbridge 2>/dev/null && echo *) ;;
	*,--limit | *,--wait | *,--for | *,--why | *,--at | *,over | *,under) ;;
	*,flows*,--sort) words="client vip snat server state age idle client_bytes server_bytes" ;;
	*,server*,--sort) words="farm server address state health since weight flows new/s bit/s" ;;
	*,farm*,--sort) words="farm vip up servers flows new/s bit/s" ;;
	*,-f | *,-w | *,-s | *,-b | *,--bundle | *"config check"*) compopt -o default 2>/dev/null ;;
	*,--by) words="server farm reason client" ;;
	*,--then) words="reset" ;;
	*,--server) words=$(_tmbridge_names server "${of[@]}") ;;
	0,*) words="capture config events farm flow flows metrics reload server status top version who wire $all" ;;
	1,config,*) words="check diff show" ;;
	1,farm,*) words="drain enable list" ;;
	1,flow,*) words="reset" ;;
	1,server,*) words="disable drain enable health list weight" ;;
	1,wire,*) words="bypass on release" ;;
	2,"server list",* | 2,"farm list",*) words=$all ;;
	2,server*) words=$(_tmbridge_names server "${of[@]}") ;;
	2,farm*) words=$(_tmbridge_names farm "${of[@]}") ;;
	3,"server health "*) words="up down" ;;
	*,"server health "*) words="--why --for $all" ;;
	*,"server drain "*) words="--wait --then $all" ;;
	*,"server disable "* | *,"server weight "*) words="--reset $all" ;;
	*,flow*,server) words=$(_tmbridge_names server "${of[@]}") ;;
	*,flow*,farm) words=$(_tmbridge_names farm "${of[@]}") ;;
	*,flow*,state) words="half_open open closing reset resting any" ;;
	*,flow*,age | *,flow*,idle | *,flow*,bytes) words="over under" ;;
	*,flow*) words="and not client vip snat to server farm state age idle bytes $all" ;;
	*,who*) words="--server --at $all" ;;
	*,capture*) words="--both --dropped --bundle -c -t -w -i" ;;
	*,top*) words="--by --once $all" ;;
	*,events*) words="-f $all" ;;
	*) words=$all ;;
	esac
	# shellcheck disable=SC2207
	COMPREPLY=($(compgen -W "$words" -- "$cur"))
}

complete -F _tmbridge tmbridge
