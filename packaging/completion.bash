# bash completion for cmgr-bpf(8)                                    -*- shell-script -*-

_cmgr_bpf() {
	local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} options
	local policy="--keep-high --keep-low --rank --scope --protect --min-age --action --json"

	case $previous in
	--rank)
		COMPREPLY=($(compgen -W "dominant cpu memory demand" -- "$current"))
		return ;;
	--scope)
		COMPREPLY=($(compgen -W "label all" -- "$current"))
		return ;;
	--action)
		COMPREPLY=($(compgen -W "remove stop pause" -- "$current"))
		return ;;
	--record | --output | -o | --sysinfo)
		compopt -o filenames
		COMPREPLY=($(compgen -f -- "$current"))
		return ;;
	--state-dir | --run-dir)
		compopt -o filenames
		COMPREPLY=($(compgen -d -- "$current"))
		return ;;
	--interval | --cycles | --keep-high | --keep-low | --min-age | --spawn-count | --count | -n | \
	--protect | --docker-host | --log-url)
		return ;;
	esac
	case ${COMP_WORDS[1]} in
	snapshot)	options="--output --sysinfo" ;;
	spawn)		options="--count --docker-host --run-dir" ;;
	cleanup)	options="--docker-host --run-dir --state-dir" ;;
	replay)		options=$policy ;;
	*)		options="$policy --interval --cycles --once --dry-run --no-cron --spawn-count
				--record --log-url --no-log --docker-host --sysinfo --state-dir --run-dir" ;;
	esac
	options+=" --help --version"
	if [[ $current != -* && ${COMP_WORDS[1]} == replay ]]; then
		compopt -o filenames
		COMPREPLY=($(compgen -f -- "$current"))
	elif [[ $COMP_CWORD == 1 && $current != -* ]]; then
		COMPREPLY=($(compgen -W "run snapshot spawn replay doctor cleanup" -- "$current"))
	else
		COMPREPLY=($(compgen -W "$options" -- "$current"))
	fi
}
complete -F _cmgr_bpf cmgr-bpf
