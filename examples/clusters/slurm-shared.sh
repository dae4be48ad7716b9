#!/bin/bash
# One Slurm job on many nodes that share a database on a server, whose URL is $BLOXDB_URL. No part is said: each
# worker claims the next run that waits, whichever node it is on. Checkpoints are in a folder that all see.
#
#   BLOXDB_URL=postgresql://host/blox sbatch --nodes=8 examples/clusters/slurm-shared.sh --missing --precision tf32
#
#SBATCH --job-name=blox
#SBATCH --nodes=4
#SBATCH --ntasks-per-node=1
#SBATCH --gres=gpu:4
#SBATCH --cpus-per-task=16
#SBATCH --time=04:00:00
#SBATCH --signal=TERM@120
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=blox-%j.log

# Without B: the signal goes to what srun has started, and this shell waits on. srun ends with the greatest exit
# code of all nodes: 75 where any of them has left runs, and 130 or more where one was killed.
srun --kill-on-bad-exit=0 bloxdb train --checkpoint-dir checkpoints --time-limit 3:57:00 --grace 90 "$@"
code=$?

if [ "$code" -eq 75 ]; then  # runs are left, and scancel would have ended this shell, too
    scontrol requeue "$SLURM_JOB_ID"
fi
exit "$code"
