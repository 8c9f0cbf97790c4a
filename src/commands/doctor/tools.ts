import { parseVersion, isAtLeast } from '../../kernel/version.ts';
import type { Version } from '../../kernel/version.ts';
import type { Config } from '../../config/config.ts';
import { fine, textOf } from './finding.ts';
import type { Finding, Sight } from './finding.ts';

interface Tool {
  readonly name: string;
  /** Absent for tools that tell no version. */
  readonly versionArgs?: readonly string[];
  readonly isNeeded: (mode: Config['mode']) => boolean;
  readonly without: string;
  readonly oldest?: Version;
}

const always = () => true;
const never = () => false;
const iptablesOnly = (mode: Config['mode']) => mode === 'iptables';

const tools: readonly Tool[] = [
  {
    name: 'iptables',
    versionArgs: ['--version'],
    isNeeded: iptablesOnly,
    without: 'no rule of iptables mode can be read or written',
  },
  {
    name: 'ip6tables',
    versionArgs: ['--version'],
    isNeeded: iptablesOnly,
    without: 'IPv6 Services get no rules in iptables mode',
  },
  {
    name: 'nft',
    versionArgs: ['--version'],
    isNeeded: (mode) => mode === 'nftables',
    without: 'no rule of nftables mode can be read or written',
    // Before it nft reads the tables of all others too, and can crash on what newer ones wrote.
    oldest: [1, 0, 1],
  },
  {
    name: 'setpriv',
    versionArgs: ['--version'],
    isNeeded: always,
    without: 'no rule is written: a tool must not outlive its writer',
  },
  {
    name: 'flock',
    versionArgs: ['--version'],
    isNeeded: always,
    without: 'no rule is written: two writers could not be kept apart',
  },
  {
    name: 'conntrack',
    versionArgs: ['--version'],
    isNeeded: never,
    without: 'UDP clients keep sending to endpoints that are gone',
  },
  { name: 'ip', versionArgs: ['-V'], isNeeded: never, without: 'addresses of interfaces that are down are not known' },
  {
    name: 'unshare',
    versionArgs: ['--version'],
    isNeeded: never,
    without: 'rules cannot be tried apart from the live ones',
  },
  { name: 'nfacct', versionArgs: ['version'], isNeeded: never, without: 'dropped invalid packets are not counted' },
];

const oldestNode: Version = [20, 19];
/** The oldest kernel on which kube-proxy supports nftables mode. */
const oldestNftKernel: Version = [5, 13];

/** Which tools are there, and whether they are new enough for the mode. */
export async function checkTools({ run, config }: Sight): Promise<readonly Finding[]> {
  return Promise.all(
    tools.map(async ({ name, versionArgs = [], isNeeded, without, oldest }): Promise<Finding> => {
      const code = `tool-${name}`;
      const level = isNeeded(config.mode) ? 'problem' : 'warning';
      const show = `${name} ${versionArgs.join(' ')}`;
      const result = await run(name, versionArgs, { timeoutMs: 5_000 });
      const words = `${result.stdout}${result.stderr}`.split('\n').find((line) => line.trim() !== '') ?? 'no answer';
      if (result.isMissing)
        return { code, level, what: result.stderr.trim(), means: without, do: `install ${name}`, show };
      const version = parseVersion(result.stdout + result.stderr);
      if (result.exitCode !== 0 && version === undefined) {
        return {
          code,
          level,
          what: `${name} does not run: ${words}`,
          means: without,
          do: `run it by hand: ${show}`,
          show,
        };
      }
      if (oldest !== undefined && version !== undefined && !isAtLeast(version, oldest)) {
        const wanted = oldest.join('.');
        return {
          code,
          level,
          what: `${name} is ${version.join('.')}`,
          means: `${wanted} or newer is needed`,
          do: `install ${name} ${wanted}`,
          show,
        };
      }
      return fine(code, words.trim());
    }),
  );
}

/** The kernel, and the Node.js we run on. */
export async function checkVersions(
  { files, config }: Sight,
  nodeVersion = process.version,
): Promise<readonly Finding[]> {
  const node = parseVersion(nodeVersion) ?? [];
  const release = (await textOf(files, '/proc/sys/kernel/osrelease')) ?? 'of unknown version';
  const kernel = parseVersion(release);
  const isOldKernel = config.mode === 'nftables' && kernel !== undefined && !isAtLeast(kernel, oldestNftKernel);
  return [
    isAtLeast(node, oldestNode)
      ? fine('node-version', `Node.js ${nodeVersion}`)
      : {
          code: 'node-version',
          level: 'problem',
          what: `Node.js ${nodeVersion}`,
          means: `Portwright is made for ${oldestNode.join('.')} and newer`,
          do: 'install a newer Node.js',
          show: 'node --version',
        },
    isOldKernel
      ? {
          code: 'kernel-version',
          level: 'problem',
          what: `kernel ${release}`,
          means: `nftables mode needs ${oldestNftKernel.join('.')} or newer`,
          do: 'use --proxy-mode iptables, or a newer kernel',
          show: 'uname -r',
        }
      : fine('kernel-version', `kernel ${release}`),
  ];
}
