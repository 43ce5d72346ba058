# SPDX-License-Identifier: MIT
# bash completion of egm, from its own help: source it.

_egm()
{
	local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}
	local command=${COMP_WORDS[1]}

	case $before in
	--device)
		mapfile -t COMPREPLY < <(compgen -G "/dev/dri/renderD*" | grep "^$word")
		return ;;
	--pattern)
		mapfile -t COMPREPLY < <(compgen -W "idle page sparse tenth ring dense" -- "$word")
		return ;;
	--output | --from)
		mapfile -t COMPREPLY < <(compgen -f -- "$word")
		return ;;
	esac
	if [ "$COMP_CWORD" = 1 ]; then
		command=
		word=${COMP_WORDS[1]}
		mapfile -t COMPREPLY < <(compgen -W "help --help --version $("${COMP_WORDS[0]}" --help |
			sed -n 's/^  \([a-z]*\)  .*/\1/p')" -- "$word")
	else
		mapfile -t COMPREPLY < <(compgen -W "$("${COMP_WORDS[0]}" "$command" --help \
			2> /dev/null | grep -o -- '^  --[a-z]*')" -- "$word")
	fi
}
complete -F _egm egm
