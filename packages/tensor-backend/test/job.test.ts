import { afterEach, expect, test, vi } from 'vitest'
import { coresEach, sizeOfJob, sizeOfJobHere } from '../src/job.ts'

const names = [
  'OMPI_COMM_WORLD_SIZE',
  'OMPI_COMM_WORLD_LOCAL_SIZE',
  'PMI_SIZE',
  'PMIX_RANK',
  'MPI_LOCALNRANKS',
  'SLURM_NTASKS',
  'SLURM_TASKS_PER_NODE',
]

afterEach(() => vi.unstubAllEnvs())

function inJob(variables: Record<string, string>): [size: number, here: number, coresOf16: number] {
  for (const name of names) vi.stubEnv(name, variables[name])
  return [sizeOfJob(), sizeOfJobHere(), coresEach(16)]
}

test('processes of an MPI job share the cores of their machine, whoever started them', () => {
  expect(inJob({})).toEqual([1, 1, 16])
  expect(inJob({ OMPI_COMM_WORLD_SIZE: '8', OMPI_COMM_WORLD_LOCAL_SIZE: '4' })).toEqual([8, 4, 4])
  expect(inJob({ PMI_SIZE: '6', MPI_LOCALNRANKS: '3' })).toEqual([6, 3, 5])
  expect(inJob({ PMIX_RANK: '0', SLURM_NTASKS: '4', SLURM_TASKS_PER_NODE: '2(x2)' })).toEqual([4, 2, 8])
  expect(inJob({ OMPI_COMM_WORLD_SIZE: '32' })).toEqual([32, 32, 1]) // never none
  expect(inJob({ SLURM_NTASKS: '4' })).toEqual([1, 1, 16]) // an allocation, but no job step
})
