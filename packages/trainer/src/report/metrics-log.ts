import { writeFileAtomic } from '@heed/tensor-backend'
import { folders } from '#folder'
import { onFirstProcess, type TrainerCallback } from '../callbacks.ts'
import { type LogRecord, renameKeys, snakeCase } from '../trainer-state.ts'

const line = (record: LogRecord): string => `${JSON.stringify(renameKeys(record, snakeCase))}\n`

/** Writes each log record as a line of JSON, with HF's keys; a resumed run drops the lines after its checkpoint. */
export function metricsLog(file: string): TrainerCallback {
  return onFirstProcess({
    onTrainBegin: ({ state }) => writeFileAtomic(file, state.logHistory.map(line).join('')),
    onLog: ({ logs }) => folders.append(file, line(logs!)),
  })
}
