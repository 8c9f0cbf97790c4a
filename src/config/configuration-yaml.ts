import { dump } from 'js-yaml';
import { toJson } from './kube-proxy-configuration.ts';
import type { KubeProxyConfiguration } from './kube-proxy-configuration.ts';

/** The configuration as the text of a file that reads back to the same. */
export function configurationYaml(configuration: KubeProxyConfiguration): string {
  return dump(toJson(configuration), { lineWidth: -1, noRefs: true });
}
