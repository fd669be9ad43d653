import { tf } from '@heed/tensor-backend'
import { expect, test, vi } from 'vitest'

test('the first tensor of the cpu backend comes without advice', async () => {
  const warn = vi.spyOn(console, 'warn')
  await tf.setBackend('cpu')
  tf.scalar(1).dispose()
  expect(warn).not.toHaveBeenCalled()
  warn.mockRestore()
})
