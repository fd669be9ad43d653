// pnpm fuzz:kernels [SECONDS [SEED]]: calls every kernel on random arguments under AddressSanitizer and UBSan, for 60
// seconds unless told otherwise. A finding prints the kernel with its seed; `pnpm fuzz:kernels 0 SEED` repeats it alone.
import { mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { build, compileAll, execute, findCompiler, instructionSets, kernelFiles } from '../sources.mjs'

const [seconds = '60', seed = `${Date.now()}`] = process.argv.slice(2)
const compiler = findCompiler()
if (!compiler) {
  console.error('fuzz: no C++ compiler (g++ or clang++) was found, expected one with sanitizers. Install g++.')
  process.exit(1)
}

const folder = join(build, 'fuzz')
mkdirSync(folder, { recursive: true })
// AddressSanitizer finds null pointers too; the check of UBSan makes compilation far slower.
const sanitizers = ['-fsanitize=address,undefined', '-fno-sanitize=null', '-fno-sanitize-recover=all']
const flags = ['-std=c++17', '-O1', '-g1', '-fno-var-tracking', '-w', '-fno-exceptions', '-pthread', ...sanitizers]
const units = [
  ...['fuzz/kernels.cc', 'threads.cc', 'allocator.cc'].map(file => ({ file, name: file.replace('/', '-'), flags })),
  ...Object.entries(instructionSets).flatMap(([set, extra]) =>
    kernelFiles.map(file => ({ file, name: `${set}-${file}`, flags: [...flags, `-DHEED_ISA=${set}`, ...extra] })),
  ),
].map(unit => ({ ...unit, path: join(folder, `${unit.name}.o`) }))

console.log(`fuzz: compiling ${units.length} files with sanitizers`)
await compileAll(compiler, units)
const program = join(folder, 'fuzz')
await execute(compiler, [...flags, ...units.map(({ path }) => path), '-o', program])
console.log(`fuzz: ${seconds} seconds from seed ${seed}`)
const running = join(folder, 'running')
await execute(program, [seconds, seed, running]).catch(error => {
  console.error(`${error.message}, in ${readFileSync(running, 'utf8').split('\n')[0]}`)
  process.exit(1)
})
