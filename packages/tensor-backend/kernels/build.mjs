// Builds the kernels: the Node addon with the system's C++ compiler (build/heed.node), and two WebAssembly modules with
// the compiler that comes as an npm package (build/heed-relaxed.wasm, build/heed.wasm). Each result is kept while its
// sources and flags are the same. Without a C++ compiler it says so and leaves the addon out: Heed then runs on WebAssembly.
import { spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const kernels = dirname(fileURLToPath(import.meta.url))
const build = join(kernels, '..', 'build')
mkdirSync(join(build, 'objects'), { recursive: true })

const headers = readdirSync(kernels).filter(name => name.endsWith('.h'))
const platformFiles = ['node.cc', 'wasm.cc', 'threads.cc', 'allocator.cc'] // compiled once; all others once per instruction set
const kernelFiles = readdirSync(kernels).filter(name => name.endsWith('.cc') && !platformFiles.includes(name))
const commonFlags = [
  '-std=c++17',
  '-O3',
  '-Wall',
  '-Wextra',
  '-Wno-unused-function',
  '-fno-exceptions',
  '-fno-rtti',
  '-fno-math-errno',
  '-fno-trapping-math',
]

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

const instructionSets = {
  x64: {
    avx512: [
      '-DHEED_AVX512',
      '-mavx512f',
      '-mavx512bw',
      '-mavx512dq',
      '-mavx512vl',
      '-mavx512vnni',
      '-mavx2',
      '-mfma',
      '-mf16c',
      '-mprefer-vector-width=512',
    ],
    avx2: ['-DHEED_AVX2', '-mavx2', '-mfma', '-mf16c'],
    plain: [],
  },
  arm64: { neon: ['-DHEED_NEON'], plain: [] },
}[process.arch] ?? { plain: [] }

async function buildAddon() {
  const target = join(build, 'heed.node')
  if (process.env.HEED_SKIP_NATIVE) return skipAddon('HEED_SKIP_NATIVE is set')
  if (process.platform === 'win32') return skipAddon('building from source is not supported on Windows')
  const compiler = (process.env.CXX ? [process.env.CXX] : ['g++', 'clang++']).find(
    name => spawnSync(name, ['--version'], { stdio: 'ignore' }).status === 0,
  )
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
    ...['node.cc', 'threads.cc', 'allocator.cc'].map(file => ({ file, object: file, extra: [] })),
    ...Object.entries(instructionSets).flatMap(([set, extra]) =>
      kernelFiles.map(file => ({ file, object: `${set}-${file}`, extra: [`-DHEED_ISA=${set}`, ...extra] })),
    ),
  ].map(unit => ({
    ...unit,
    path: join(build, 'objects', `${unit.object}.o`),
    hash: hashOf([unit.file], [compiler, ...flags, ...unit.extra]),
  }))

  const linkHash = createHash('sha256')
    .update(units.map(unit => unit.hash).join())
    .digest('hex')
    .slice(0, 16)
  if (isFresh(target, linkHash)) return
  const stale = units.filter(unit => !isFresh(unit.path, unit.hash))
  const compileNext = async () => {
    for (let unit = stale.shift(); unit; unit = stale.shift()) {
      const temporary = `${unit.path}.${process.pid}`
      await execute(compiler, [...flags, ...unit.extra, '-c', join(kernels, unit.file), '-o', temporary])
      finish(temporary, unit.path, unit.hash)
    }
  }
  await Promise.all(Array.from({ length: availableParallelism() }, compileNext))
  const temporary = `${target}.${process.pid}`
  const sharedFlags =
    process.platform === 'darwin' ? ['-bundle', '-undefined', 'dynamic_lookup'] : ['-shared', '-Wl,-s']
  await execute(compiler, [...sharedFlags, '-pthread', ...units.map(unit => unit.path), '-o', temporary])
  finish(temporary, target, linkHash)
  console.log(`kernels: built the native addon with ${compiler} (${Object.keys(instructionSets).join(', ')})`)
}

function skipAddon(reason) {
  rmSync(join(build, 'heed.node'), { force: true })
  rmSync(join(build, 'heed.node.hash'), { force: true })
  console.log(`kernels: the native addon is left out: ${reason}. Heed runs on WebAssembly.`)
}

function execute(command, args) {
  return new Promise((resolve, reject) => {
    spawn(command, args, { stdio: 'inherit' })
      .on('error', reject)
      .on('close', code => (code === 0 ? resolve() : reject(new Error(`${command} ended with code ${code}`))))
  })
}

async function buildWasm(name, extra) {
  const target = join(build, `${name}.wasm`)
  const files = [...kernelFiles.filter(file => file !== 'table.cc'), 'wasm.cc', 'allocator.cc']
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

await buildAddon()
await buildWasm('heed', [])
await buildWasm('heed-relaxed', ['-mrelaxed-simd'])
// Shared memory, which the C library was not compiled for; what the kernels take from it keeps no state.
const sharedMemory = ['--import-memory', '--shared-memory', '--initial-memory=4194304', '--no-check-features']
const workerExports = ['--export=__stack_pointer', '--export=__wasm_init_tls', '--export=__tls_size']
await buildWasm('heed-threads', [
  ...['-mrelaxed-simd', '-matomics'],
  ...[...sharedMemory, ...workerExports].map(flag => `-Wl,${flag}`),
])
