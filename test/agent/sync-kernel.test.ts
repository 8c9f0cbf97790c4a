import { expect } from 'chai';
import type { Backend } from '../../src/agent/backend.ts';
import { RefusedError, sync } from '../../src/agent/sync.ts';
import { LoadError } from '../../src/kernel/errors.ts';
import { createIptablesBackend } from '../../src/iptables/backend.ts';
import { createIptablesTools, toolName } from '../../src/kernel/iptables-tools.ts';
import { inScratchNamespace } from '../../src/kernel/scratch.ts';
import { buildModel } from '../../src/model/build.ts';
import type { ProxyModel } from '../../src/model/model.ts';
import { scriptText } from '../../src/ruleset/plan.ts';
import type { Ruleset } from '../../src/ruleset/ruleset.ts';
import type { ClusterState } from '../../src/source/objects.ts';
import { corpusCases, corpusModel } from '../support/corpus.ts';
import { endpoint, manyServices, modelOptions, port, service, slice, state, withEndpoints } from '../support/state.ts';
import { createKernelLab, rejection } from '../kernel/lab.ts';
import type { KernelLab } from '../kernel/lab.ts';

const options = modelOptions();
const web = service({ type: 'NodePort', ports: [port({ nodePort: 30_080 })] });
const other = service({ clusterIP: '10.96.0.20', clusterIPs: ['10.96.0.20'] }, { name: 'other' });
const slices = [slice([endpoint('10.244.1.1'), endpoint('10.244.1.2')]), slice([endpoint('10.244.1.3')], {}, 'other')];
const model = (of: ClusterState): ProxyModel => buildModel(of, options);
const both = model(state([web, other], slices));

