import { scriptText } from '../src/ruleset/plan.ts';
import { planIptables } from '../src/iptables/plan.ts';
import { desiredIptables, renderIptables } from '../src/iptables/render.ts';
import { createIptablesTools } from '../src/kernel/iptables-tools.ts';
import { buildModel } from '../src/model/build.ts';
import type { ClusterState } from '../src/source/objects.ts';
import { createKernelLab } from '../test/kernel/lab.ts';
import { endpoint, manyServices, modelOptions, withEndpoints } from '../test/support/state.ts';
import { leastCpuMs, leastMs, ratioRow } from './table.ts';
import type { Row } from './table.ts';

const counters = { counters: false };
const nft = { family: 'IPv4', variant: 'nft' } as const;
const legacy = { family: 'IPv4', variant: 'legacy' } as const;

/** Figures of the iptables path, each a ratio within this run or our own CPU time. */
export async function iptablesRows(): Promise<Row[]> {
  return [...renderRows(), ...changeRows(), ...(await coldRows()), ...(await resendRows())];
}

function fresh(count: number): { readonly state: ClusterState; readonly options: ReturnType<typeof modelOptions> } {
  return { state: manyServices(count, 2), options: modelOptions() };
}

function renderMs(count: number): number {
  // The model remembers by identity, so each run gets objects of its own.
  const runs = Array.from({ length: 3 }, () => fresh(count));
  return leastCpuMs(runs.length, () => {
    const { state, options } = runs.pop() ?? fresh(count);
    return renderIptables(buildModel(state, options), counters);
  });
}

function renderRows(): Row[] {
  const small = renderMs(10_000);
  const large = renderMs(50_000);
  const memory = Math.round(process.memoryUsage().rss / 2 ** 20);
  return [
    {
      what: 'model and text of 10,000 Services × 2 endpoints',
      figure: `${Math.round(small)} ms CPU`,
      bar: '≤ 1000 ms',
      holds: small <= 1000,
    },
    ratioRow(
      'the same for 50,000, per Service',
      large / small / 5,
      1.5,
      `${Math.round(large)} ms CPU, ${memory} MiB resident`,
    ),
  ];
}

function changeRows(): Row[] {
  const { state, options } = fresh(10_000);
  let before = state;
  let live = desiredIptables(buildModel(state, options), counters);
  let number = 0;
  const change = () => {
    number += 1;
    before = withEndpoints(before, `svc-${String(number * 7).padStart(6, '0')}`, [endpoint(`10.200.0.${number}`)]);
    const plan = planIptables(live, desiredIptables(buildModel(before, options), counters), nft);
    live = plan.after;
    return plan;
  };
  const ms = leastCpuMs(30, change);
  const changeService = () => {
    number += 1;
    const widened = before.services.map((one, index) =>
      index === number ? { ...one, spec: { ...one.spec, externalIPs: ['198.51.100.7'] } } : one,
    );
    before = { ...before, services: widened };
    live = planIptables(live, desiredIptables(buildModel(before, options), counters), nft).after;
  };
  const serviceMs = leastCpuMs(30, changeService);
  const script = change().scripts.map(scriptText).join('');
  const resent = renderIptables(buildModel(before, options), counters)
    .split('\n')
    .filter((line) => /^-A KUBE-(?:SERVICES|NODEPORTS) /.test(line))
    .join('\n');
  const bytes = script.length / (script.length + resent.length);
  return [
    {
      what: 'one endpoint changed among 10,000 × 2: model, rules and plan',
      figure: `${ms.toFixed(1)} ms CPU`,
      bar: '≤ 20 ms',
      holds: ms <= 20,
    },
    {
      what: 'one Service changed among 10,000 × 2: model, rules and plan',
      figure: `${serviceMs.toFixed(1)} ms CPU`,
      bar: '≤ 20 ms',
      holds: serviceMs <= 20,
    },
    ratioRow(
      'its script, against one that sends the dispatch chains again, in bytes',
      bytes,
      0.1,
      `${script.length} bytes`,
    ),
  ];
}

/** An empty kernel filled with 5,000 Services: our blocks, against the same rules in one COMMIT. */
async function coldRows(): Promise<Row[]> {
  const { state, options } = fresh(5_000);
  const model = buildModel(state, options);
  const desired = desiredIptables(model, counters);
  const blocks = planIptables({ parts: [] }, desired, nft).scripts.map(scriptText).join('');
  const whole = planIptables({ parts: [] }, desired, legacy).scripts.map(scriptText).join('');
  const ours = await loadMs(blocks);
  const single = await loadMs(whole);
  return [
    ratioRow(
      'cold load of 5,000 × 2 on the nf_tables variant, against one COMMIT',
      ours / single,
      0.2,
      `${(ours / 1000).toFixed(1)} s and ${(single / 1000).toFixed(1)} s`,
    ),
  ];
}

/** By the bare tool: a single COMMIT takes longer than we give a tool of ours. */
async function loadMs(script: string): Promise<number> {
  const lab = await createKernelLab('bench');
  try {
    const file = await lab.directory.write('bench', script);
    return await leastMs(1, () => lab.namespace.mustExec('iptables-nft-restore', '--noflush', file.path));
  } finally {
    await lab.remove();
  }
}

/** One endpoint changed among 10,000 in the kernel: our script, against the dispatch chains sent again with it. */
async function resendRows(): Promise<Row[]> {
  const { state, options } = fresh(10_000);
  const lab = await createKernelLab('bench');
  try {
    const tools = createIptablesTools(lab, 'nft');
    const model = buildModel(state, options);
    const desired = desiredIptables(model, counters);
    const cold = planIptables({ parts: [] }, desired, nft);
    await tools.load('IPv4', cold.scripts.map(scriptText).join(''));
    const changed = withEndpoints(state, 'svc-000077', [endpoint('10.200.0.1')]);
    const plan = planIptables(cold.after, desiredIptables(buildModel(changed, options), counters), nft);
    const script = plan.scripts
      .filter(({ phase }) => phase === 'change')
      .map(scriptText)
      .join('');
    const dispatch = renderIptables(model, counters)
      .split('\n')
      .filter((line) => /^(?:-A|:)\s?KUBE-(?:SERVICES|NODEPORTS) /.test(line));
    const declared = ['KUBE-SERVICES', 'KUBE-NODEPORTS'].map((name) => `:${name} - [0:0]`);
    const resent = script.replace(
      '*nat\n',
      `*nat\n${[...declared, ...dispatch.filter((line) => line.startsWith('-A'))].join('\n')}\n`,
    );
    const ours = await leastMs(5, () => tools.load('IPv4', script));
    const whole = await leastMs(3, () => tools.load('IPv4', resent));
    return [
      ratioRow(
        'its load on the nf_tables variant, against that one, in time',
        ours / whole,
        0.1,
        `${Math.round(ours)} ms and ${Math.round(whole)} ms`,
      ),
    ];
  } finally {
    await lab.remove();
  }
}
