import { gzipSync } from 'node:zlib'
import { rolldown } from 'rolldown'
import { expect, test } from 'vitest'

test('a page that takes everything of the package loads less than 60 KB, gzipped', async () => {
  const bundle = await rolldown({
    input: new URL('../src/index.ts', import.meta.url).pathname,
    platform: 'browser',
    resolve: { conditionNames: ['@heed/source', 'browser', 'import', 'default'] },
  })
  const { output } = await bundle.generate({ format: 'esm', minify: true })
  await bundle.close()
  const code = output.map(part => (part.type === 'chunk' ? part.code : String(part.source))).join('')
  expect(code).not.toMatch(/from ?["']node:/)
  // both the package and its only dependency are in it
  expect(code).toContain('HEED_CONFIG_INVALID')
  expect(code).toContain('tojson')
  expect(gzipSync(code, { level: 9 }).length).toBeLessThan(60 * 1024)
})
