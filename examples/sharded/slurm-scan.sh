#!/bin/bash
#SBATCH --job-name=stele-scan
#SBATCH --array=1-16
#SBATCH --cpus-per-task=4
#SBATCH --mem=2G
#SBATCH --time=24:00:00
#SBATCH --requeue
#
# One of SHARDS workers: fingerprints its share of DATA and writes its part to
# PARTS. The array must run from 1 to SHARDS; a single task can be run again:
#
#   DATA=s3://lab/events PARTS=/shared/parts/1 SHARDS=16 sbatch slurm-scan.sh
#   DATA=… PARTS=… SHARDS=16 sbatch --array=7 slurm-scan.sh
set -euo pipefail

: "${DATA:?the folder or the bucket to fingerprint}"
: "${PARTS:?a folder or a bucket for the parts, empty at first}"
: "${SHARDS:?how many workers share the work}"

# A task that is requeued on the same node goes on where it stopped: what it has
# read is remembered in $STELE_STATE.
exec stele fingerprint "$DATA" \
  --shard "$SLURM_ARRAY_TASK_ID/$SHARDS" \
  --manifest-to "$PARTS/$SLURM_ARRAY_TASK_ID-of-$SHARDS" \
  --workers "${SLURM_CPUS_PER_TASK:-0}"
