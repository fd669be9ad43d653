/** Errors that workers throw reach the page with their code; both sides import this. */
import { transferHandlers } from 'comlink'

interface Sent {
  isError: boolean
  value: { message: string; name: string; stack?: string; code?: string }
}

const handler = transferHandlers.get('throw')!

transferHandlers.set('throw', {
  canHandle: handler.canHandle,
  serialize(thrown: { value: unknown }) {
    const [sent, transferables] = handler.serialize(thrown) as [Sent, Transferable[]]
    const { code } = thrown.value as { code?: unknown }
    if (sent.isError && typeof code === 'string') sent.value.code = code
    return [sent, transferables]
  },
  deserialize(sent: Sent) {
    throw sent.isError ? Object.assign(new Error(sent.value.message), sent.value) : sent.value
  },
})
