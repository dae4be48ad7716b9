#!/bin/bash
# An array of LSF jobs, each with its part of the architectures and a database of its own. LSF knows for itself
# what 75 means (-Q), and sends SIGTERM two minutes before the end (-wa, -wt). `exec` makes the command this
# process, so that the signal is the command's and its exit code the job's.
#
#   bsub < examples/clusters/lsf-array.sh
#   bloxdb init --db blox.db && bloxdb merge blox-*.db --db blox.db
#
#BSUB -J "blox[1-100]"
#BSUB -W 4:00
#BSUB -wa TERM
#BSUB -wt 2
#BSUB -Q "75"
#BSUB -gpu "num=1"
#BSUB -n 4
#BSUB -o blox-%I.log

parts=${PARTS:-100}  # as many as the array has tasks
what=${TRAIN:---missing --precision tf32}

# shellcheck disable=SC2086  # several words
exec bloxdb train --db "blox-$LSB_JOBINDEX.db" --range "array/$parts" --time-limit 3:57:00 --grace 90 $what
