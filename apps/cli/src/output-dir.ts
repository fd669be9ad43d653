import { existsSync } from 'node:fs'
import { access, constants, rmdir, stat } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { HeedError, makeFolder } from '@heed/tensor-backend'

/** Throws HEED_ARGUMENT_INVALID when the place of an output is a file, HEED_IO when it is a folder that cannot be written to. */
export async function checkOutputDir(outputDir: string): Promise<void> {
  const found = await stat(outputDir).catch(() => undefined)
  if (!found) return
  if (!found.isDirectory()) {
    throw new HeedError(
      'HEED_ARGUMENT_INVALID',
      `--out is ${outputDir}, a file, expected a folder. Choose another one.`,
    )
  }
  await access(outputDir, constants.W_OK | constants.X_OK).catch((cause: NodeJS.ErrnoException) => {
    throw new HeedError(
      'HEED_IO',
      `--out is ${outputDir}, which cannot be written to (${cause.code}), expected a folder that can. ` +
        'Change its permissions, or choose another one.',
      { cause },
    )
  })
}

/** Makes the folder of an output to see that it can be, and takes away again what it made. Throws as `checkOutputDir` and `makeFolder`. */
export async function tryOutputDir(outputDir: string): Promise<void> {
  await checkOutputDir(outputDir)
  const missing: string[] = []
  for (let path = resolve(outputDir); !existsSync(path); path = dirname(path)) missing.push(path)
  try {
    await makeFolder(outputDir)
  } finally {
    for (const folder of missing) await rmdir(folder).catch(() => {})
  }
}
