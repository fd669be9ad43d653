import type { BackendReport } from '@heed/tensor-backend'

export type PageBackend = 'webgpu' | 'cpu' | 'auto'

/** What the page found, by model. */
export interface PageResult extends BackendReport {
  models: Record<string, { losses: number[]; written: number[][] }>
}
