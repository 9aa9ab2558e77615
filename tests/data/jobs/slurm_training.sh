#!/bin/bash -l
#SBATCH --job-name=xashpc-hawk
#SBATCH --account=p1234
#SBATCH --partition=compute
#SBATCH --nodes=2
#SBATCH --ntasks=8
#SBATCH --ntasks-per-node=4
#SBATCH --cpus-per-task=16
#SBATCH --mem-per-cpu=2048M
#SBATCH --time=12:00:00
#SBATCH --signal=B:USR1@180
#SBATCH --no-requeue
#SBATCH --output=xashpc-hawk-%j.out
#SBATCH --error=xashpc-hawk-%j.out
#SBATCH --gpus-per-node=4

# The worker reads from these when its time is over.
export XASHPC_JOB_STARTED=$(date +%s)
export XASHPC_WALLTIME=12:00:00
export XASHPC_WALLTIME_MARGIN_S=180
export XASHPC_SCHEDULER=slurm
# FireWorks does not look for FW_config.yaml in the folder given with -c.
export FW_CONFIG_FILE=SITE/FW_config.yaml
# One thread an engine; the job's cores are shared out among processes.
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1
# Time for Open MPI's ranks to put their work back.
export OMPI_MCA_odls_base_sigkill_timeout=20

module load gcc/13 python/3.11
source /home/me/env/bin/activate


cd /scratch/launch || exit 1
# exec: the worker takes the shell's place, so that the queue's signals reach it.
exec xashpc worker --site SITE --processes 1
