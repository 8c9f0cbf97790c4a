import type { CommandEffects } from '../command.ts';
import { UsageError } from '../failure.ts';

/** The value of `-o`; throws UsageError for a format the command does not have. */
export function outputFormat<Format extends string>(output: string, formats: readonly Format[]): Format {
  const format = formats.find((one) => one === output);
  if (format === undefined) throw new UsageError(`-o ${output}: this command prints ${formats.join(', ')}`);
  return format;
}

/** Prints a value as JSON, or as YAML. */
export async function printValue(value: unknown, format: 'json' | 'yaml', effects: CommandEffects): Promise<void> {
  if (format === 'json') {
    effects.print(`${JSON.stringify(value, null, 2)}\n`);
    return;
  }
  const { dump } = await import('js-yaml');
  // Absent values are left out, as JSON does.
  effects.print(dump(JSON.parse(JSON.stringify(value)), { lineWidth: -1, noRefs: true }));
}
