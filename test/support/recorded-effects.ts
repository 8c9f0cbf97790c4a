import type { CommandEffects } from '../../src/commands/command.ts';

/** A terminal without colours that hands over one input and keeps what it is told. */
export interface RecordedEffects {
  readonly effects: CommandEffects;
  readonly printed: readonly string[];
  readonly said: readonly string[];
}

export function recordedEffects(stdin: string): RecordedEffects {
  const printed: string[] = [];
  const said: string[] = [];
  return {
    printed,
    said,
    effects: {
      print: (text) => printed.push(text),
      say: (line) => said.push(line),
      hasColour: false,
      env: {},
      signal: new AbortController().signal,
      readStdin: () => Promise.resolve(new TextEncoder().encode(stdin)),
    },
  };
}
