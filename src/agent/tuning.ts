import type { Config } from '../config/config.ts';

/** A kernel setting that should have a value, and what for. */
export interface Tuning {
  /** Below /proc/sys, or an absolute path: as `Sysctl` takes it. */
  readonly setting: string;
  readonly value: string;
  /** `exactly` this value, or this value when it is `at-least` that already. */
  readonly when: 'exactly' | 'at-least';
  /** What it is good for. */
  readonly reason: string;
  /** What goes on without it, and what to do on the host. */
  readonly otherwise: string;
}

type ConntrackSettings = Config['conntrack'];

const conntrackMax = 'net/netfilter/nf_conntrack_max';
const hashsize = '/sys/module/nf_conntrack/parameters/hashsize';

// The kernel takes 300 bytes an entry; kube-proxy stops here whatever the machine.
const largestScaledMax = 1_048_576;
const entriesPerBucket = 4;

/** What the configuration wants of the connection table, in the order to write it. */
export function conntrackTuning(settings: ConntrackSettings, cpus: number): readonly Tuning[] {
  const max = conntrackSize(settings, cpus);
  return [
    ...(max > 0 ? sizeTuning(max) : []),
    ...timeoutTuning('tcp_timeout_established', settings.tcpEstablishedTimeoutMs, 'idle TCP connections are kept'),
    ...timeoutTuning('tcp_timeout_close_wait', settings.tcpCloseWaitTimeoutMs, 'half-closed TCP connections are kept'),
    ...(settings.tcpBeLiberal ? [liberalTuning] : []),
    ...timeoutTuning('udp_timeout', settings.udpTimeoutMs, 'UDP flows without an answer are kept'),
    ...timeoutTuning('udp_timeout_stream', settings.udpStreamTimeoutMs, 'UDP flows with an answer are kept'),
  ];
}

function conntrackSize({ maxPerCore, min }: ConntrackSettings, cpus: number): number {
  if (maxPerCore <= 0) return 0;
  const scaled = maxPerCore * cpus;
  return scaled > largestScaledMax ? largestScaledMax : Math.max(scaled, min);
}

function sizeTuning(max: number): readonly Tuning[] {
  return [
    {
      setting: conntrackMax,
      value: String(max),
      when: 'exactly',
      reason: 'so many connections can be tracked at the same time (conntrack.maxPerCore, conntrack.min)',
      otherwise: `the host's own limit holds; set ${dotted(conntrackMax)} on the host, or conntrack.maxPerCore to 0`,
    },
    {
      setting: hashsize,
      value: String(Math.floor(max / entriesPerBucket)),
      when: 'at-least',
      reason: 'a connection is found quickly in a table of that size',
      otherwise:
        'looking up connections is slower when very many are tracked; on the host write the number to that file, ' +
        'or give nf_conntrack the option hashsize= in /etc/modprobe.d',
    },
  ];
}

const liberalTuning: Tuning = {
  setting: 'net/netfilter/nf_conntrack_tcp_be_liberal',
  value: '1',
  when: 'exactly',
  reason: 'TCP packets out of the window are not called invalid (conntrack.tcpBeLiberal)',
  otherwise: 'the rule that drops invalid packets stays; set it on the host, or conntrack.tcpBeLiberal to false',
};

function timeoutTuning(name: string, timeoutMs: number, what: string): readonly Tuning[] {
  if (timeoutMs <= 0) return [];
  const setting = `net/netfilter/nf_conntrack_${name}`;
  return [
    {
      setting,
      // The kernel counts whole seconds, and with none it forgets a flow before its answer.
      value: String(Math.max(1, Math.floor(timeoutMs / 1000))),
      when: 'exactly',
      reason: `how long ${what}`,
      otherwise: `the host's own time holds; set ${dotted(setting)} on the host, or this timeout to 0s`,
    },
  ];
}

function dotted(setting: string): string {
  return setting.replaceAll('/', '.');
}

/** Keeps the agent from being the first that the kernel kills when memory runs out. */
export function oomTuning(oomScoreAdj: number): Tuning {
  return {
    setting: '/proc/self/oom_score_adj',
    value: String(oomScoreAdj),
    when: 'exactly',
    reason: 'the kernel kills other processes first when memory runs out (oomScoreAdj)',
    otherwise:
      'the value that the supervisor gave holds (kubelet gives -997 to system-node-critical pods, systemd what OOMScoreAdjust= says); ' +
      'to lower it here takes CAP_SYS_RESOURCE',
  };
}

/** Whether a setting must be written, given what it is now. */
export function isNeeded({ value, when }: Tuning, current: string): boolean {
  return when === 'exactly' ? current !== value : !(Number(current) >= Number(value));
}
