// Builds the kernels: the Node addon with the system's C++ compiler (build/heed.node), and three WebAssembly modules with
// the compiler that comes as an npm package (build/heed*.wasm). Each result is kept while its sources and flags are the
// same. Without a C++ compiler it says so and leaves the addon out: Heed then runs on WebAssembly.
// node build.mjs [--addon]: with --addon only the addon.
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { isMainThread, Worker, workerData } from 'node:worker_threads'
import {
  addonFiles,
  build,
  commonFlags,
  compileAll,
  execute,
  findCompiler,
  headers,
  instructionSets,
  kernelFiles,
  kernels,
  wasmFiles,
} from './sources.mjs'

mkdirSync(join(build, 'objects'), { recursive: true })

function hashOf(files, flags) {
  const hash = createHash('sha256').update(JSON.stringify(flags))
  for (const name of [...files, ...headers]) hash.update(readFileSync(join(kernels, name)))
  return hash.digest('hex').slice(0, 16)
}

/** Whether `target` was made from what `hash` stands for. */
function isFresh(target, hash) {
  return existsSync(target) && existsSync(`${target}.hash`) && readFileSync(`${target}.hash`, 'utf8') === hash
}

/** Puts a finished file in place, so that a process that has the old one open keeps it. */
function finish(temporary, target, hash) {
  renameSync(temporary, target)
  writeFileSync(`${target}.hash`, hash)
}

async function buildAddon(numJobs) {
  const target = join(build, 'heed.node')
  if (process.env.HEED_SKIP_NATIVE) return skipAddon('HEED_SKIP_NATIVE is set')
  if (process.platform === 'win32') return skipAddon('building from source is not supported on Windows')
  const compiler = findCompiler()
  if (!compiler) return skipAddon('no C++ compiler (g++ or clang++) was found')

  const { include_dir: nodeHeaders } = (await import('node-api-headers')).default
  // gcc 12 warns of uninitialised values inside its own intrinsics.
  const flags = [
    ...commonFlags,
    '-Wno-maybe-uninitialized',
    '-Wno-uninitialized',
    '-fPIC',
    '-fvisibility=hidden',
    '-pthread',
    '-I',
    nodeHeaders,
  ]
  const units = [
    ...addonFiles.map(file => ({ file, object: file, extra: [] })),
    ...Object.entries(instructionSets).flatMap(([set, extra]) =>
      kernelFiles.map(file => ({ file, object: `${set}-${file}`, extra: [`-DHEED_ISA=${set}`, ...extra] })),
    ),
  ].map(unit => ({
    ...unit,
    path: join(build, 'objects', `${unit.object}.o`),
    hash: hashOf([unit.file], [compiler, ...flags, ...unit.extra]),
  }))

  // The C++ library goes in, so that a prebuilt addon needs nothing but the system's C library.
  const sharedFlags =
    process.platform === 'darwin'
      ? ['-bundle', '-undefined', 'dynamic_lookup']
      : ['-shared', '-Wl,-s', '-static-libstdc++', '-static-libgcc']
  const linkHash = createHash('sha256')
    .update(JSON.stringify(sharedFlags))
    .update(units.map(unit => unit.hash).join())
    .digest('hex')
    .slice(0, 16)
  if (isFresh(target, linkHash)) return
  const stale = units
    .filter(unit => !isFresh(unit.path, unit.hash))
    .map(({ file, path, hash, extra }) => ({
      file,
      path: `${path}.${process.pid}`,
      flags: [...flags, ...extra],
      finish: () => finish(`${path}.${process.pid}`, path, hash),
    }))
  await compileAll(compiler, stale, { numJobs, onDone: unit => unit.finish() })
  const temporary = `${target}.${process.pid}`
  await execute(compiler, [...sharedFlags, '-pthread', ...units.map(unit => unit.path), '-o', temporary])
  finish(temporary, target, linkHash)
  console.log(`kernels: built the native addon with ${compiler} (${Object.keys(instructionSets).join(', ')})`)
}

function skipAddon(reason) {
  rmSync(join(build, 'heed.node'), { force: true })
  rmSync(join(build, 'heed.node.hash'), { force: true })
  console.log(`kernels: the native addon is left out: ${reason}. Heed runs on WebAssembly.`)
}

async function buildWasm(name, extra) {
  const target = join(build, `${name}.wasm`)
  const files = [...kernelFiles.filter(file => file !== 'table.cc'), ...wasmFiles]
  const flags = [
    ...['--target=wasm32-wasip1', '-DHEED_ISA=wasm', '-msimd128', '-mbulk-memory', ...extra, ...commonFlags],
    ...['-mexec-model=reactor', '-Wl,--export-dynamic', '-Wl,--gc-sections', '-Wl,--strip-all'],
    ...['-Wl,-z,stack-size=1048576', '-Wl,--max-memory=4294967296'],
  ]
  const hash = hashOf(files, flags)
  if (isFresh(target, hash)) return
  const { commands } = await import('@yowasp/clang')
  const sources = Object.fromEntries(
    [...files, ...headers].map(file => [file, readFileSync(join(kernels, file), 'utf8')]),
  )
  const output = await commands['clang++']([...flags, ...files, '-o', 'heed.wasm'], sources, {
    fetchProgress: () => {},
  })
  const temporary = `${target}.${process.pid}`
  writeFileSync(temporary, output['heed.wasm'])
  finish(temporary, target, hash)
  console.log(`kernels: built ${name}.wasm (${(output['heed.wasm'].length / 1024).toFixed(0)} KB)`)
}

/** The modules: a runtime without relaxed SIMD (fused multiply-add) or shared memory takes a plainer one. */
const wasmModules = {
  heed: [],
  'heed-relaxed': ['-mrelaxed-simd'],
  'heed-threads': [
    ...['-mrelaxed-simd', '-matomics', '-Wl,--shared-memory', '-Wl,--import-memory', '-Wl,--initial-memory=4194304'],
    ...['__stack_pointer', '__wasm_init_tls', '__tls_size'].map(name => `-Wl,--export=${name}`),
    '-Wl,--no-check-features', // the C library was compiled without atomics; what the kernels use of it keeps no state
  ],
}

const moduleNames = Object.keys(wasmModules)

/** The next module that no thread has begun, until there is none. `next` is shared by the threads. */
async function buildWaitingWasm(next) {
  for (let i = Atomics.add(next, 0, 1); i < moduleNames.length; i = Atomics.add(next, 0, 1)) {
    await buildWasm(moduleNames[i], wasmModules[moduleNames[i]])
  }
}

if (isMainThread) {
  const cores = availableParallelism()
  // A thread's first module takes half as long again as its others, so few cores are better used by the addon meanwhile.
  const numThreads = process.argv.includes('--addon') ? 0 : Math.min(moduleNames.length, Math.ceil(cores / 4))
  const next = new Int32Array(new SharedArrayBuffer(4))
  const finished = Array.from(
    { length: numThreads },
    () =>
      new Promise((resolve, reject) => {
        new Worker(new URL(import.meta.url), { workerData: next })
          .on('error', reject)
          .on('exit', code =>
            code === 0 ? resolve() : reject(new Error(`a build of WebAssembly modules ended with code ${code}`)),
          )
      }),
  )
  await Promise.all([buildAddon(Math.max(1, cores - numThreads)), ...finished])
} else {
  await buildWaitingWasm(workerData)
}
