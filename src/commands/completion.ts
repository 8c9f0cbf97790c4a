import { flags } from '../config/flags.ts';
import type { CommandEffects, CommandOptions } from './command.ts';
import { UsageError } from './failure.ts';
import { topics } from './help-topics.ts';
import { verbs } from './verbs.ts';
import type { Verb } from './verbs.ts';

/** Prints a script that completes commands, their options and words; files complete as the shell does it. */
export function completion(options: CommandOptions, effects: CommandEffects): Promise<number> {
  const [shell = ''] = options.words;
  const write = writers.get(shell);
  if (write === undefined)
    throw new UsageError(`completion ${shell}: known shells are ${[...writers.keys()].join(', ')}`);
  effects.print(write(verbs));
  return Promise.resolve(0);
}

const writers = new Map<string, (verbs: readonly Verb[]) => string>([
  ['bash', bashScript],
  ['zsh', zshScript],
  ['fish', fishScript],
]);

/** Flags that are configuration; those without an effect are understood but not offered. */
const configuration = flags.filter(({ group }) => group !== 'Accepted without effect').map(({ name }) => `--${name}`);

/** The options a command has besides those that are configuration, as they are typed. */
function optionsOf({ takes, options = [] }: Verb): string[] {
  const shared = new Map([
    ['state', ['--filename', '--recursive', '--allow-empty']],
    ['keepGoing', ['--keep-going']],
    ['dryRun', ['--dry-run']],
    ['live', ['--live']],
    ['ruleset', ['--ruleset']],
    ['output', ['--output']],
  ]);
  const own = options.map((option) => option.flags.split(' ')[0] ?? '');
  return [...takes.flatMap((one) => shared.get(one) ?? []), ...own, '--help'];
}

/** What a command can be asked for by name; other commands take files. */
function wordsOf({ name }: Verb): string[] {
  if (name === 'completion') return [...writers.keys()];
  return name === 'help' ? [...topics, ...verbs].map((one) => one.name) : [];
}

/** Values to choose from, by the option they belong to. */
const values: ReadonlyMap<string, readonly string[]> = new Map([
  ['--proxy-mode', ['iptables', 'nftables']],
  ['--ip-family', ['IPv4', 'IPv6']],
  ['--iptables-variant', ['auto', 'nft', 'legacy']],
  ['--detect-local-mode', ['ClusterCIDR', 'NodeCIDR', 'BridgeInterface', 'InterfaceNamePrefix']],
  ['--logging-format', ['text', 'json']],
]);

function formatsOf({ takes, formats = [] }: Verb): string[] {
  return takes.includes('output') ? ['text', 'json', 'yaml', ...formats] : [];
}

function bashScript(all: readonly Verb[]): string {
  const more = ({ takes }: Verb) => (takes.length === 0 ? '' : ' $configuration');
  const cases = all
    .map(
      (verb) =>
        `    ${verb.name}) options="${optionsOf(verb).join(' ')}${more(verb)}" words="${wordsOf(verb).join(' ')}" formats="${formatsOf(verb).join(' ')}" ;;\n`,
    )
    .join('');
  const choices = [...values].map(([option, list]) => `    ${option}) words="${list.join(' ')}" ;;\n`).join('');
  // Bash takes = for a word of its own.
  return `# Completion of portwright for bash. Load it with: source <(portwright completion bash)
_portwright() {
  local word=\${COMP_WORDS[COMP_CWORD]} before=\${COMP_WORDS[COMP_CWORD-1]} options= words= formats=
  local configuration="${configuration.join(' ')}"
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W "${all.map(({ name }) => name).join(' ')} --help --version" -- "$word"))
    return
  fi
  case \${COMP_WORDS[1]} in
${cases}  esac
  if [ "$word" = = ]; then word=; elif [ "$before" = = ]; then before=\${COMP_WORDS[COMP_CWORD-2]}; fi
  case $before in
    -o | --output) words=$formats ;;
${choices}  esac
  case $word in
    -*) COMPREPLY=($(compgen -W "$options" -- "$word")) ;;
    *) if [ -n "$words" ]; then COMPREPLY=($(compgen -W "$words" -- "$word")); else COMPREPLY=($(compgen -f -- "$word")); fi ;;
  esac
}
complete -o filenames -F _portwright portwright
`;
}

function zshScript(all: readonly Verb[]): string {
  const names = all.map(({ name, summary }) => `    '${name}:${quoted(summary)}'\n`).join('');
  const more = ({ takes }: Verb) => (takes.length === 0 ? '' : ' $configuration');
  const cases = all
    .map(
      (verb) =>
        `    ${verb.name}) options=(${optionsOf(verb).join(' ')}${more(verb)}) names=(${wordsOf(verb).join(' ')}) formats=(${formatsOf(verb).join(' ')}) ;;\n`,
    )
    .join('');
  const choices = [...values].map(([option, list]) => `    ${option}) names=(${list.join(' ')}) ;;\n`).join('');
  return `#compdef portwright
# Completion of portwright for zsh. Put it into a directory of $fpath as _portwright.
_portwright() {
  local -a commands options names formats configuration
  configuration=(${configuration.join(' ')})
  commands=(
${names}  )
  if (( CURRENT == 2 )); then
    _describe command commands
    return
  fi
  case $words[2] in
${cases}  esac
  case $words[CURRENT-1] in
    -o|--output) names=($formats) ;;
${choices}  esac
  if [[ $PREFIX == -* ]]; then
    compadd -- $options
  elif (( \${#names} )); then
    compadd -- $names
  else
    _files
  fi
}
_portwright "$@"
`;
}

function fishScript(all: readonly Verb[]): string {
  const lines = all.flatMap((verb) => [
    `complete -c portwright -n __fish_use_subcommand -f -a ${verb.name} -d '${quoted(verb.summary)}'`,
    ...wordsOf(verb).map(
      (word) => `complete -c portwright -n '__fish_seen_subcommand_from ${verb.name}' -f -a ${word}`,
    ),
    ...[...optionsOf(verb), ...(verb.takes.length === 0 ? [] : configuration)].map(
      (option) =>
        `complete -c portwright -n '__fish_seen_subcommand_from ${verb.name}' -l ${option.slice(2)}${fishValues(option, verb)}`,
    ),
  ]);
  return `# Completion of portwright for fish. Put it into ~/.config/fish/completions/portwright.fish.\n${lines.join('\n')}\n`;
}

function fishValues(option: string, verb: Verb): string {
  const list = option === '--output' ? formatsOf(verb) : values.get(option);
  return list === undefined ? '' : `${option === '--output' ? ' -s o' : ''} -x -a '${list.join(' ')}'`;
}

function quoted(text: string): string {
  return text.replaceAll("'", '’');
}
