#!/bin/bash
# An array of Slurm jobs. Each trains its part of the architectures into a database of its own, so that nothing
# is needed but the folder it is submitted from; `bloxdb merge` joins the databases in the end.
#
#   sbatch examples/clusters/slurm-array.sh --missing --precision tf32
#   bloxdb init --db blox.db && bloxdb merge blox-*.db --db blox.db
#
#SBATCH --job-name=blox
#SBATCH --array=0-99
#SBATCH --gres=gpu:1
#SBATCH --cpus-per-task=4
#SBATCH --time=04:00:00
#SBATCH --signal=B:USR1@120
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=blox-%a.log

parts=${PARTS:-100}  # as many as the array has tasks; another part alone: sbatch --array=17

# Slurm tells this shell, not its children, when the time is nearly over, and a shell that waits for a command in
# the foreground hears nothing. So the command is in the background, and is told by SIGTERM. What scancel and
# preemption send is SIGTERM itself, to all: then nothing is queued again from here.
pid=
signals=0
cancelled=
trap 'signals=$((signals + 1)); kill -TERM "$pid"' USR1
trap 'signals=$((signals + 1)); cancelled=1' TERM
bloxdb train --db "blox-$SLURM_ARRAY_TASK_ID.db" --range "array/$parts" --time-limit 3:57:00 --grace 90 "$@" &
pid=$!
heard=-1
while [ "$heard" -ne "$signals" ]; do  # a signal ends the wait, and not the command
    heard=$signals
    wait "$pid"
    code=$?
done

if [ "$code" -eq 75 ] && [ -z "$cancelled" ]; then  # runs are left
    scontrol requeue "${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID"
fi
exit "$code"
