import { Command as Commander, CommanderError, Option } from 'commander';
import { attributeName, flags, normalizeArguments } from '../config/flags.ts';
import type { Flag } from '../config/flags.ts';
import { formatProblem } from '../source/problem.ts';
import { version } from '../version.ts';
import type { CommandEffects, CommandOptions } from './command.ts';
import { commands } from './commands.ts';
import { InputError, UsageError } from './failure.ts';
import { verbs } from './verbs.ts';
import type { Verb } from './verbs.ts';

/** argv to exit code: 2 for everything a person or a script must look at. */
export async function runProgram(argv: readonly string[], effects: CommandEffects): Promise<number> {
  let exitCode = 0;
  const program = programOf(effects, (code) => (exitCode = code));
  try {
    await program.parseAsync(normalizeArguments(helpAsked(argv)), { from: 'user' });
    return exitCode;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    effects.say(explanation(error, effects));
    return 2;
  }
}

/** `help render` is `render --help`. */
function helpAsked(argv: readonly string[]): readonly string[] {
  const [first, name = '', ...rest] = argv;
  return first === 'help' && verbs.some((verb) => verb.name === name) ? [name, '--help', ...rest] : argv;
}

function programOf(effects: CommandEffects, finish: (exitCode: number) => void): Commander {
  const program = new Commander('portwright')
    .description('An independent kube-proxy: renders, compares, applies and explains iptables and nftables rules.')
    .version(`portwright ${version}`, '--version')
    .exitOverride()
    .showSuggestionAfterError()
    .showHelpAfterError('(--help tells what there is)')
    .configureOutput({
      writeOut: (text) => {
        effects.print(text);
      },
      writeErr: (text) => {
        effects.say(text.trimEnd());
      },
    })
    .addHelpText('after', '\nExample:\n  portwright render -f service.yaml');
  program.helpCommand(false);
  for (const verb of verbs) addVerb(program, verb, effects, finish);
  return program;
}

function addVerb(program: Commander, verb: Verb, effects: CommandEffects, finish: (exitCode: number) => void): void {
  const command = program
    .command(`${verb.name}${verb.words === undefined ? '' : ` ${verb.words}`}`)
    .description(verb.summary)
    .addHelpText('after', `\nExit code:\n  ${verb.exitCodes}\n\nExample:\n  ${verb.example}`)
    // Refused below, with a hint.
    .allowExcessArguments();
  for (const option of sharedOptions(verb)) command.addOption(option);
  for (const { flags: words, help } of verb.options ?? []) command.option(words, help);
  if (verb.takes.length > 0) addConfigurationFlags(command, verb);
  command.action(async (...given: unknown[]) => {
    refuseWords(verb, command.args);
    const run = await commands[verb.name]();
    finish(await run(commandOptions(command, given), effects));
  });
}

function sharedOptions({ takes, formats }: Verb): Option[] {
  const has = (what: Verb['takes'][number]) => takes.includes(what);
  return [
    ...(has('state')
      ? [
          new Option(
            '-f, --filename <path>',
            'manifests: a file, a directory, or - for standard input; repeatable',
          ).argParser(collect),
          new Option('-R, --recursive', 'take the directories inside a directory too'),
          new Option('--allow-empty', 'accept input without a Service'),
        ]
      : []),
    ...(has('keepGoing') ? [new Option('--keep-going', 'leave out what is refused and do the rest')] : []),
    ...(has('dryRun') ? [new Option('--dry-run', 'print what would be done and do nothing')] : []),
    ...(has('live')
      ? [new Option('--live <file>', 'a saved iptables-save or nft list instead of the kernel; - for standard input')]
      : []),
    ...(has('ruleset')
      ? [
          new Option(
            '--ruleset <file>',
            has('live') ? 'the same as --live' : 'a saved iptables-save or nft list; - for standard input',
          ),
        ]
      : []),
    ...(has('output')
      ? [new Option('-o, --output <format>', ['text', 'json', 'yaml', ...(formats ?? [])].join(', ')).default('text')]
      : []),
  ];
}

