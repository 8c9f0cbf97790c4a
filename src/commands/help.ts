import type { CommandEffects, CommandOptions } from './command.ts';
import { UsageError } from './failure.ts';
import { topics } from './help-topics.ts';
import { verbs } from './verbs.ts';

/** Prints a topic, or all there is to ask for. Of a command, its own help is asked for. */
export function help(options: CommandOptions, effects: CommandEffects): Promise<number> {
  const [word] = options.words;
  if (word === undefined) {
    effects.print(overview());
    return Promise.resolve(0);
  }
  const topic = topics.find(({ name }) => name === word);
  if (topic === undefined) {
    throw new UsageError(`help ${word}: no such topic; there are ${topics.map(({ name }) => name).join(', ')}`);
  }
  effects.print(`${topic.text}\n`);
  return Promise.resolve(0);
}

function overview(): string {
  const width = Math.max(...[...verbs, ...topics].map(({ name }) => name.length)) + 2;
  const line = (name: string, summary: string) => `  ${name.padEnd(width)}${summary}\n`;
  const commands = verbs.map(({ name, summary }) => line(name, summary)).join('');
  const questions = topics.map(({ name, summary }) => line(name, summary)).join('');
  return `Commands (portwright COMMAND --help)\n${commands}\nTopics (portwright help TOPIC)\n${questions}`;
}
