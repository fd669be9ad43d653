import { readdirSync, readFileSync } from 'node:fs'
import { init } from '@heed/tensor-backend'
import { expect, test } from 'vitest'
import { crc32c } from '../../src/report/crc.ts'
import { tensorBoardLog } from '../../src/report/tensorboard.ts'
import { Trainer } from '../../src/trainer.ts'
import { temporaryFolder } from '../temporary-folder.ts'
import { TinyModel, tinyDataset } from '../tiny-model.ts'

const masked = (bytes: Uint8Array): number => {
  const crc = BigInt(crc32c(bytes))
  return Number((((crc >> 15n) | (crc << 17n)) + 0xa282ead8n) & 0xffffffffn)
}

/** The data of each record of a TFRecord file, its checksums checked. */
function readRecords(file: Buffer): Buffer[] {
  const records: Buffer[] = []
  for (let at = 0; at < file.length; ) {
    const length = Number(file.readBigUInt64LE(at))
    expect(file.readUInt32LE(at + 8)).toBe(masked(file.subarray(at, at + 8)))
    const data = file.subarray(at + 12, at + 12 + length)
    expect(file.readUInt32LE(at + 12 + length)).toBe(masked(data))
    records.push(data)
    at += 16 + length
  }
  return records
}

/** Protocol-buffer fields of a message by their numbers. */
function fieldsOf(bytes: Buffer): Map<number, Array<number | Buffer>> {
  const fields = new Map<number, Array<number | Buffer>>()
  let at = 0
  const varint = (): number => {
    let [value, scale] = [0, 1]
    for (;;) {
      const byte = bytes[at++]!
      value += (byte & 127) * scale
      if (byte < 128) return value
      scale *= 128
    }
  }
  const take = (length: number): Buffer => {
    at += length
    return bytes.subarray(at - length, at)
  }
  while (at < bytes.length) {
    const key = varint()
    const kind = key & 7
    const value =
      kind === 0 ? varint() : kind === 1 ? take(8).readDoubleLE() : kind === 5 ? take(4).readFloatLE() : take(varint())
    fields.set(key >> 3, [...(fields.get(key >> 3) ?? []), value])
  }
  return fields
}

test('crc32c is that of RFC 3720, appendix B.4', () => {
  expect(crc32c(new TextEncoder().encode('123456789'))).toBe(0xe3069283)
  expect(crc32c(new Uint8Array(32))).toBe(0x8a9136aa)
})

test('an event file holds the version, then every log record with its step and the tags of HF', async () => {
  await init()
  const folder = temporaryFolder()
  const model = new TinyModel()
  const args = { maxSteps: 300, loggingSteps: 150, perDeviceTrainBatchSize: 2, evalStrategy: 'steps' } as const
  const data = { trainDataset: tinyDataset(), evalDataset: tinyDataset(100) }
  const trainer = new Trainer({ model, args, ...data, callbacks: [tensorBoardLog(`${folder}/runs`)] })
  await trainer.train()
  model.dispose()

  const [name] = readdirSync(`${folder}/runs`)
  expect(name).toMatch(/^events\.out\.tfevents\.\d+\.heed$/)
  const [first, ...events] = readRecords(readFileSync(`${folder}/runs/${name}`)).map(fieldsOf)
  expect(String(first!.get(3)![0])).toBe('brain.Event:2')
  const written = events.map(event => {
    const values = fieldsOf(event.get(5)![0] as Buffer)
      .get(1)!
      .map(value => fieldsOf(value as Buffer))
    return [event.get(2)![0], Object.fromEntries(values.map(value => [String(value.get(1)![0]), value.get(2)![0]]))]
  })
  const { logHistory } = trainer.state
  expect(written.map(([step]) => step)).toEqual(logHistory.map(record => record.step))
  expect(written[0]![1]).toMatchObject({
    'train/loss': Math.fround(logHistory[0]!.loss!),
    'train/learning_rate': Math.fround(logHistory[0]!.learningRate!),
  })
  expect(written[1]![1]).toMatchObject({ 'eval/loss': Math.fround(logHistory[1]!.evalLoss!) })
})
