#!/usr/bin/env bash
# Trains on several nodes: sbatch deploy/slurm-training.sh [options of train.py]
#
# One process a node takes all of its GPUs. OUT, on a file system that all nodes share, is the run's folder; a job that
# is submitted or requeued again goes on with the run that is there.
#SBATCH --job-name=ddpm-training
#SBATCH --nodes=4
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=4
#SBATCH --cpus-per-task=16
#SBATCH --time=04:00:00
#SBATCH --requeue
set -euo pipefail

export KERAS_BACKEND=jax OUT="${OUT:-runs/mnist}"
options=(--devices all --out "$OUT")
if [[ -e "$OUT/config.json" ]]; then
    options+=(--resume)
fi
# Without its other processes none can go on. (Slurm requeues the job by itself if a node was lost.)
exec srun --kill-on-bad-exit=1 python train.py "${options[@]}" "$@"
