import type { Config } from '../../config/config.ts';
import type { CommandEffects, CommandOptions } from '../command.ts';
import { UsageError } from '../failure.ts';

/**
 * Where the state comes from: manifests, or a cluster that is named or that we run in. Absent when nothing says so.
 * Throws UsageError when both are named.
 */
export function placeOfState(
  { filenames }: Pick<CommandOptions, 'filenames'>,
  { kubeconfig, master }: Pick<Config, 'kubeconfig' | 'master'>,
  env: CommandEffects['env'],
): 'manifests' | 'cluster' | undefined {
  const isNamed = kubeconfig !== undefined || master !== undefined;
  if (filenames.length > 0) {
    if (isNamed) throw new UsageError('-f and --kubeconfig or --master: the state can only come from one of them');
    return 'manifests';
  }
  return isNamed || env['KUBERNETES_SERVICE_HOST'] !== undefined ? 'cluster' : undefined;
}
