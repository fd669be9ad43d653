// Runs when the package is installed: builds the addon from source where the optional package of this platform is not
// there. Never fails: without an addon Heed runs on WebAssembly, and `init` and `heed doctor` say why.
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'

function isPrebuilt() {
  try {
    createRequire(import.meta.url).resolve(`@heed/tensor-backend-${process.platform}-${process.arch}`)
    return true
  } catch {
    return false
  }
}

// A clone has its tests beside the kernels, and builds them with everything else.
const isClone = existsSync(new URL('../test', import.meta.url))
if (!isClone && !isPrebuilt()) {
  spawnSync(process.execPath, [fileURLToPath(new URL('build.mjs', import.meta.url)), '--addon'], { stdio: 'inherit' })
}
