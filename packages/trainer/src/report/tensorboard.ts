import { folders } from '#folder'
import { onFirstProcess, type TrainerCallback } from '../callbacks.ts'
import { snakeCase } from '../trainer-state.ts'
import { crc32c } from './crc.ts'

/** A protocol-buffer field: its number, and a float, a double, an int64 or bytes. */
type Field =
  | [number: number, kind: 'float' | 'double' | 'int64', value: number]
  | [number: number, kind: 'bytes', value: Uint8Array]

function varint(value: number): number[] {
  const bytes: number[] = []
  let rest = value
  do {
    bytes.push((rest % 128) + (rest >= 128 ? 128 : 0))
    rest = Math.floor(rest / 128)
  } while (rest > 0)
  return bytes
}

const wireTypes = { int64: 0, double: 1, bytes: 2, float: 5 }

function message(fields: readonly Field[]): Uint8Array {
  const bytes: number[] = []
  for (const [number, kind, value] of fields) {
    bytes.push((number << 3) | wireTypes[kind])
    if (kind === 'int64') bytes.push(...varint(value))
    else if (kind === 'bytes') bytes.push(...varint(value.length), ...value)
    else bytes.push(...new Uint8Array((kind === 'float' ? Float32Array : Float64Array).of(value).buffer))
  }
  return Uint8Array.from(bytes)
}

const text = (value: string): Uint8Array => new TextEncoder().encode(value)

/** An `Event` of TensorFlow's event.proto with scalars, or the first one of a file. */
function event(wallTime: number, step: number, scalars: Readonly<Record<string, number>> | undefined): Uint8Array {
  if (!scalars)
    return message([
      [1, 'double', wallTime],
      [3, 'bytes', text('brain.Event:2')],
    ])
  const values = Object.entries(scalars).map(([tag, value]): Field => {
    return [
      1,
      'bytes',
      message([
        [1, 'bytes', text(tag)],
        [2, 'float', value],
      ]),
    ]
  })
  return message([
    [1, 'double', wallTime],
    [2, 'int64', step],
    [5, 'bytes', message(values)],
  ])
}

/** A record of a TFRecord file: length and data, each with its masked checksum. */
function record(data: Uint8Array): Uint8Array {
  const masked = (bytes: Uint8Array): number => {
    const crc = crc32c(bytes)
    return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0
  }
  const framed = new Uint8Array(data.length + 16)
  const view = new DataView(framed.buffer)
  view.setBigUint64(0, BigInt(data.length), true)
  view.setUint32(8, masked(framed.subarray(0, 8)), true)
  framed.set(data, 12)
  view.setUint32(12 + data.length, masked(data), true)
  return framed
}

/**
 * Writes each log record to a TensorBoard event file in a folder, with HF's tags: `train/loss`, `eval/loss`. Each run has a
 * file of its own; `tensorboard --logdir <folder>` shows them.
 */
export function tensorBoardLog(folder: string): TrainerCallback {
  let file = ''
  const write = (step: number, scalars?: Record<string, number>): Promise<void> =>
    folders.append(file, record(event(Date.now() / 1000, step, scalars)))
  return onFirstProcess({
    async onTrainBegin() {
      await folders.make(folder)
      file = `${folder}/events.out.tfevents.${Date.now()}.heed`
      await write(0)
    },
    async onLog({ logs }) {
      const { step, ...values } = logs!
      const tagged = Object.entries(values).map(([name, value]) => {
        const key = snakeCase(name)
        return [key.startsWith('eval_') ? `eval/${key.slice('eval_'.length)}` : `train/${key}`, value] as const
      })
      await write(step, Object.fromEntries(tagged))
    },
  })
}
