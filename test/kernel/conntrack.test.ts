import { expect } from 'chai';
import { createConntrack, type UdpFlow } from '../../src/kernel/conntrack.ts';
import { CommandError } from '../../src/kernel/errors.ts';
import { createRun, type Run } from '../../src/kernel/run.ts';
import { createKernelLab, rejection, type KernelLab } from './lab.ts';

/** From client port to a service that the endpoint answers for. */
function flow(sourcePort: number, family: 'IPv4' | 'IPv6' = 'IPv4', endpoint = '2'): UdpFlow {
  const isV4 = family === 'IPv4';
  const client = isV4 ? '10.0.0.1' : 'fd00::1';
  const answer = isV4 ? `10.1.0.${endpoint}` : `fd01::${endpoint}`;
  return {
    family,
    original: { source: client, destination: isV4 ? '10.96.0.10' : 'fd00:10::a', sourcePort, destinationPort: 53 },
    reply: { source: answer, destination: client, sourcePort: 5353, destinationPort: sourcePort },
  };
}

function creation({ original, reply }: UdpFlow): string {
  const to = `-s ${original.source} -d ${original.destination} --sport ${original.sourcePort} --dport ${original.destinationPort}`;
  const back = `-r ${reply.source} -q ${reply.destination} --reply-port-src ${reply.sourcePort} --reply-port-dst ${reply.destinationPort}`;
  return `-I -p udp ${to} ${back} -t 600\n`;
}

describe('tracked UDP flows', function () {
  this.timeout(60_000);
  let lab: KernelLab;

  beforeEach(async () => {
    lab = await createKernelLab('conntrack');
  });
  afterEach(() => lab.remove());

  const make = async (flows: readonly UdpFlow[]) => {
    const file = await lab.directory.write('flows', flows.map(creation).join(''));
    await lab.namespace.mustExec('conntrack', '-R', file.path);
    await file.remove();
  };

  it('are listed by family, with both directions', async () => {
    await make([flow(1000), flow(1001), flow(1000, 'IPv6')]);
    const conntrack = createConntrack(lab);
    expect(await conntrack.listUdp('IPv4')).to.have.deep.members([flow(1000), flow(1001)]);
    expect(await conntrack.listUdp('IPv6')).to.deep.equal([flow(1000, 'IPv6')]);
  });

  it('are none in an empty table', async () => {
    expect(await createConntrack(lab).listUdp('IPv4')).to.deep.equal([]);
  });

  it('are deleted with one look at the table for all clients of a dead endpoint', async () => {
    const doomed = Array.from({ length: 450 }, (_, n) => flow(2000 + n, n % 2 === 0 ? 'IPv4' : 'IPv6'));
    await make([...doomed, flow(1000, 'IPv4', '3')]);
    let deletions = 0;
    const run: Run = async (tool, args, options) => {
      deletions += (await lab.namespace.shell(`cat ${String(args[1])}`)).trim().split('\n').length;
      return lab.run(tool, args, options);
    };
    await createConntrack({ ...lab, run }).delete(doomed);
    expect(deletions).to.equal(2);
    expect(await createConntrack(lab).listUdp('IPv4')).to.deep.equal([flow(1000, 'IPv4', '3')]);
    expect(await createConntrack(lab).listUdp('IPv6')).to.deep.equal([]);
  });

  it('are deleted over several batches; those already gone are no failure', async () => {
    const doomed = Array.from({ length: 120 }, (_, n) => flow(2000 + n, 'IPv4', String(100 + n)));
    await make(doomed);
    const conntrack = createConntrack(lab);
    await conntrack.delete([flow(9999), ...doomed]);
    await conntrack.delete([flow(9999)]);
    await conntrack.delete([]);
    expect(await conntrack.listUdp('IPv4')).to.deep.equal([]);
  });

  it('are deleted though some of them end by themselves meanwhile, at which the tool gives up', async () => {
    await make([flow(1000), flow(1001, 'IPv4', '3')]);
    let ended = 0;
    const run: Run = (tool, args, options) => {
      ended += 1;
      if (ended > 3) return lab.run(tool, args, options);
      const words = "conntrack v1.4.7 (conntrack-tools): Operation failed: such conntrack doesn't exist";
      return lab.run('sh', ['-c', 'echo "$0" >&2; exit 1', words]);
    };
    await createConntrack({ ...lab, run }).delete([flow(1000), flow(1001, 'IPv4', '3')]);
    expect(await createConntrack(lab).listUdp('IPv4')).to.deep.equal([]);
  });

  it('stay when they go elsewhere, or somebody else answers', async () => {
    await make([flow(1000)]);
    const conntrack = createConntrack(lab);
    const { original, reply } = flow(1000);
    await conntrack.delete([
      { family: 'IPv4', original: { ...original, destinationPort: 54 }, reply },
      { family: 'IPv4', original, reply: { ...reply, source: '10.1.0.3' } },
      { family: 'IPv4', original, reply: { ...reply, sourcePort: 5354 } },
    ]);
    expect(await conntrack.listUdp('IPv4')).to.deep.equal([flow(1000)]);
  });

  it('are deleted one by one by a conntrack that reads no file', async () => {
    await make([flow(1000), flow(1001, 'IPv4', '3')]);
    const old: Run = (tool, args, options) =>
      args[0] === '-R'
        ? lab.run('sh', ['-c', 'echo "conntrack: invalid option -- \'R\'" >&2; exit 2'])
        : lab.run(tool, args, options);
    await createConntrack({ ...lab, run: old }).delete([flow(1000), flow(9999)]);
    expect(await createConntrack(lab).listUdp('IPv4')).to.deep.equal([flow(1001, 'IPv4', '3')]);
  });

  it('cannot be listed without the right to, which the error names', async () => {
    const prefix = [...lab.options.prefix, ['setpriv', '--bounding-set=-all', '--inh-caps=-all']] as const;
    const error = await rejection(
      createConntrack({ ...lab, run: createRun({ ...lab.options, prefix }) }).listUdp('IPv4'),
    );
    expect(error).to.be.instanceOf(CommandError);
    expect((error as Error).message).to.contain('CAP_NET_ADMIN');
  });
});
