# Completion of tmbridge's command line for bash: names are asked of the one that runs.

_tmbridge_names() # server|farm
{
	tmbridge "$1" list -o csv --no-header 2>/dev/null | cut -d, -f"$([[ $1 = server ]] && echo 2 || echo 1)"
}

_tmbridge()
{
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} words=""

	case $COMP_CWORD,${COMP_WORDS[1]},$prev in
	*,-o) words="text wide json csv" ;;
	*,-i) words=$(cd /run/tmbridge 2>/dev/null && echo *) ;;
	*,-f | *,-w | *,-s | *,check) compopt -o default ;;
	1,*) words="capture config events farm flow flows metrics reload server status top version who wire" ;;
	2,config,*) words="check diff show" ;;
	2,farm,*) words="drain enable list" ;;
	2,flow,*) words="reset" ;;
	2,server,*) words="disable drain enable health list weight" ;;
	2,wire,*) words="bypass on release" ;;
	3,server,*) words=$(_tmbridge_names server) ;;
	3,farm,*) words=$(_tmbridge_names farm) ;;
	*,--by) words="server farm reason client" ;;
	*,server) words=$(_tmbridge_names server) ;;
	*,farm) words=$(_tmbridge_names farm) ;;
	*,state) words="half_open open closing reset resting any" ;;
	*,health,*) words="up down --why --for" ;;
	*,flows,* | *,flow,*) words="and not client vip snat to server farm state age idle bytes over under -o --sort --limit" ;;
	*,drain,* | *,server,*) words="--wait --then" ;;
	*,capture,*) words="--both --dropped --bundle -c -t -w" ;;
	*) words="-i -o --watch --sort --limit --no-header" ;;
	esac
	# shellcheck disable=SC2207
	COMPREPLY=($(compgen -W "$words" -- "$cur"))
}

complete -F _tmbridge tmbridge
