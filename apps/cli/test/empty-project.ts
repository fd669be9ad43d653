import { execFileSync } from 'node:child_process'
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'

export const root = join(import.meta.dirname, '..', '..', '..')
export const stories = join(root, 'packages', 'llama', 'test', 'fixtures', 'stories260K')
const sources = [
  ...readdirSync(join(root, 'packages')).map(name => join(root, 'packages', name)),
  join(root, 'apps', 'cli'),
]

interface Manifest {
  name: string
  version: string
  dependencies?: Record<string, string>
}

export const manifest = (folder: string): Manifest =>
  JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as Manifest

/** The names of what is published. */
export const published: string[] = sources.map(source => manifest(source).name)

function link(target: string, path: string): void {
  if (existsSync(path)) return
  mkdirSync(dirname(path), { recursive: true })
  symlinkSync(target, path)
}

/** Every package as npm would unpack it, in a project that has nothing else; what others made is linked from the repository. */
export class EmptyProject {
  readonly folder: string = mkdtempSync(join(tmpdir(), 'heed-tarballs-'))

  constructor() {
    const pnpm = join(root, 'node_modules', 'pnpm', 'bin', 'pnpm.cjs')
    const filters = ['--filter', './packages/*', '--filter', './apps/cli']
    const pack = [pnpm, '-r', ...filters, 'pack', '--pack-destination', this.folder]
    execFileSync(process.execPath, pack, { cwd: root, stdio: 'pipe' })
    for (const tarball of readdirSync(this.folder).filter(name => name.endsWith('.tgz'))) this.#unpack(tarball)
    for (const source of sources) {
      for (const name of Object.keys(manifest(source).dependencies ?? {}))
        link(join(source, 'node_modules', name), this.installed(name))
    }
    link(join(root, 'node_modules', '@types', 'node'), this.installed('@types/node'))
    this.write('package.json', JSON.stringify({ name: 'empty', private: true, type: 'module' }))
  }

  #unpack(tarball: string): void {
    execFileSync('tar', ['-xzf', tarball], { cwd: this.folder })
    const unpacked = join(this.folder, 'package')
    cpSync(unpacked, this.installed(manifest(unpacked).name), { recursive: true })
    rmSync(unpacked, { recursive: true })
  }

  /** Where a package is. */
  installed(name: string): string {
    return join(this.folder, 'node_modules', name)
  }

  write(path: string, text: string): void {
    mkdirSync(dirname(join(this.folder, path)), { recursive: true })
    writeFileSync(join(this.folder, path), text)
  }

  /** What Node prints when it runs in the project; WebAssembly, since no addon is in a tarball. */
  node(...args: string[]): string {
    const env = { ...process.env, HEED_BACKEND: 'wasm', NODE_OPTIONS: '', NODE_ENV: 'production' }
    return execFileSync(process.execPath, args, { cwd: this.folder, env, encoding: 'utf8' })
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true })
  }
}
