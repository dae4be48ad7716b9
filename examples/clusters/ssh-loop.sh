#!/usr/bin/env bash
# Machines without a batch system, over ssh. Each trains its part of the architectures into a database on its own
# disk, is asked again as long as runs are left, and gives its database when nothing is. What is joined in the end
# is blox.db here.
#
#   HOSTS="node1 node2 node3" examples/clusters/ssh-loop.sh --missing --precision tf32
#
# The machines need bloxdb, the data set, and ssh without a password. After whatever happened, call it again with the
# same HOSTS: a part is that of a place in the list.
set -uo pipefail
read -ra hosts <<< "${HOSTS:?name the machines, as HOSTS=\"node1 node2\"}"
pause=${PAUSE:-60}  # seconds until a machine that is away is asked again
tries=${TRIES:-60}  # how often

train() {  # HOST PART OPTIONS...: until nothing of the part is left on the host
    local host=$1 part=$2 away=0 code
    shift 2
    while true; do
        ssh -n -o ServerAliveInterval=30 "$host" \
            "bloxdb train --db 'blox-$part.db' --range '$part/${#hosts[@]}' ${*:+$(printf '%q ' "$@")}"
        code=$?
        case $code in
            0) scp -q "$host:blox-$part.db" "part-$part.db" && return 0 ;;
            75) away=0; continue ;;
            255) ;;
            *) echo "$host: bloxdb train ended with exit code $code" >&2; return "$code" ;;
        esac
        if (( ++away >= tries )); then  # ssh or scp could not reach it
            echo "$host: was away $away times" >&2
            return 255
        fi
        sleep "$pause"
    done
}

jobs=()
for number in "${!hosts[@]}"; do
    train "${hosts[$number]}" $((number + 1)) "$@" > "blox-$((number + 1)).log" 2>&1 &
    jobs+=($!)
done
failed=0
for number in "${!jobs[@]}"; do
    if ! wait "${jobs[$number]}"; then
        echo "${hosts[$number]} did not finish; blox-$((number + 1)).log says why" >&2
        failed=1
    fi
done
(( failed )) && exit 1
for number in "${!hosts[@]}"; do set -- "$@" "part-$((number + 1)).db"; done
[[ -e blox.db ]] || bloxdb init --db blox.db
exec bloxdb merge "${@: -${#hosts[@]}}" --db blox.db
