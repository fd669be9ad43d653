import { existsSync, readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { HeedError } from '@heed/tensor-backend/errors'
import { type Command, InvalidArgumentError, type Option } from 'commander'

/** Where defaults of options may lie: the file that HEED_CONFIG names, else one of the project, else the user's. */
function configPath(): string | undefined {
  const { HEED_CONFIG, XDG_CONFIG_HOME } = process.env
  if (HEED_CONFIG) return HEED_CONFIG
  const places = ['heed.config.json', join(XDG_CONFIG_HOME || join(homedir(), '.config'), 'heed', 'config.json')]
  return places.find(path => existsSync(path))
}

/**
 * Takes defaults of options from a JSON file: `{ "generate": { "temperature": 0 }, "tokenizer train": { "vocab-size": 8192 } }`,
 * commands and options by their names. What the command line says goes before. Throws HEED_FILE_NOT_FOUND, HEED_CONFIG_INVALID.
 */
export function applyConfigFile(program: Command, path: string | undefined = configPath()): void {
  if (path === undefined) return
  for (const [name, options] of Object.entries(readConfig(path))) {
    const command = findCommand(program, name.split(' '))
    if (!command) throw invalid(path, JSON.stringify(name), 'given', 'the name of a command', 'heed --help lists them.')
    if (!isObject(options))
      throw invalid(path, name, options, 'an object of options', 'Name options without the dashes.')
    for (const [key, value] of Object.entries(options)) setDefault(path, command, name, key, value)
  }
}

function setDefault(path: string, command: Command, name: string, key: string, value: unknown): void {
  const option = command.options.find(({ long }) => long === `--${key}`)
  if (!option) {
    const rule = `an option of heed ${name}`
    throw invalid(path, `${name}: ${JSON.stringify(key)}`, 'given', rule, `heed ${name} --help lists them.`)
  }
  command.setOptionValueWithSource(option.attributeName(), readValue(path, `${name}: ${key}`, option, value), 'config')
}

/** A value as the option's own reader takes it from the command line. */
function readValue(path: string, where: string, option: Option, value: unknown): unknown {
  if (option.isBoolean()) {
    if (typeof value === 'boolean') return value
    throw invalid(path, where, value, 'true or false', 'Change it.')
  }
  if (option.variadic ? !Array.isArray(value) : typeof value === 'object') {
    throw invalid(path, where, value, option.variadic ? 'a list' : 'a text or a number', 'Change it.')
  }
  if (option.variadic) return value
  try {
    return option.parseArg ? option.parseArg(String(value), undefined as never) : String(value)
  } catch (error) {
    if (!(error instanceof InvalidArgumentError)) throw error
    throw invalid(path, where, value, error.message.replace(/^Expected |\.$/g, ''), 'Change it.')
  }
}

function readConfig(path: string): Record<string, unknown> {
  if (!existsSync(path)) {
    throw new HeedError(
      'HEED_FILE_NOT_FOUND',
      `${path}: it is not there, expected a JSON file of options. HEED_CONFIG names it.`,
    )
  }
  let json: unknown
  try {
    json = JSON.parse(readFileSync(path, 'utf8'))
  } catch (error) {
    throw invalid(path, 'the file', error instanceof Error ? error.message : error, 'JSON', 'Mend it, or leave it out.')
  }
  if (isObject(json)) return json
  throw invalid(path, 'the file', json, 'an object from commands to options', 'Mend it, or leave it out.')
}

function findCommand(parent: Command, [name, ...rest]: string[]): Command | undefined {
  const command = parent.commands.find(candidate => candidate.name() === name)
  return command && rest.length > 0 ? findCommand(command, rest) : command
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function invalid(path: string, where: string, value: unknown, rule: string, mend: string): HeedError {
  const shown = value === 'given' ? value : JSON.stringify(value)
  return new HeedError('HEED_CONFIG_INVALID', `${path}: ${where} is ${shown}, expected ${rule}. ${mend}`)
}