for (const variant of ['nft', 'legacy'] as const) {
  describe(`a sync on the ${variant === 'nft' ? 'nf_tables' : 'legacy'} variant`, function () {
    this.timeout(120_000);
    let lab: KernelLab;

    beforeEach(async () => {
      lab = await createKernelLab(`sync-${variant}`);
    });

    afterEach(async () => {
      await lab.remove();
    });

    const backend = (family: 'IPv4' | 'IPv6' = 'IPv4'): Backend => {
      const tools = createIptablesTools(lab, variant);
      const scratch = inScratchNamespace(lab, variant);
      return createIptablesBackend(
        { family, variant },
        { counters: false },
        {
          list: (of) => tools.list(of),
          listNews: (of, glance) => tools.listNews(of, glance),
          load: (of, script) => tools.load(of, script),
          tryLoad: async (of, script) => (await scratch.tryLoad(of, script)) === undefined,
        },
      );
    };
    const tool = (...args: string[]) => lab.namespace.mustExec(toolName('IPv4', variant), '-w', '5', ...args);
    const listing = async () => createIptablesTools(lab, variant).list('IPv4');
    const rulesOf = (text: string) => text.split('\n').filter((line) => line.startsWith('-A'));

    it('makes live equal desired for every recorded state, and then has nothing to do', async () => {
      for (const name of corpusCases) {
        for (const family of ['IPv4', 'IPv6'] as const) {
          const one = backend(family);
          const target = await corpusModel(name, 'iptables', family);
          await sync(one, target, { keepGoing: false });
          const again = one.plan(await one.list(), one.desired(target));
          expect(again.changes, `${name} ${family}`).to.deep.equal([]);
          expect(again.scripts, `${name} ${family}`).to.deep.equal([]);
        }
      }
    });

    it('leaves what is not ours as it was, through syncs and clean-up', async () => {
      await tool('-t', 'nat', '-N', 'MINE');
      await tool('-t', 'nat', '-A', 'MINE', '-d', '192.0.2.1', '-j', 'RETURN');
      await tool('-t', 'nat', '-A', 'PREROUTING', '-j', 'MINE');
      await tool('-t', 'mangle', '-N', 'KUBE-KUBELET-CANARY');
      await tool('-N', 'KUBE-FIREWALL');
      await tool('-A', 'KUBE-FIREWALL', '-m', 'mark', '--mark', '0x8000/0x8000', '-j', 'DROP');
      const before = rulesOf(await listing());
      await sync(backend(), both, { keepGoing: false });
      expect(rulesOf(await listing())).to.include.members(before);
      const one = backend();
      for (const script of one.planCleanup(await one.list()).scripts) await one.load(script);
      const guard =
        '-A KUBE-FIREWALL ! -s 127.0.0.0/8 -d 127.0.0.0/8 -m comment --comment "block incoming localnet connections" -m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT -j DROP';
      const shared = [guard, '-A INPUT -j KUBE-FIREWALL', '-A OUTPUT -j KUBE-FIREWALL'];
      expect(rulesOf(await listing())).to.have.members([...before, ...shared]);
    });

    it('touches only the chains of the Service that changed, and executes nothing when nothing did', async () => {
      const one = backend();
      const { live } = await sync(one, both, { keepGoing: false });
      const changed = model(state([web, other], [slice([endpoint('10.244.1.1')]), ...slices.slice(1)]));
      const { plan } = await sync(one, changed, { live, keepGoing: false });
      const script = plan.scripts.map(scriptText).join('');
      expect(plan.changes.map(({ service: of }) => of?.name)).to.deep.equal(plan.changes.map(() => 'web'));
      expect(script).not.to.match(/KUBE-SERVICES|KUBE-NODEPORTS|10\.244\.1\.3/);
      // What goes, goes in the same commit.
      expect(plan.scripts.map(({ phase }) => phase)).to.deep.equal(['change']);
      expect(script).to.match(/^-X KUBE-SEP-/m);
      expect((await sync(one, changed, { keepGoing: false })).plan.scripts).to.deep.equal([]);
    });

    it('adds and takes out single rules in dispatch chains', async () => {
      const one = backend();
      const { live } = await sync(one, model(state([web], slices.slice(0, 1))), { keepGoing: false });
      const added = await sync(one, both, { live, keepGoing: false });
      expect(added.plan.scripts.map(scriptText).join(''))
        .to.include('-I KUBE-SERVICES 1 ')
        .and.not.include(':KUBE-SERVICES');
      const removed = await sync(one, model(state([web], slices.slice(0, 1))), { live: added.live, keepGoing: false });
      expect(removed.plan.scripts.map(scriptText).join(''))
        .to.include('-D KUBE-SERVICES ')
        .and.not.include(':KUBE-SERVICES');
      const desired = one.desired(model(state([web], slices.slice(0, 1))));
      expect(one.plan(await one.list(), desired).changes).to.deep.equal([]);
    });

    it('puts back exactly what somebody else took away', async () => {
      const one = backend();
      await sync(one, both, { keepGoing: false });
      const before = await listing();
      const jump = ['-m', 'comment', '--comment', 'kubernetes service portals', '-j', 'KUBE-SERVICES'];
      await tool('-t', 'nat', '-D', 'PREROUTING', ...jump);
      await tool('-t', 'nat', '-F', 'KUBE-MARK-MASQ');
      const { plan } = await sync(one, both, { keepGoing: false });
      expect(plan.changes.map(({ object }) => object)).to.have.members(['nat PREROUTING', 'nat KUBE-MARK-MASQ']);
      expect(rulesOf(await listing())).to.have.members(rulesOf(before));
    });

    it('does not mind a foreign rule that jumps to a chain which is no longer needed', async () => {
      const one = backend();
      await sync(one, both, { keepGoing: false });
      const chain =
        /KUBE-SVC-\w+/.exec(
          rulesOf(await listing()).find((line) => line.includes('"default/web:http cluster IP"')) ?? '',
        )?.[0] ?? '';
      await tool('-t', 'nat', '-A', 'PREROUTING', '-p', 'tcp', '--dport', '9999', '-j', chain);
      const rest = model(state([other], slices.slice(1)));
      const { leftovers } = await sync(one, rest, { keepGoing: false });
      expect(leftovers).to.have.lengthOf(1);
      const now = await listing();
      expect(now).to.include('10.244.1.3').and.not.include('10.244.1.1:');
      expect([...now.matchAll(/^:(KUBE-(?:SVC|SEP|EXT)-\w+)/gm)].map(([, name]) => name))
        .to.include(chain)
        .and.have.lengthOf(3);
      await tool('-t', 'nat', '-D', 'PREROUTING', '-p', 'tcp', '--dport', '9999', '-j', chain);
      expect((await sync(one, rest, { keepGoing: false })).leftovers).to.deep.equal([]);
      expect(await listing()).not.to.include(chain);
    });

    // No object can be rendered to a bad rule; so one is made out of a good one.
    for (const [what, badTarget] of [
      ['the tool cannot read', 'DNAT --to-destination 10.244.9.9:8080-1'],
      ['the kernel refuses at commit', 'MASQUERADE'],
    ] as const) {
      it(`traces a rule that ${what} to its Service, keeps its last good rules and applies the rest`, async () => {
        const one = backend();
        await sync(one, model(state([web], slices.slice(0, 1))), { keepGoing: false });
        const good = 'DNAT --to-destination 10.244.9.9:8080';
        const bad = { ...one, desired: (of: ProxyModel) => poisoned(one.desired(of), good, badTarget) };
        const next = model(state([web, other], [slice([endpoint('10.244.9.9')]), ...slices.slice(1)]));
        const error = await rejection(sync(bad, next, { keepGoing: false }));
        expect(error).to.be.instanceOf(RefusedError);
        expect((error as RefusedError).refusals.map(({ service: of }) => of.name)).to.deep.equal(['web']);
        const { refusals } = await sync(bad, next, { keepGoing: true });
        expect(refusals.map(({ service: of }) => of.name)).to.deep.equal(['web']);
        const now = await listing();
        expect(now).to.include('10.244.1.1:8080').and.include('10.244.1.3:8080').and.not.include('10.244.9.9');
      });
    }

    it('finds a refused Service in the live kernel where no other can be had', async () => {
      const one = backend();
      await sync(one, model(state([web], slices.slice(0, 1))), { keepGoing: false });
      const failure = new LoadError({ kind: 'environment', message: 'unshare: not permitted', stderr: '' });
      const good = 'DNAT --to-destination 10.244.9.9:8080';
      const bad: Backend = {
        ...one,
        desired: (of: ProxyModel) => poisoned(one.desired(of), good, 'MASQUERADE'),
        tryLoad: () => Promise.reject(failure),
      };
      const next = model(state([web, other], [slice([endpoint('10.244.9.9')]), ...slices.slice(1)]));
      const { refusals } = await sync(bad, next, { keepGoing: true });
      expect(refusals.map(({ service: of }) => of.name)).to.deep.equal(['web']);
      const now = await listing();
      expect(now).to.include('10.244.1.1:8080').and.include('10.244.1.3:8080').and.not.include('10.244.9.9');
    });

    it('fills an empty kernel with many Services in steps that each are whole', async () => {
      const many = model(manyServices(400, 2));
      const one = backend();
      const { plan } = await sync(one, many, { keepGoing: false });
      const commits =
        plan.scripts
          .map(scriptText)
          .join('')
          .match(/^COMMIT$/gm)?.length ?? 0;
      expect(commits > 2).to.equal(variant === 'nft');
      expect(one.plan(await one.list(), one.desired(many)).changes).to.deep.equal([]);
    });

    it('takes many Services away at once', async () => {
      const one = backend();
      const many = manyServices(400, 2);
      const { live } = await sync(one, model(many), { keepGoing: false });
      const few = model({ ...many, services: many.services.slice(0, 50) });
      const { leftovers } = await sync(one, few, { live, keepGoing: false });
      expect(leftovers).to.deep.equal([]);
      expect(one.plan(await one.list(), one.desired(few)).changes).to.deep.equal([]);
    });

    it('knows the live rules without reading them again, through a hundred changes', async () => {
      const one = backend();
      let of = manyServices(20, 2);
      let { live } = await sync(one, model(of), { keepGoing: false });
      for (let step = 0; step < 100; step++) {
        const name = `svc-${String((step * 7) % 20).padStart(6, '0')}`;
        of =
          step % 5 === 0
            ? { ...of, services: of.services.filter((_, index) => index !== (step * 3) % of.services.length) }
            : withEndpoints(
                of,
                name,
                Array.from({ length: step % 4 }, (_, index) => endpoint(`10.244.${step}.${index + 1}`)),
              );
        if (step % 17 === 16) of = { ...of, services: manyServices(20, 2).services };
        ({ live } = await sync(one, model(of), { live, keepGoing: false }));
      }
      expect(one.plan(await one.list(), one.desired(model(of))).changes).to.deep.equal([]);
    });
  });
}

function poisoned(ruleset: Ruleset, good: string, bad: string): Ruleset {
  const spoil = (line: string) => line.replace(`-j ${good}`, `-j ${bad}`);
  return { parts: ruleset.parts.map((part) => part.map((object) => ({ ...object, lines: object.lines.map(spoil) }))) };
}
