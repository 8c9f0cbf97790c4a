import { expect } from 'chai';
import { createCounters, hasCounterMatch } from '../../src/kernel/nfacct.ts';
import { createRun } from '../../src/kernel/run.ts';
import type { Run } from '../../src/kernel/run.ts';
import { createKernelLab, type KernelLab } from './lab.ts';

const names = ['ct_state_invalid_dropped_pkts', 'localhost_nps_accepted_pkts'];

describe('packet counters', function () {
  this.timeout(60_000);
  let lab: KernelLab;

  beforeEach(async () => {
    lab = await createKernelLab('nfacct');
  });
  afterEach(() => lab.remove());

  it('are made where they are missing, and left alone where they are', async () => {
    await lab.namespace.mustExec('nfacct', 'add', names[0]!);
    const counters = createCounters(lab.run);
    expect(await counters.packets(names)).to.deep.equal(new Map([[names[0], 0n]]));
    expect(await counters.ensure(names)).to.deep.equal(new Set(names));
    expect(await counters.ensure(names)).to.deep.equal(new Set(names));
    expect(await lab.namespace.mustExec('nfacct', 'list')).to.contain(names[1]!);
  });

  it('count packets', async () => {
    const counters = createCounters(lab.run);
    await counters.ensure(names);
    await lab.namespace.mustExec('iptables-nft', '-A', 'OUTPUT', '-m', 'nfacct', '--nfacct-name', names[0]!);
    await lab.namespace.shell('bash -c "echo x >/dev/udp/127.0.0.1/9"');
    const counted = (await counters.packets(names)).get(names[0]!);
    expect(Number(counted)).to.be.greaterThan(0);
  });

  for (const variant of ['nft', 'legacy'] as const) {
    it(`${variant}: may be named in a rule only where iptables and the kernel have the match`, async () => {
      const [counter = ''] = names;
      await createCounters(lab.run).ensure(names);
      expect(await hasCounterMatch(lab.run, variant, counter)).to.equal(true);
      const withoutMatches = createRun({ ...lab.options, env: { ...lab.options.env, XTABLES_LIBDIR: '/nowhere' } });
      expect(await hasCounterMatch(withoutMatches, variant, counter)).to.equal(false);
      const stderr = 'Warning: Extension nfacct revision 0 not supported, missing kernel module?\n';
      const onOldKernel: Run = async (tool, args) => ({ ...(await lab.run(tool, args)), stderr });
      expect(await hasCounterMatch(onOldKernel, variant, counter)).to.equal(false);
      expect(await lab.namespace.shell('iptables-nft-save; iptables-legacy-save')).to.not.contain('nfacct');
    });
  }

  it('are none where the tool is missing or the rights are', async () => {
    const missing = createCounters(createRun({ paths: { searched: [], find: () => undefined } }));
    expect(await missing.ensure(names)).to.deep.equal(new Set());
    const prefix = [...lab.options.prefix, ['setpriv', '--bounding-set=-all', '--inh-caps=-all']] as const;
    const weak = createCounters(createRun({ ...lab.options, prefix }));
    expect(await weak.ensure(names)).to.deep.equal(new Set());
    expect(await weak.packets(names)).to.deep.equal(new Map());
  });
});
