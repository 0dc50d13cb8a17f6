#!/bin/bash
#SBATCH --job-name=stele-stamp
#SBATCH --cpus-per-task=2
#SBATCH --mem=2G
#SBATCH --time=2:00:00
#
# Joins the parts of all workers and stamps DATA as NAME@VERSION. It needs the
# ledger (STELE_LEDGER, or a .stele above the folder of submission) and a key.
#
#   sbatch --dependency=afterok:JOB slurm-stamp.sh lab/events@2026-11-22
set -euo pipefail

: "${DATA:?the folder or the bucket that was fingerprinted}"
: "${PARTS:?the folder or the bucket with the parts}"
name=${1:?NAME@VERSION}

manifest=$(mktemp)
trap 'rm -f "$manifest"' EXIT

# Refused unless every part is there, once, and of the same listing.
stele manifest merge "$PARTS/" -o "$manifest"

# Nothing is read again: names and sizes are compared, and the stamp says that
# the bytes were read elsewhere.
stele stamp "$DATA" --manifest "$manifest" --as "$name" --yes
