import { HeedError } from '@heed/tensor-backend'
import type { MapCall, MapJob } from '../data/map-rows.ts'

/** Throws HEED_ARGUMENT_INVALID: a page has no threads that load modules by themselves. */
export async function mapByThreads(
  _jobs: readonly MapJob[],
  _url: string,
  _call: MapCall,
  numThreads: number,
): Promise<unknown[]> {
  throw new HeedError('HEED_ARGUMENT_INVALID', `Dataset.map: numProc is ${numThreads}, expected 1 in a page.`)
}
