import { Argument, Command, type Option } from 'commander'
import { action } from '../failure.ts'

const shells = { bash: bashScript, zsh: zshScript, fish: fishScript } as const
type Shell = keyof typeof shells

/** `heed completion`: a script that completes commands, options and their values in a shell. */
export function completionCommand(): Command {
  return new Command('completion')
    .description('Print a script that lets your shell complete commands, options and values.')
    .addArgument(new Argument('<shell>', 'your shell').choices(Object.keys(shells)))
    .addHelpText(
      'after',
      '\nExamples:\n  heed completion bash >> ~/.bashrc\n  heed completion zsh > ~/.zsh/completions/_heed\n  heed completion fish > ~/.config/fish/completions/heed.fish',
    )
    .action(
      action(async (shell: Shell, _options: object, command: Command) => {
        process.stdout.write(shells[shell](describeCommands(command.parent!)))
      }),
    )
}

/** A command that takes options, by the words that call it. */
interface CommandWords {
  words: string
  description: string
  subcommands: { name: string; description: string }[]
  options: { flag: string; description: string; takesValue: boolean; choices: readonly string[] }[]
  choices: readonly string[]
}

function describeCommands(command: Command, words: string[] = []): CommandWords[] {
  const visible = command.createHelp().visibleCommands(command)
  const options = command.createHelp().visibleOptions(command)
  return [
    {
      words: words.join(' '),
      description: firstSentence(command.description()),
      subcommands: visible.map(each => ({ name: each.name(), description: firstSentence(each.description()) })),
      options: options.flatMap(option => describeOption(option)),
      choices: command.registeredArguments[0]?.argChoices ?? [],
    },
    ...command.commands.flatMap(each => describeCommands(each, [...words, each.name()])),
  ]
}

function describeOption(option: Option): CommandWords['options'] {
  if (!option.long) return []
  const { required, optional, description, argChoices = [] } = option
  return [{ flag: option.long, description, takesValue: required || optional, choices: argChoices }]
}

const firstSentence = (text: string): string => text.split('. ')[0]!.replace(/\.$/, '')

function bashScript(commands: readonly CommandWords[]): string {
  const cases = commands.map(({ words, subcommands, options, choices }) => {
    const names = [...subcommands.map(({ name }) => name), ...choices, ...options.map(({ flag }) => flag)]
    return `    '${words}') list='${names.join(' ')}' ;;`
  })
  const values = commands.flatMap(({ words, options }) =>
    options
      .filter(option => option.takesValue)
      .map(({ flag, choices }) => `    '${words} ${flag}') value='${choices.join(' ') || ':file'}' ;;`),
  )
  const paths = commands.map(({ words }) => `'${words}'`).filter(path => path !== "''")
  return `# bash completion of heed
_heed() {
  local cur="\${COMP_WORDS[COMP_CWORD]}" prev="\${COMP_WORDS[COMP_CWORD-1]}" command='' word list='' value=''
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case "\${command:+$command }$word" in
    ${paths.join('|')}) command="\${command:+$command }$word" ;;
    esac
  done
  case "$command $prev" in
${values.join('\n')}
  esac
  if [ "$value" = ':file' ]; then COMPREPLY=(); return; fi
  if [ -n "$value" ]; then COMPREPLY=($(compgen -W "$value" -- "$cur")); return; fi
  case "$command" in
${cases.join('\n')}
  esac
  COMPREPLY=($(compgen -W "$list" -- "$cur"))
}
complete -o default -F _heed heed
`
}

/** For zsh within single quotes. */
const zshQuoted = (text: string): string => text.replace(/'/g, "'\\''").replace(/[[\]:]/g, '\\$&')

function zshScript(commands: readonly CommandWords[]): string {
  const functions = commands.map(({ words, subcommands, options, choices }) => {
    const flags = options.map(({ flag, description, takesValue, choices: values }) => {
      const value = takesValue ? `:value:${values.length > 0 ? `(${values.join(' ')})` : '_files'}` : ''
      return `    '${flag}[${zshQuoted(description)}]${value}'`
    })
    const rest =
      subcommands.length > 0
        ? ["    '1:command:->command'", "    '*::argument:->argument'"]
        : [`    '*:argument:${choices.length > 0 ? `(${choices.join(' ')})` : '_files'}'`]
    const list = subcommands.map(({ name, description }) => `      '${name}:${zshQuoted(description)}'`)
    const calls = subcommands.map(({ name }) => `      ${name}) ${zshName(`${words} ${name}`)} ;;`)
    const states = `
  case $state in
  command)
    local -a commands=(
${list.join('\n')}
    )
    _describe command commands ;;
  argument)
    case $words[1] in
${calls.join('\n')}
    esac ;;
  esac`
    return `${zshName(words)}() {
  local state line
  _arguments -C \\
${[...flags, ...rest].join(' \\\n')}${subcommands.length > 0 ? states : ''}
}`
  })
  return `#compdef heed
${functions.join('\n')}
if [ "$funcstack[1]" = _heed ]; then _heed "$@"; else compdef _heed heed; fi
`
}

const zshName = (words: string): string =>
  `_heed${words.trim() === '' ? '' : `_${words.trim().replace(/[^a-z]+/g, '_')}`}`

const fishQuoted = (text: string): string => text.replace(/[\\']/g, '\\$&')

function fishScript(commands: readonly CommandWords[]): string {
  const lines = commands.flatMap(({ words, subcommands, options, choices }) => {
    const names = subcommands.map(({ name }) => name).join(' ')
    const within = words === '' ? [] : words.split(' ').map(word => `__fish_seen_subcommand_from ${word}`)
    const before = names === '' ? [] : [`not __fish_seen_subcommand_from ${names}`]
    const condition = [...within, ...before].join('; and ')
    const on = `complete -c heed${condition === '' ? '' : ` -n '${condition}'`}`
    return [
      ...subcommands.map(({ name, description }) => `${on} -f -a ${name} -d '${fishQuoted(description)}'`),
      ...(choices.length > 0 ? [`${on} -f -a '${choices.join(' ')}'`] : []),
      ...options.map(({ flag, description, takesValue, choices: values }) => {
        const value = values.length > 0 ? ` -x -a '${values.join(' ')}'` : takesValue ? ' -r' : ''
        return `${on} -l ${flag.slice(2)} -d '${fishQuoted(description)}'${value}`
      }),
    ]
  })
  return `# fish completion of heed\n${lines.join('\n')}\n`
}
