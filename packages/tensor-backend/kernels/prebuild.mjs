// Packages the addon for people without a C++ compiler; see RELEASING.md.
// node prebuild.mjs package [FOLDER]: puts the addon of this platform, which must be built, into a package of its own.
// node prebuild.mjs depend [FOLDER]: makes @heed/tensor-backend depend on every such package, each optionally.
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { build, kernels } from './sources.mjs'

const [job, folder = join(kernels, '..', 'prebuilds')] = process.argv.slice(2)
const manifestPath = join(kernels, '..', 'package.json')
const manifest = JSON.parse(readFileSync(manifestPath, 'utf8'))

function packageAddon() {
  const addon = join(build, 'heed.node')
  if (!existsSync(addon)) throw new Error(`prebuild: ${addon} does not exist, expected the addon. Run build.mjs first.`)
  const platform = `${process.platform}-${process.arch}`
  const target = resolve(folder, platform)
  mkdirSync(target, { recursive: true })
  copyFileSync(addon, join(target, 'heed.node'))
  copyFileSync(join(kernels, '..', '..', '..', 'LICENSE'), join(target, 'LICENSE'))
  writeFileSync(
    join(target, 'README.md'),
    `# ${manifest.name}-${platform}\n\nThe addon of \`${manifest.name}\` for ${platform}.\n`,
  )
  const fields = {
    name: `${manifest.name}-${platform}`,
    version: manifest.version,
    description: `The addon of ${manifest.name} for ${platform}.`,
    license: manifest.license,
    repository: manifest.repository,
    os: [process.platform],
    cpu: [process.arch],
    ...(process.platform === 'linux' ? { libc: ['glibc'] } : {}),
    main: 'heed.node',
    files: ['heed.node'],
    engines: manifest.engines,
    publishConfig: manifest.publishConfig,
  }
  writeFileSync(join(target, 'package.json'), `${JSON.stringify(fields, undefined, 2)}\n`)
  console.log(`prebuild: ${fields.name}@${fields.version} is in ${target}`)
}

function dependOnAll() {
  const packages = readdirSync(folder).map(name => JSON.parse(readFileSync(join(folder, name, 'package.json'), 'utf8')))
  for (const { name, version } of packages) {
    if (version === manifest.version) continue
    throw new Error(`prebuild: ${name} has version ${version}, expected ${manifest.version}. Package it again.`)
  }
  manifest.optionalDependencies = Object.fromEntries(packages.map(({ name, version }) => [name, version]).sort())
  writeFileSync(manifestPath, `${JSON.stringify(manifest, undefined, 2)}\n`)
  console.log(`prebuild: ${manifest.name} depends on ${packages.map(({ name }) => name).join(', ')}`)
}

const jobs = { package: packageAddon, depend: dependOnAll }
if (!Object.hasOwn(jobs, job)) {
  console.error(`prebuild: job is ${job}, expected one of ${Object.keys(jobs).join(', ')}.`)
  process.exit(2)
}
jobs[job]()
