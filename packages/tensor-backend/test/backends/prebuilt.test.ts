import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { addonPaths } from '../../src/backends/native.ts'

const file = (path: string): string => fileURLToPath(new URL(`../../${path}`, import.meta.url))
const platform = `${process.platform}-${process.arch}`

describe.skipIf(!existsSync(file('build/heed.node')))(
  'the prebuilt package (needs the addon, built from source)',
  () => {
    let folder: string
    beforeAll(async () => {
      folder = mkdtempSync(join(tmpdir(), 'heed-prebuilt-'))
      const { status, stderr } = spawnSync(process.execPath, [file('kernels/prebuild.mjs'), 'package', folder])
      expect(String(stderr)).toBe('')
      expect(status).toBe(0)
      await mkdir(join(folder, 'node_modules', '@heed'), { recursive: true })
      renameSync(join(folder, platform), join(folder, 'node_modules', '@heed', `tensor-backend-${platform}`))
    })
    afterAll(() => rmSync(folder, { recursive: true }))

    test('comes before the addon built from source', () => {
      const prebuilt = join(folder, 'node_modules', '@heed', `tensor-backend-${platform}`, 'heed.node')
      expect(addonPaths(createRequire(join(folder, 'index.js')))).toEqual([prebuilt, file('build/heed.node')])
      expect(addonPaths(createRequire(join(tmpdir(), 'index.js')))).toEqual([file('build/heed.node')])
    })

    test('loads by its name, on its own platform only, in the version of this package', () => {
      const require = createRequire(join(folder, 'index.js'))
      expect(require(`@heed/tensor-backend-${platform}`)).toHaveProperty('configure')
      const manifest = JSON.parse(
        readFileSync(require.resolve(`@heed/tensor-backend-${platform}/package.json`), 'utf8'),
      ) as Record<string, unknown>
      const { version } = JSON.parse(readFileSync(file('package.json'), 'utf8')) as { version: string }
      expect(manifest).toMatchObject({ version, os: [process.platform], cpu: [process.arch], main: 'heed.node' })
    })
  },
)
