import { writeFileSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';
import type { Config } from '../../config/config.ts';
import { flagLines } from '../../config/flags.ts';
import { createLogger } from '../../log.ts';
import { readingReason } from '../../source/files.ts';
import { version } from '../../version.ts';
import type { CommandEffects, CommandOptions } from '../command.ts';
import { UsageError } from '../failure.ts';
import { loadConfig } from '../input/input.ts';
import { iptablesVariant, openKernel } from '../live/kernel.ts';
import { outputFormat } from '../output/format.ts';
import { startAgent } from './agent.ts';
import { ending } from './ending.ts';
import { initialise } from './host.ts';
import { settingOf } from './setting.ts';
import { checkPlaceOfState } from './source.ts';

/** Of V8 11, which Node 20 has: a newer one does not know them and would say so at each start. */
const v8Flags = [
  // Machine code is made of what has run for so many bytes of bytecode, five times as many as it would by itself. Most of
  // what a start runs, it runs once for each Service and then hardly again: a third of its CPU went into that code.
  '--interrupt-budget=600000',
  // Some seconds after a large collection, when all is quiet, V8 makes one more of its own; it would make three.
  '--memory-reducer-single-gc',
];

/** The node agent. 0 when it was told to end, 1 when it cannot go on or its configuration changed. */
export async function run(options: CommandOptions, effects: CommandEffects): Promise<number> {
  outputFormat(options.output, ['text', 'json', 'yaml', 'script']);
  if (process.versions.v8.startsWith('11.')) for (const flag of v8Flags) setFlagsFromString(flag);
  const { config, warnings } = await loadConfig(options);
  const isCleanup = config.cleanup && config.writeConfigTo === undefined;
  if (isCleanup) return (await import('../cleanup.ts')).cleanup({ ...options, output: 'text' }, effects);
  const { format, verbosity } = config.logging;
  const logger = createLogger({ format, verbosity, stream: process.stderr });
  for (const reason of warnings) logger.warn('the configuration is odd', { reason });
  for (const flag of flagLines(options.flags)) logger.debug(1, 'flag', { flag });
  if (config.writeConfigTo !== undefined) return writeConfig(config, config.writeConfigTo, effects);
  if (!config.initOnly) checkPlaceOfState(options, config, effects.env);
  logger.info('Portwright starts', { version, mode: config.mode, pid: process.pid });
  if (config.initOnly) {
    const kernel = await openKernel(effects.env);
    await initialise(config, kernel, await iptablesVariant(kernel, config), logger);
    return 0;
  }
  const end = ending(effects, logger);
  const starting = settingOf({ options, effects, config, logger }).then((setting) => startAgent(setting, end.fail));
  // Nothing has been begun yet that must be finished: a tool that hangs is not waited for.
  const started = await Promise.race([starting, end.whenEnded]);
  if (started === undefined) return 0;
  if (typeof started === 'number') return started;
  const exitCode = await end.whenEnded;
  await started.stop();
  return exitCode;
}

async function writeConfig(config: Config, path: string, effects: CommandEffects): Promise<number> {
  const { configurationYaml } = await import('../../config/configuration-yaml.ts');
  try {
    writeFileSync(path, configurationYaml(config.configuration));
  } catch (error) {
    throw new UsageError(`--write-config-to: cannot write ${path}: ${readingReason(error as Error)}`);
  }
  effects.say(`the configuration was written to ${path}`);
  return 0;
}
