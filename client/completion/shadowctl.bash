# Completion of shadowctl for bash: commands and flags. A test compares it with --help.

# The words that may follow `shadowctl $1`; nothing after a command that takes only names.
_shadowctl_words() {
  case "$1" in
    "")
      echo "dna pool shadow usage describe decisions why forecast simulate apply backup" \
        "diff events export status"
      ;;
    dna) echo "create get list update delete digest" ;;
    pool) echo "create get list update delete analyze evaluate" ;;
    shadow) echo "create activate resize get list delete release instances" ;;
    usage) echo "push" ;;
    describe) echo "pool shadow instance dna" ;;
    "dna create" | "dna update" | "pool create" | "pool update" | apply | diff) echo "-f --file" ;;
    "pool evaluate") echo "--idle-cost --shortage-cost --last" ;;
    "shadow create") echo "--increase --hold" ;;
    "shadow activate") echo "--level --hold" ;;
    "shadow resize") echo "--instances --hold" ;;
    "shadow delete") echo "--hold" ;;
    "usage push") echo "--csv --overlap --value --time" ;;
    decisions) echo "--limit" ;;
    events) echo "--since --limit" ;;
    forecast) echo "--horizon --history --save" ;;
    simulate)
      echo "--csv --service-level --policy --warmup --step --lead --idle-cost --shortage-cost"
      ;;
  esac
}

_shadowctl() {
  local flags="--help --version --address -o --output --watch --wait --dry-run --request-id"
  flags+=" --timeout"
  local word="${COMP_WORDS[COMP_CWORD]}" before="${COMP_WORDS[COMP_CWORD - 1]}" command="" i
  COMPREPLY=()
  case "$before" in
    -o | --output)
      mapfile -t COMPREPLY < <(compgen -W "table wide json yaml name jsonpath= csv svg" -- "$word")
      return
      ;;
    --overlap)
      mapfile -t COMPREPLY < <(compgen -W "skip fail" -- "$word")
      return
      ;;
    -f | --file | --csv | --policy | --save) return ;;  # Readline completes files.
  esac
  # The words of the line that name a command.
  for ((i = 1; i < COMP_CWORD; i++)); do
    if [[ " $(_shadowctl_words "$command") " == *" ${COMP_WORDS[i]} "* &&
      "${COMP_WORDS[i]}" != -* ]]; then
      command+="${command:+ }${COMP_WORDS[i]}"
    fi
  done
  mapfile -t COMPREPLY < <(compgen -W "$(_shadowctl_words "$command") $flags" -- "$word")
}

complete -o default -F _shadowctl shadowctl