/** Words that are neither options nor their values, beyond those that a command takes. */
function refuseWords({ name, words, takes }: Verb, given: readonly string[]): void {
  // A variable without a value, in quotes, leaves an empty word; kube-proxy does not mind it.
  const first = given.slice(words === undefined ? 0 : 1).find((word) => word !== '');
  if (first === undefined) return;
  const hint = hintFor(first, takes);
  throw new UsageError(`${name}: unexpected word ${JSON.stringify(first)}${hint}`);
}

function hintFor(word: string, takes: Verb['takes']): string {
  if (word === 'true' || word === 'false')
    return `; a switch and its value are one word, as in --masquerade-all=${word}`;
  return takes.includes('state') ? `; manifests are given with -f ${word}` : '';
}

/** Every flag of kube-proxy, and ours that are configuration. Their values are read where the file's are. */
function addConfigurationFlags(command: Commander, verb: Verb): void {
  for (const flag of flags) {
    // A switch without a value was given `=true` before.
    const value = flag.type === 'bool' ? '[bool]' : '<value>';
    const words = `${flag.short === undefined ? '' : `-${flag.short}, `}--${flag.name} ${value}`;
    const option = new Option(words, helpOf(flag)).helpGroup(`${flag.group}:`);
    if (['list', 'gates', 'vmodule'].includes(flag.type)) option.argParser(collect);
    // Elsewhere they are ignored, with a warning.
    if (verb.name !== 'run' && flagsOfRun.has(flag.name)) option.hideHelp();
    command.addOption(option);
  }
}

/** With the value that holds without the flag; nothing, none and no are not worth a word. */
function helpOf({ help, group, default: initial }: Flag): string {
  const isPlain = ['', 'false', '0', '0s', '[]'].includes(initial) || group === 'Accepted without effect';
  return isPlain ? help : `${help} (default ${initial})`;
}

const flagsOfRun: ReadonlySet<string> = new Set(['write-config-to', 'cleanup', 'init-only']);

function collect(value: string, previous: readonly string[] | undefined): string[] {
  return [...(previous ?? []), value];
}

function commandOptions(command: Commander, given: readonly unknown[]): CommandOptions {
  const values: Record<string, unknown> = command.opts();
  const filenames = (values['filename'] ?? []) as string[];
  const saved = savedListing(values, filenames);
  const names = flags.map(({ name }) => attributeName(name));
  return {
    filenames,
    recursive: values['recursive'] === true,
    allowEmpty: values['allowEmpty'] === true,
    keepGoing: values['keepGoing'] === true,
    dryRun: values['dryRun'] === true,
    output: (values['output'] ?? 'text') as string,
    ...(saved === undefined ? {} : { rulesetFile: saved }),
    flags: Object.fromEntries(names.flatMap((name) => (name in values ? [[name, values[name]]] : []))),
    own: values,
    words: given.filter((word): word is string => typeof word === 'string'),
  };
}

/** The file that `--live` or `--ruleset` names; `--live` alone means the kernel where it takes no file. */
function savedListing({ live, ruleset }: Record<string, unknown>, filenames: readonly string[]): string | undefined {
  if (live !== undefined && ruleset !== undefined) {
    throw new UsageError('--live and --ruleset: the rules can only come from one of them');
  }
  const saved = [live, ruleset].find((value) => typeof value === 'string');
  if (saved === '-' && filenames.includes('-')) {
    const option = live === undefined ? '--ruleset' : '--live';
    throw new UsageError(`-f - and ${option} -: standard input can be read once only; save one of them to a file`);
  }
  return saved;
}

/** What happened, for a person. A stack only for what should never happen. */
function explanation(error: unknown, effects: CommandEffects): string {
  if (error instanceof InputError) return error.problems.map(formatProblem).join('\n');
  if (!(error instanceof Error)) return `error: ${String(error)}`;
  const isOurs = ['TypeError', 'ReferenceError', 'RangeError', 'SyntaxError'].includes(error.name);
  return isOurs || effects.env['PORTWRIGHT_DEBUG'] !== undefined
    ? (error.stack ?? error.message)
    : `error: ${error.message}`;
}
