const environment: Record<string, string | undefined> = typeof process === 'undefined' ? {} : process.env

/** Processes of the MPI job that this one belongs to: what starters tell it, first Open MPI's, then PMI's of MPICH, Intel and Slurm. */
export function sizeOfJob(): number {
  const { OMPI_COMM_WORLD_SIZE: ompi, PMI_SIZE: pmi, PMIX_RANK: pmix, SLURM_NTASKS: slurm } = environment
  return Number(ompi ?? pmi ?? (pmix === undefined ? 1 : slurm) ?? 1)
}

/** Those of them on this machine: Open MPI's and MPICH's word, and Slurm's, which may be `4(x2)`; the whole job where none is given. */
export function sizeOfJobHere(): number {
  const { OMPI_COMM_WORLD_LOCAL_SIZE: ompi, MPI_LOCALNRANKS: mpich, SLURM_TASKS_PER_NODE: slurm } = environment
  const size = sizeOfJob()
  if (!(size > 1)) return 1
  return Number.parseInt(ompi ?? mpich ?? slurm ?? '', 10) || size
}

/** The cores of each process when those on this machine share them. */
export function coresEach(cores: number): number {
  return Math.max(1, Math.floor(cores / sizeOfJobHere()))
}
