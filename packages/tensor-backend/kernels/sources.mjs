// What the builds and the fuzzer share: the sources, the flags of each instruction set, and how a compiler is found and run.
import { spawn, spawnSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const kernels = dirname(fileURLToPath(import.meta.url))
export const build = join(kernels, '..', 'build')

export const headers = readdirSync(kernels).filter(name => name.endsWith('.h'))
export const wasmFiles = ['wasm.cc', 'wasm-threads.cc', 'allocator.cc']
export const addonFiles = ['node.cc', 'mpi.cc', 'threads.cc', 'mapping.cc', 'allocator.cc']
const platformFiles = [...addonFiles, ...wasmFiles] // compiled once; all others once per instruction set
export const kernelFiles = readdirSync(kernels).filter(name => name.endsWith('.cc') && !platformFiles.includes(name))
export const commonFlags = [
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

export const instructionSets = {
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

/** The C++ compiler of this machine, or undefined. */
export function findCompiler() {
  return (process.env.CXX ? [process.env.CXX] : ['g++', 'clang++']).find(
    name => spawnSync(name, ['--version'], { stdio: 'ignore' }).status === 0,
  )
}

/** Runs a command; rejects unless it ends with 0. */
export function execute(command, args) {
  return new Promise((resolve, reject) => {
    spawn(command, args, { stdio: 'inherit' })
      .on('error', reject)
      .on('close', code => (code === 0 ? resolve() : reject(new Error(`${command} ended with code ${code}`))))
  })
}

/** Compiles each unit { file, path, flags }, `numJobs` at a time; `onDone` is called after each. */
export async function compileAll(compiler, units, { numJobs = availableParallelism(), onDone = () => {} } = {}) {
  const waiting = [...units]
  const compileNext = async () => {
    for (let unit = waiting.shift(); unit; unit = waiting.shift()) {
      await execute(compiler, [...unit.flags, '-c', join(kernels, unit.file), '-o', unit.path])
      onDone(unit)
    }
  }
  await Promise.all(Array.from({ length: numJobs }, compileNext))
}
